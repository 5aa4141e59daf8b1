"""Requests as bytes, and what must come back: one table for the sans-I/O connection, for every mode, and for lint.

Each case is the whole of what a client sends before it ends its side. The tables are in one file for each subject, in
the order of docs/conformance.md as far as it has them.
"""

from httpmini.lint.cases import conditions, connections, fields, folders, framing, lines, outside, ranges, targets
from httpmini.lint.cases.build import Case, Expected

CASES: tuple[Case, ...] = (
    *targets.CASES,
    *outside.CASES,
    *lines.CASES,
    *fields.CASES,
    *framing.CASES,
    *conditions.CASES,
    *ranges.CASES,
    *connections.CASES,
    *folders.CASES,
)

__all__ = ["CASES", "Case", "Expected"]
