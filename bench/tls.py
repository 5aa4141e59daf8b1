"""TLS beside nginx: what a handshake, a small, a middle and a large response cost the server's processor.

    python bench/tls.py            # both servers, one process each, TLS 1.3, the same certificate and cipher

A busy machine changes how long something takes, and hardly how much work it is. So what is measured is the processor
time of the serving process (``/proc/PID/stat``), and rates are what one core would reach with nothing else to do. The
runs of the two servers alternate, and the least of each is taken.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.tls import Authority  # noqa: E402

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
RUNS = 3
BUFFER = 256 * 1024
# What is asked for: a file and how often; the bar; whether more is better.
SIZES = {"1 KiB, kept alive": ("k1", 1024, 4000), "100 KiB": ("k100", 102_400, 1500), "1 GiB": ("g1", 1 << 30, 1)}
BARS = {"full handshakes per second": 0.6, "1 KiB, kept alive": 1.5, "100 KiB": 1.3, "1 GiB": 0.7}
HANDSHAKES = 1000

Server = tuple[str, int, int]
"""Name, port, and the number of the process that serves."""


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        root = _make_site(folder)
        certificate, key = Authority(folder).pair("localhost")
        servers = [
            stack.enter_context(_httpmini(root, certificate, key)),
            stack.enter_context(_nginx(folder, root, certificate, key)),
        ]
        print("cipher:", {server[0]: _cipher(server[1]) for server in servers}, flush=True)
        print(f"{'':<28} {'httpmini':>14} {'nginx':>14} {'ratio':>7} {'bar':>5}")
        hello, other = (_least(server, _shake_hands, HANDSHAKES) / HANDSHAKES for server in servers)
        _row("full handshakes per second", 1 / hello, 1 / other, other / hello)
        for title, (file, size, count) in SIZES.items():
            ours, theirs = _alternate(servers, lambda port: _ask(port, file, size, count))  # noqa: B023
            if size < 1 << 30:
                _row(title, ours / count * 1e6, theirs / count * 1e6, ours / theirs)
            else:
                _row(title, size / ours / 1e6, size / theirs / 1e6, theirs / ours)
        print("1 KiB and 100 KiB: microseconds of processor time for each; 1 GiB: megabytes for each second of it")


def _row(title: str, ours: float, theirs: float, ratio: float) -> None:
    print(f"{title:<28} {ours:>14,.0f} {theirs:>14,.0f} {ratio:>7.2f} {BARS[title]:>5}", flush=True)


def _least(server: Server, work: Callable[[int, int], None], count: int) -> float:
    return min(_cost(server, lambda port: work(port, count)) for _ in range(RUNS))


def _alternate(servers: list[Server], work: Callable[[int], None]) -> tuple[float, float]:
    costs = [[_cost(server, work) for server in servers] for _ in range(RUNS)]
    return min(one for one, _ in costs), min(one for _, one in costs)


def _cost(server: Server, work: Callable[[int], None]) -> float:
    """Return the processor time that ``work`` takes of a server, in seconds."""
    _, port, process = server
    before = _used(process)
    work(port)
    time.sleep(0.05)  # what it does after the last byte belongs to it
    return max(TICK_S, _used(process) - before)


def _used(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


# The client.


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


@contextmanager
def _connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(sock) as tls:
            yield tls


def _cipher(port: int) -> str:
    with _connected(port, _context()) as tls:
        return str(tls.cipher())


def _shake_hands(port: int, count: int) -> None:
    context = _context()
    for _ in range(count):
        with _connected(port, context):
            pass


def _ask(port: int, file: str, size: int, count: int) -> None:
    """Get a file ``count`` times on one connection."""
    request = f"GET /{file} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n".encode()
    buffer = memoryview(bytearray(BUFFER))
    with _connected(port, _context()) as tls:
        for _ in range(count):
            tls.sendall(request)
            head = b""
            while b"\r\n\r\n" not in head:
                head += tls.recv(BUFFER)
            left = size - len(head.partition(b"\r\n\r\n")[2])
            while left:
                left -= tls.recv_into(buffer)


# The servers.


def _make_site(folder: Path) -> Path:
    root = folder / "www"
    root.mkdir()
    for file, size, _ in SIZES.values():
        with (root / file).open("wb") as made:
            block = os.urandom(min(size, 1 << 20))
            for _ in range(max(1, size >> 20)):
                made.write(block)
    past = time.time() - 3600
    for path in root.iterdir():
        os.utime(path, (past, past))
    return root


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nobody listens on port {port}")


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _httpmini(root: Path, certificate: Path, key: Path) -> Iterator[Server]:
    port = _free_port()
    file = root.parent / "httpmini.toml"
    file.write_text(
        f'[server]\nlisten = ["tls:127.0.0.1:{port}"]\n[site]\nroot = "{root}"\n[log]\naccess = "off"\n'
        f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n[limits]\nidle_s = 60\n'
    )
    with _running([sys.executable, "-m", "httpmini", "serve", "-c", str(file)]) as process:
        _wait_for(port)
        yield "httpmini", port, process.pid


_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user root;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; server_tokens off;
  server {{
    listen 127.0.0.1:{port} ssl; root {root};
    ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;
  }}
}}
"""


@contextmanager
def _nginx(folder: Path, root: Path, certificate: Path, key: Path) -> Iterator[Server]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        raise SystemExit("nginx is not installed: bench/install-tools")
    port = _free_port()
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, port=port, root=root, certificate=certificate, key=key))
    with _running([nginx, "-p", str(folder), "-c", str(file)]) as process:
        _wait_for(port)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield "nginx", port, int(children[0])


if __name__ == "__main__":
    main()
