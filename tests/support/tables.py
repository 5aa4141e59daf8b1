"""Tables with more rows than tests can be: pytest takes milliseconds for each test, in every worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import pytest

BATCH = 100


class Named(Protocol):
    """A row of a table."""

    @property
    def name(self) -> str: ...


Row = TypeVar("Row", bound=Named)


def in_batches(argument: str, rows: Sequence[Row]) -> pytest.MarkDecorator:
    """Parametrize a test with batches of rows, each named after its first row."""
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    return pytest.mark.parametrize(argument, batches, ids=[f"from {batch[0].name[:50]}" for batch in batches])


def check_all(rows: Iterable[Row], check: Callable[[Row], object]) -> None:
    """Check every row.

    Raises:
        ExceptionGroup: some failed; its message names them, and it holds the exception of each.
    """
    failed: dict[str, Exception] = {}
    for row in rows:
        try:
            check(row)
        except Exception as error:
            error.add_note(f"in the case {row.name!r}")
            failed[row.name] = error
    if failed:
        raise ExceptionGroup(f"failed: {list(failed)}", list(failed.values()))
