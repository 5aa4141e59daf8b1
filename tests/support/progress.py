"""Progress that interrupts a download."""

from __future__ import annotations


class EndAfter:
    """Progress that raises ``error`` after ``count`` bytes, as Ctrl-C or a failure would."""

    def __init__(self, count: int, error: BaseException) -> None:
        self._left = count
        self._error = error

    def begin(self, name: str, total: int | None, done: int) -> None:
        pass

    def advance(self, count: int) -> None:
        self._left -= count
        if self._left <= 0:
            raise self._error

    def end(self) -> None:
        pass
