"""A token for each turn of a loop, so that what was checked in a turn need not be checked twice in it.

Clients whose requests had arrived before the turn began may share what is found out about the disk during it. A token
is a number that is counted up, never a clock: two turns can happen at the same moment of a clock.
"""

from __future__ import annotations

import itertools

NO_TURN = 0
"""The token of a step that belongs to no turn: it shares with nobody."""

next_turn = itertools.count(1).__next__
"""Return the token of a new turn; threads may call it at the same time."""
