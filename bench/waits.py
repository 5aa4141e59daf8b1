"""How long one client waits for a small file while others ask for what takes long.

    python -m bench.waits [MODE ...] [--seconds S] [--entries N]

A client asks for a small file every 5 ms, on one connection. Meanwhile others list a large folder, one of them or 16 at
a time, or try wrong passwords, 16 at a time. The table shows the median, the 99th percentile and the longest of its
waits, and how many of the others' requests were answered meanwhile.
"""

from __future__ import annotations

import argparse
import base64
import multiprocessing
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from httpmini.site.users import set_password

PERIOD_S = 0.005
MODES = ("iterative", "select", "threading", "prefork")
WRONG = base64.b64encode(b"ada:wrong").decode()
SMALL = b"GET /small.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"
LISTING = b"GET /many/ HTTP/1.0\r\nHost: h\r\n\r\n"
GUESS = b"GET /private/ HTTP/1.0\r\nHost: h\r\nAuthorization: Basic " + WRONG.encode() + b"\r\n\r\n"
LOADS = (
    ("nothing else", b"", 0),
    ("one lists", LISTING, 1),
    ("16 list", LISTING, 16),
    ("16 guess", GUESS, 16),
)


def make_site(folder: Path, entries: int) -> Path:
    """Write the site and its settings; return the file of the settings."""
    root = folder / "www"
    (root / "many").mkdir(parents=True)
    (root / "private").mkdir()
    (root / "small.txt").write_text("small\n")
    for number in range(entries):
        (root / "many" / f"entry-{number:06}.txt").touch()
    set_password(str(folder / "users"), "ada", "right")
    settings = folder / "httpmini.toml"
    settings.write_text('[log]\naccess = "off"\n[[realms]]\npath = "/private"\nusers = "users"\n')
    return settings


@contextmanager
def server(settings: Path, mode: str) -> Iterator[int]:
    """Run a server; yield its port."""
    root = settings.parent / "www"
    command = [sys.executable, "-m", "httpmini", "serve", str(root), "-c", str(settings), "--mode", mode, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = next(line for line in process.stdout if re.search(r":\d+", line) and "http://" in line)
            found = re.search(r"http://[^ ]*?:(\d+)", line)
            assert found is not None
            yield int(found[1])
        finally:
            process.terminate()
            process.stdout.close()


def ask_again_and_again(port: int, request: bytes, answered: Synchronized[int]) -> None:
    """Send one request after the other, each on a connection of its own, for as long as this process lives."""
    while True:
        with closing(socket.create_connection(("127.0.0.1", port))) as sock:
            sock.sendall(request)
            while sock.recv(1 << 20):
                pass
        with answered.get_lock():
            answered.value += 1


def waits(port: int, seconds: float) -> list[float]:
    """Ask for the small file for so long; return what each answer took, in milliseconds."""
    found: list[float] = []
    with closing(socket.create_connection(("127.0.0.1", port))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        due = time.monotonic()
        while due < end:
            time.sleep(max(0.0, due - time.monotonic()))
            begun = time.monotonic()
            sock.sendall(SMALL)
            answer = b""
            while not answer.endswith(b"small\n"):
                piece = sock.recv(4096)
                assert piece, "the connection was closed"
                answer += piece
            found.append((time.monotonic() - begun) * 1000)
            due = max(due + PERIOD_S, time.monotonic())
    return found


def measure(port: int, request: bytes, clients: int, seconds: float) -> tuple[list[float], int]:
    """Return the waits beside ``clients`` others, and how many requests of theirs were answered."""
    answered: Synchronized[int] = multiprocessing.Value("i", 0)
    others = [
        multiprocessing.Process(target=ask_again_and_again, args=(port, request, answered), daemon=True)
        for _ in range(clients)
    ]
    for other in others:
        other.start()
    try:
        return waits(port, seconds), answered.value
    finally:
        for other in others:
            other.kill()
            other.join()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modes", nargs="*", metavar="MODE", default=MODES)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--entries", type=int, default=30_000)
    options = parser.parse_args()
    print("| mode | others | median ms | 99 % ms | longest ms | their requests |\n|---|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        settings = make_site(Path(folder), options.entries)
        for mode in options.modes:
            with server(settings, mode) as port:
                for name, request, clients in LOADS:
                    found, answered = measure(port, request, clients, options.seconds)
                    last = statistics.quantiles(found, n=100)[-1] if len(found) > 1 else found[0]
                    row = f"{statistics.median(found):.2f} | {last:.1f} | {max(found):.1f}"
                    print(f"| {mode} | {name} | {row} | {answered} |", flush=True)


if __name__ == "__main__":
    main()
