"""Requests as bytes, and what must come back: one table for the sans-I/O connection and for every mode.

Each case is the whole of what a client sends before it ends its side.
"""

from tests.wire_cases.basics import BASICS
from tests.wire_cases.build import Case, Expected
from tests.wire_cases.checklist import CHECKLIST
from tests.wire_cases.digests import DIGESTS

CASES: tuple[Case, ...] = (*BASICS, *CHECKLIST, *DIGESTS)

__all__ = ["CASES", "Case", "Expected"]
