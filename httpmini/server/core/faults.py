"""Faults of ours outside of any client: contained, and said in the error log."""

from __future__ import annotations

import time
from collections.abc import Callable

from httpmini.server.logs.error import Level, Log, describe

# A fault that occurs again and again, as one in the tick would, is said this often.
REPEAT_S = 10.0


class Faults:
    """Contains faults: each costs the call that it happened in, and the log a line.

    Args:
        log: takes lines about the server itself.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._said: dict[str, float] = {}  # by what went wrong: when it was last said

    def contain(self, what: str, call: Callable[[], object]) -> bool:
        """Make the call; return whether it succeeded.

        Args:
            what: what is done, for the log: "in the tick".
            call: does it.
        """
        try:
            call()
        except Exception as fault:
            self._say(f"fault {what}: {describe(fault)}")
            return False
        return True

    def _say(self, text: str) -> None:
        now = time.monotonic()
        if now - self._said.get(text, -REPEAT_S) >= REPEAT_S:
            self._said = {old: said for old, said in self._said.items() if now - said < REPEAT_S} | {text: now}
            self._log(text, Level.ERROR)
