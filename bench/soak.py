"""A soak test: one server under load, with reloads through all modes, log rotations, kills and connection resets.

    make soak                        # ten minutes
    make soak SOAK_ARGS='--minutes 2'

Two sites, limits for addresses and bandwidth, a status listener and https (if cryptography is installed) take part.
It looks for failures without an explanation, and for growth of memory, descriptors or processes. The figures are
printed and drawn into bench/results/soak.svg. The exit status is 1 if there is anything left to explain.

A kill explains the failures around it, and the log lines that the process had not written yet, one batch at most. It is
no failure if a kept connection ends before the first byte of a response: the client retries (RFC 9112 §9.3.1), which
is counted separately.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

from httpmini.server.logs.file import BATCH_LINES
from httpmini.server.modes import MODES

RESULTS = Path(__file__).parent / "results"
SMALL, LARGE = b"small" * 50, 4 * 1024 * 1024
OTHER = b"the other site"
WHAT = ("responses", "the other site", "status pages", "https")
# Limits that take part and that nobody here reaches.
LIMITS = """[limits]
idle_s = 5
address_clients = 100
address_requests_per_s = 50000
address_burst = 50000
client_bytes_per_s = 100000000
total_bytes_per_s = 1000000000
"""
TLS = '[tls]\ncertificate = "self-signed"\n'
RELOAD_S, ROTATE_S, KILL_S, SAMPLE_S = 4.0, 7.0, 9.0, 1.0
AROUND_A_KILL_S = 1.0
WAIT_S = 30.0
MAY_GROW = 1.15  # the last quarter divided by the second; the first is for warming up


class Sample:
    """The resources of the server's processes at one moment."""

    def __init__(self, moment: float, session: int) -> None:
        self.moment = moment
        self.memory_mib = self.descriptors = self.processes = 0.0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):  # the process has just ended
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) != session:
                    continue
                self.processes += 1
                rollup = (process / "smaps_rollup").read_text()
                self.memory_mib += int(rollup.partition("Pss:")[2].split()[0]) / 1024
                self.descriptors += len(list((process / "fd").iterdir()))


class Soak:
    """The server, the threads that put it under stress, and what they have seen."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.file = folder / "httpmini.toml"
        self.log = folder / "access.log"
        self.root = folder / "www"
        self.root.mkdir()
        (self.root / "small.txt").write_bytes(SMALL)
        (folder / "other").mkdir()
        (folder / "other" / "small.txt").write_bytes(OTHER)
        self.large = random.Random(1).randbytes(LARGE)
        (self.root / "large.bin").write_bytes(self.large)
        self.modes = sorted(MODES)
        self.mode = self.modes[0]
        self.port, self.status_port, self.tls_port = _free_port(), _free_port(), _free_port()
        self.has_tls = importlib.util.find_spec("cryptography") is not None
        self.counts = dict.fromkeys((*WHAT, "large", "retried", "resets", "reloads", "rotations", "kills", "lines"), 0)
        self.explained: list[str] = []
        self.unexplained: list[str] = []
        self.samples: list[Sample] = []
        self._killed: list[float] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._seconds = seconds
        self.write("a")
        command = [sys.executable, "-m", "httpmini", "serve", "-c", str(self.file)]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert self.server.stdout is not None
        print(self.server.stdout.readline().decode().rstrip())

    def write(self, product: str) -> None:
        """Write the config file; ``product`` tells it from the previous one."""
        listen = [f"127.0.0.1:{self.port}", *([f"tls:127.0.0.1:{self.tls_port}"] if self.has_tls else [])]
        self.file.write_text(
            f'[server]\nmode = "{self.mode}"\nworkers = 3\nproduct = "{product}"\nlisten = {json.dumps(listen)}\n'
            f'[[site]]\nhosts = ["a.example"]\nroot = "www"\n[[site]]\nhosts = ["b.example"]\nroot = "other"\n'
            f'[status]\nlisten = ["127.0.0.1:{self.status_port}"]\n[log]\naccess = "access.log"\nerror = "error.log"\n'
            f"{LIMITS}{TLS if self.has_tls else ''}"
        )

    def run(self) -> int:
        """Run all threads at once, then stop the server; return its exit status."""
        actors: list[Callable[[], None]] = [self._ask, self._ask_kept, self._ask_kept, self._fetch_large, self._reset]
        actors += [self._ask_other, self._ask_status, *([self._ask_tls] if self.has_tls else [])]
        actors += [self._reload, self._rotate, self._kill, self._sample]
        threads = [threading.Thread(target=actor) for actor in actors]
        for thread in threads:
            thread.start()
        self._over.wait(self._seconds)
        self._over.set()
        for thread in threads:
            thread.join()
        self.server.send_signal(signal.SIGTERM)
        status = self.server.wait(WAIT_S)
        assert self.server.stdout is not None
        self.server.stdout.close()
        self._count_lines(self.log)
        if Sample(0.0, self.server.pid).processes:
            self.unexplained.append("processes are left over")
        if status:
            self.unexplained.append(f"exit status {status}")
        return status

    def _count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def _failed(self, what: str, begun: float) -> None:
        time.sleep(0.05)  # a kill is recorded just after it is done
        with self._lock:
            now = time.monotonic()
            explains = any(begun - AROUND_A_KILL_S < killed <= now for killed in self._killed)
            (self.explained if explains else self.unexplained).append(f"{self.mode}: {what}")

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT_S)

    def _ask(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                with self._connect() as sock:
                    sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
                    response = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))  # type: ignore[misc]
                if not response.endswith(b"\r\n\r\n" + SMALL):
                    self._failed(f"a wrong response: {response[:60]!r}", begun)
                self._count("responses")
            except OSError as error:
                self._failed(f"{error!r} on a new connection", begun)

    def _expect(self, sock: socket.socket, request: bytes, begun: float, has: bytes, what: str) -> None:
        sock.sendall(request)
        response = b"".join(iter(lambda: sock.recv(65536), b""))
        if has not in response:
            self._failed(f"a wrong response of {what}: {response[:60]!r}", begun)
        self._count(what)

    def _ask_other(self) -> None:
        """Ask the other site."""
        while not self._over.wait(0.02):
            begun = time.monotonic()
            try:
                with self._connect() as sock:
                    request = b"GET /small.txt HTTP/1.1\r\nHost: b.example\r\n\r\n"
                    self._expect(sock, request, begun, OTHER, "the other site")
            except OSError as error:
                self._failed(f"{error!r} at the other site", begun)

    def _ask_status(self) -> None:
        """Ask the status listener."""
        while not self._over.wait(0.2):
            begun = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", self.status_port), WAIT_S) as sock:
                    request = b"GET /-/metrics HTTP/1.0\r\n\r\n"
                    self._expect(sock, request, begun, b"httpmini_requests_total", "status pages")
            except OSError as error:
                self._failed(f"{error!r} at the status listener", begun)

    def _ask_tls(self) -> None:
        """Ask by https; the certificate is made anew at each reload, so nothing vouches for it."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        while not self._over.wait(0.05):
            begun = time.monotonic()
            try:
                with (
                    socket.create_connection(("127.0.0.1", self.tls_port), WAIT_S) as plain,
                    context.wrap_socket(plain, suppress_ragged_eofs=False) as sock,
                ):
                    request = b"GET /small.txt HTTP/1.1\r\nHost: a.example\r\n\r\n"
                    self._expect(sock, request, begun, b"\r\n\r\n" + SMALL, "https")
            except OSError as error:
                self._failed(f"{error!r} by https", begun)

    def _ask_kept(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            response, done = b"", 0
            try:
                with self._connect() as sock:
                    for done in range(200):  # noqa: B007
                        response, begun = b"", time.monotonic()
                        sock.sendall(b"GET /small.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                        while not response.endswith(SMALL):
                            data = sock.recv(65536)
                            if not data:
                                raise ConnectionResetError("the connection has ended")
                            response += data
                        self._count("responses")
                        if b"\r\nConnection: keep-alive\r\n" not in response:
                            break
            except OSError as error:
                if done and not response:
                    self._count("retried")
                else:
                    self._failed(f"{error!r} with {len(response)} bytes of response {done} on a connection", begun)

    def _fetch_large(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            body = b""
            try:
                with self._connect() as sock:
                    sock.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
                    while data := sock.recv(1 << 16):
                        body += data
                        time.sleep(0.005)
                if body.partition(b"\r\n\r\n")[2] == self.large:
                    self._count("large")
                else:
                    self._failed(f"{len(body)} bytes of a large file", begun)
            except OSError as error:
                self._failed(f"{error!r} at {len(body)} bytes of a large file", begun)

    def _reset(self) -> None:
        while not self._over.wait(0.03):
            with suppress(OSError), self._connect() as sock:
                sock.sendall(random.choice((b"", b"GET /sm", b"GET /large.bin HTTP/1.0\r\n\r\n", b"\x16\x03\x01\0\0")))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._count("resets")

    def _reload(self) -> None:
        while not self._over.wait(RELOAD_S):
            number = self.counts["reloads"] + 1
            self.mode = self.modes[number % len(self.modes)]
            self.write(f"p{number}")
            begun = time.monotonic()
            self.server.send_signal(signal.SIGHUP)
            while (said := self._said_in_log(" reloaded: ")) < number:
                if time.monotonic() > begun + WAIT_S or " not reloaded: " in (self.folder / "error.log").read_text():
                    self.unexplained.append(f"reload {number} was not done ({said})")
                    return
                time.sleep(0.05)
            self._count("reloads")

    def _said_in_log(self, what: str) -> int:
        return (self.folder / "error.log").read_text().count(what)

    def _rotate(self) -> None:
        while not self._over.wait(ROTATE_S):
            old = self.folder / "access.log.old"
            self.log.rename(old)
            self._count("rotations")
            self._over.wait(2.0)  # by then every process has opened the new file
            self._count_lines(old)
            old.unlink()

    def _count_lines(self, log: Path) -> None:
        with open(log, "rb") as file:
            self._count("lines", sum(b'"GET /small.txt HTTP/1.0" 200 ' in line for line in file))

    def _kill(self) -> None:
        while not self._over.wait(KILL_S):
            with suppress(OSError):
                task = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children")
                children = [int(pid) for pid in task.read_text().split()]
                if children:
                    os.kill(random.choice(children), signal.SIGKILL)
                    self._killed.append(time.monotonic())
                    self._count("kills")

    def _sample(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(SAMPLE_S):
            self.samples.append(Sample(time.monotonic() - begun, self.server.pid))

    def growth(self, name: str) -> float:
        """Return the median of the last quarter as a multiple of that of the second."""
        values = [float(getattr(sample, name)) for sample in self.samples]
        quarter = max(1, len(values) // 4)
        return median(values[-quarter:]) / max(1.0, median(values[quarter : 2 * quarter]))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def draw(soak: Soak) -> str:
    """Return an SVG with three curves, one above the other."""
    width, height, gap = 900, 120, 40
    last = max(sample.moment for sample in soak.samples)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {3 * (height + gap)}" font-family="sans-serif" '
        'font-size="13"><rect width="100%" height="100%" fill="white"/>'
    ]
    for row, (name, title) in enumerate(
        (("memory_mib", "memory, MiB (PSS)"), ("descriptors", "descriptors"), ("processes", "processes"))
    ):
        values = [float(getattr(sample, name)) for sample in soak.samples]
        top, most = row * (height + gap) + gap, max(values) * 1.1
        points = " ".join(
            f"{60 + (width - 80) * sample.moment / last:.1f},{top + height - height * value / most:.1f}"
            for sample, value in zip(soak.samples, values, strict=True)
        )
        parts.append(
            f'<text x="60" y="{top - 10}">{title}: {min(values):.0f} to {max(values):.0f}</text>'
            f'<text x="50" y="{top + 12}" text-anchor="end">{most:.0f}</text>'
            f'<text x="50" y="{top + height}" text-anchor="end">0</text>'
            f'<path d="M60 {top}V{top + height}H{width - 20}" fill="none" stroke="#999"/>'
            f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1.5"/>'
        )
    parts.append(f'<text x="{width - 20}" y="{3 * (height + gap) - 4}" text-anchor="end">{last:.0f} s</text></svg>\n')
    return "\n".join(parts)


def main() -> None:
    """Run the soak test, print its report, and draw the curves."""
    parser = argparse.ArgumentParser(description="Run one server under stress for a long time.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder for soak.json and soak.svg")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(Path(name), arguments.minutes * 60)
        soak.run()
        responses = soak.counts["responses"]
        if soak.counts["lines"] + soak.counts["kills"] * BATCH_LINES < responses:
            soak.unexplained.append(f"{responses} responses, but {soak.counts['lines']} lines in the log")
    growth = {name: round(soak.growth(name), 3) for name in ("memory_mib", "descriptors", "processes")}
    for what, factor in growth.items():
        if factor > MAY_GROW:
            soak.unexplained.append(f"{what} have grown by {factor}")
    report = {
        "minutes": arguments.minutes,
        **soak.counts,
        "growth, last quarter by second": growth,
        "failures that a kill explains": len(soak.explained),
        "unexplained": soak.unexplained[:20],
    }
    print(json.dumps(report, indent=2))
    (arguments.output / "soak.json").write_text(json.dumps(report, indent=2) + "\n")
    (arguments.output / "soak.svg").write_text(draw(soak))
    sys.exit(1 if soak.unexplained else 0)


if __name__ == "__main__":
    main()
