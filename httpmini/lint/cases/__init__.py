"""Requests as bytes, and what must come back: one table for the sans-I/O connection and for every mode.

Each case is the whole of what a client sends before it ends its side.
"""

from httpmini.lint.cases.basics import BASICS
from httpmini.lint.cases.build import Case, Expected
from httpmini.lint.cases.checklist import CHECKLIST

CASES: tuple[Case, ...] = (*BASICS, *CHECKLIST)

__all__ = ["CASES", "Case", "Expected"]
