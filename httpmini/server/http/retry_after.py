"""The Retry-After field (RFC 9110 §10.2.3)."""

from __future__ import annotations

import math

_LONGEST_S = 3600


def retry_after(seconds: float) -> tuple[str, str]:
    """Return the field for a wait of ``seconds``: whole seconds, at least one, at most an hour."""
    return "Retry-After", str(min(max(1, math.ceil(seconds)), _LONGEST_S))
