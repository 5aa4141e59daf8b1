"""How long a client waits whose server is full of others that do nothing, for a minute in each mode and way.

    python -m bench.full_server [SECONDS]

All settings are the defaults. The exit status is 1 if any of 20 requests took longer than a second.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from httpmini.lint.cases.site_tree import make_site
from httpmini.server.modes import MODES
from tests.support.crowd import WAYS, Crowd, ask
from tests.support.processes import ServerProcess, fork_server

REQUESTS, CLIENTS = 20, 256


def main() -> int:
    """Print a line for each mode and way; return the exit status."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    worst_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        root = make_site(Path(folder))
        for mode in MODES:
            for way in WAYS:
                longest_s = _measure(root, mode, way, seconds)
                worst_s = max(worst_s, longest_s)
                print(f"{mode:10} {way:12} {longest_s * 1000:6.0f} ms at most", flush=True)
    fork_server().close()
    return int(worst_s > 1.0)


def _measure(root: Path, mode: str, way: str, seconds: float) -> float:
    server = ServerProcess([str(root), "--port", "0", "--mode", mode])
    longest_s = 0.0
    with Crowd(server.port, way, CLIENTS):
        for _ in range(REQUESTS):
            answer, took_s = ask(server.port)
            assert answer.startswith(b"HTTP/1.0 200 "), answer[:100]
            longest_s = max(longest_s, took_s)
            time.sleep(max(0.0, seconds / REQUESTS - took_s))
    server.stop()
    return longest_s


if __name__ == "__main__":
    sys.exit(main())
