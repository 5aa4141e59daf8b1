"""The client compared: a large file against curl, small files against requests.

    python bench/client.py            # needs nginx and curl; prints medians and ratios

nginx serves a temporary folder on a free port. The runs alternate, so that other load on the machine affects all of
them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from httpmini.client.client import Client

_CONFIG = """
daemon off; pid {folder}/pid; error_log stderr crit; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; keepalive_requests 10000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""
_DOWNLOAD = """
import json, resource, sys
from httpmini import Client, download
with Client() as client:
    download(client, sys.argv[1], sys.argv[2])
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
"""


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """Run nginx for ``folder/www``; yield its URL."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    (folder / "nginx.conf").write_text(_CONFIG.format(folder=folder, port=port))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf")])
    try:
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that ``run`` takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def spent(run: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that ``run`` takes, and those of the processor in this process."""
    start = time.process_time()
    took = timed(run)
    return took, time.process_time() - start


def large(url: str, folder: Path, rounds: int) -> None:
    """Compare the time to save a large file with curl's; each is a process of its own, start-up included."""
    ours, curl, memory = [], [], 0
    # The usual environment: with PYTHONDONTWRITEBYTECODE, as some developers set it, every start is slower.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    target = folder / "out"
    for _ in range(rounds):
        curl.append(timed(lambda: subprocess.run(["curl", "-s", "-o", str(target), url], check=True)))
        target.unlink()
        start = time.perf_counter()
        output = subprocess.run(
            [sys.executable, "-c", _DOWNLOAD, url, str(target)], check=True, stdout=subprocess.PIPE, env=environment
        ).stdout
        ours.append(time.perf_counter() - start)
        memory = max(memory, json.loads(output))
        target.unlink()
    ratio = statistics.median(a / b for a, b in zip(ours, curl, strict=True))
    print(
        f"large file: curl {statistics.median(curl):.2f} s, httpmini {statistics.median(ours):.2f} s, "
        f"ratio {ratio:.2f} (median of {rounds}), memory {memory} MB"
    )


def small(url: str, count: int, rounds: int) -> None:
    """Compare the time for a small file over one kept connection with requests.Session."""

    def with_ours() -> None:
        with Client() as client:
            for _ in range(count):
                client.fetch(url).read()

    def with_requests() -> None:
        with requests.Session() as session:
            for _ in range(count):
                session.get(url, timeout=10).content  # noqa: B018

    pairs = [(spent(with_requests), spent(with_ours)) for _ in range(rounds)]
    for at, what in ((0, "rate"), (1, "processor time")):
        theirs, ours = (
            statistics.median(side[at] for side in sides) / count * 1e6 for sides in zip(*pairs, strict=True)
        )
        ratio = statistics.median(one[at] / other[at] for one, other in pairs)
        print(
            f"small files, {what}: requests {theirs:.0f} us each, httpmini {ours:.0f} us, "
            f"ratio {ratio:.1f} (median of {rounds})"
        )


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=1024**3, help="bytes of the large file")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "www").mkdir()
        with (folder / "www" / "large").open("wb") as file:
            for _ in range(options.size // 2**20):
                file.write(os.urandom(2**20))
        (folder / "www" / "small").write_bytes(os.urandom(1024))
        with nginx(folder) as url:
            small(url + "small", 2000, options.rounds)
            large(url + "large", folder, options.rounds)


if __name__ == "__main__":
    main()
