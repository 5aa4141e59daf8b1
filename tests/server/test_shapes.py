"""No request up to the limits is dear, whatever the shape of its head (``bench/shapes.py`` has the table)."""

from __future__ import annotations

from pathlib import Path

from bench.shapes import costs

# A quiet machine needs 1.6 ms for the dearest; before lists and paths were bounded, some took 150.
MOST_MS = 12.0


def test_no_request_is_dear(tmp_path: Path) -> None:
    """Processor time, the best of some: that others use the machine makes no difference of this size."""
    rows = costs(tmp_path, rounds=4)
    assert len(rows) > 300
    assert [(name, round(cost, 1)) for cost, _, name in rows if cost > MOST_MS] == []
    said = {name: status for _, status, name in rows}
    assert said["a file"] == b"HTTP/1.0 200"
    assert said["path: 4,000 names"] == b"HTTP/1.0 404"
    assert said["path: a long query"] == b"HTTP/1.0 301"
