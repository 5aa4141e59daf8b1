"""httpmini get compared with curl, wget, HTTPie, requests and aria2 against a server that misbehaves.

    python bench/clients_compared.py          # prints the table of docs/client.md; about two minutes

Each cell is a run against a small server that sends exact octets: "good" for what a user would want (a correct file, or
an error and no file), otherwise what happened. Programs that are not installed are left out and listed as missing.
"""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

WAIT_S = 45.0
OLD, NEW = b"old version " * 20_000, b"NEW VERSION " * 20_000
HALF = len(OLD) // 2

_REQUESTS = """
import sys, requests
with requests.get(sys.argv[1], stream=True) as response:
    response.raise_for_status()
    with open(sys.argv[2], "wb") as file:
        for piece in response.iter_content(65536):
            file.write(piece)
"""

# How each program saves a URL to a file, resumes a part of it, and uses the server's name for it.
PROGRAMS: dict[str, dict[str, list[str]]] = {
    "httpmini": {
        "version": [sys.executable, "-m", "httpmini", "--version"],
        "save": [sys.executable, "-m", "httpmini", "get", "-o", "{out}", "{url}"],
        "resume": [sys.executable, "-m", "httpmini", "get", "-o", "{out}", "{url}"],
        "named": [sys.executable, "-m", "httpmini", "get", "-O", "{url}"],
        "auth": [sys.executable, "-m", "httpmini", "get", "-u", "ada:secret", "-o", "{out}", "{url}"],
        "decode": [sys.executable, "-m", "httpmini", "get", "--compressed", "-o", "{out}", "{url}"],
        "verbose": [sys.executable, "-m", "httpmini", "get", "-v", "-o", "{out}", "{url}"],
    },
    "curl": {
        "version": ["curl", "--version"],
        "save": ["curl", "-sSf", "-L", "-o", "{out}", "{url}"],
        "resume": ["curl", "-sSf", "-L", "-C", "-", "-o", "{out}", "{url}"],
        "named": ["curl", "-sSf", "-L", "-OJ", "{url}"],
        "auth": ["curl", "-sSf", "-L", "-u", "ada:secret", "-o", "{out}", "{url}"],
        "decode": ["curl", "-sSf", "--compressed", "-o", "{out}", "{url}"],
        "verbose": ["curl", "-sv", "-o", "{out}", "{url}"],
    },
    "wget": {
        "version": ["wget", "--version"],
        "save": ["wget", "-nv", "-O", "{out}", "{url}"],
        "resume": ["wget", "-nv", "-c", "-O", "{out}", "{url}"],
        "named": ["wget", "-nv", "--content-disposition", "{url}"],
        "auth": ["wget", "-nv", "--user", "ada", "--password", "secret", "--auth-no-challenge", "-O", "{out}", "{url}"],
        "decode": ["wget", "-nv", "--compression=gzip", "-O", "{out}", "{url}"],
        "verbose": ["wget", "-d", "-O", "{out}", "{url}"],
    },
    "HTTPie": {
        "version": ["http", "--version"],
        "save": ["http", "--ignore-stdin", "--check-status", "-F", "-d", "-o", "{out}", "{url}"],
        "resume": ["http", "--ignore-stdin", "--check-status", "-F", "-d", "-c", "-o", "{out}", "{url}"],
        "named": ["http", "--ignore-stdin", "--check-status", "-F", "-d", "{url}"],
        "auth": ["http", "--ignore-stdin", "-F", "-a", "ada:secret", "-d", "-o", "{out}", "{url}"],
        "decode": ["http", "--ignore-stdin", "-o", "{out}", "{url}"],
        "verbose": ["http", "--ignore-stdin", "-v", "--pretty=colors", "{url}"],
    },
    "requests": {
        "version": [sys.executable, "-c", "import requests; print(requests.__version__)"],
        "save": [sys.executable, "-c", _REQUESTS, "{url}", "{out}"],
        "auth": [
            sys.executable,
            "-c",
            _REQUESTS.replace("stream=True", "auth=('ada','secret'), stream=True"),
            "{url}",
            "{out}",
        ],
        "decode": [sys.executable, "-c", _REQUESTS, "{url}", "{out}"],
    },
    "aria2": {
        "version": ["aria2c", "--version"],
        "save": ["aria2c", "-q", "--allow-overwrite", "-d", "{folder}", "-o", "{name}", "{url}"],
        "resume": ["aria2c", "-q", "-c", "-d", "{folder}", "-o", "{name}", "{url}"],
        "named": ["aria2c", "-q", "-d", "{folder}", "{url}"],
        "auth": ["aria2c", "-q", "--http-user=ada", "--http-passwd=secret", "-d", "{folder}", "-o", "{name}", "{url}"],
        "decode": ["aria2c", "-q", "--http-accept-gzip", "-d", "{folder}", "-o", "{name}", "{url}"],
    },
}


@dataclass
class Server:
    """A server that sends what ``respond`` returns for each request, or nothing if it is ``silent``."""

    respond: Callable[[bytes, Server], bytes | Iterator[bytes]]
    heard: list[bytes] = field(default_factory=list)
    ports: tuple[int, int] = (0, 0)
    silent: bool = False

    @contextmanager
    def running(self) -> Iterator[str]:
        """Run the server on two ports; yield the URL of a file on the first."""
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.ports = (listeners[0].getsockname()[1], listeners[1].getsockname()[1])
        threads = [threading.Thread(target=self._listen, args=(listener,), daemon=True) for listener in listeners]
        for thread in threads:
            thread.start()
        try:
            yield f"http://127.0.0.1:{self.ports[0]}/file"
        finally:
            for listener in listeners:
                listener.shutdown(socket.SHUT_RDWR)
                listener.close()

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            sock.settimeout(WAIT_S)
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = sock.recv(65536)
                    if not data:
                        return
                    head += data
                self.heard.append(head)
                if self.silent:
                    sock.recv(1)
                    return
                response = self.respond(head, self)
                for piece in [response] if isinstance(response, bytes) else response:
                    sock.sendall(piece)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
            except OSError:
                return


@dataclass
class Run:
    """What a program did."""

    status: int | None
    folder: Path
    out: Path
    output: bytes
    server: Server

    @property
    def content(self) -> bytes | None:
        """The contents of the file, or None if there is none."""
        return self.out.read_bytes() if self.out.is_file() else None


@dataclass(frozen=True)
class Row:
    """A way in which a server misbehaves, and how to judge the outcome."""

    name: str
    how: str
    respond: Callable[[bytes, Server], bytes | Iterator[bytes]]
    judge: Callable[[Run], str]
    before: Callable[[Path], None] = lambda _out: None
    silent: bool = False


def _ok(body: bytes, *fields: str, status: str = "200 OK", length: object = None) -> bytes:
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _no_whole_file(run: Run) -> str:
    """Expect an error, and nothing under the final name."""
    if run.status is None:
        return "still trying"
    if run.status == 0:
        return f"exit 0, {len(run.content or b'')} bytes"
    return "good" if run.content is None else "error, but the part has the file's name"


def _refused(run: Run) -> str:
    return "still trying" if run.status is None else "good" if run.status else "exit 0"


def _resumed(run: Run) -> str:
    if run.content == NEW and run.status == 0:
        return "good"
    if run.content is not None and OLD[:100] in run.content and NEW[:100] in run.content:
        return f"two versions in one file, exit {run.status}"
    return "good" if run.status else f"exit 0, {len(run.content or b'')} bytes"


def _changed(head: bytes, _server: Server) -> bytes:
    """Serve a file that has changed: whole to a request with If-Range, in part to one with Range alone."""
    lowered = head.lower()
    new = ('ETag: "new"', "Accept-Ranges: bytes", "Last-Modified: Sat, 21 Nov 2026 07:00:00 GMT")
    if b"range: bytes=" in lowered and b"if-range" not in lowered:
        first = int(lowered.split(b"range: bytes=")[1].split(b"-")[0])
        return _ok(NEW[first:], *new, f"Content-Range: bytes {first}-{len(NEW) - 1}/{len(NEW)}", status="206 Partial")
    return _ok(NEW, *new)


def _first_half(out: Path) -> None:
    out.write_bytes(OLD[:HALF])


def _all_of_it(out: Path) -> None:
    out.write_bytes(OLD)


def _wrong_part(head: bytes, _server: Server) -> bytes:
    if b"range: bytes=" in head.lower():
        return _ok(OLD[:1000], f"Content-Range: bytes 0-999/{len(OLD)}", 'ETag: "old"', status="206 Partial")
    return _ok(OLD, 'ETag: "old"', "Accept-Ranges: bytes")


def _complete(head: bytes, _server: Server) -> bytes:
    if b"range: bytes=" in head.lower():
        return _ok(b"nothing left", f"Content-Range: bytes */{len(OLD)}", status="416 Range Not Satisfiable")
    return _ok(OLD, 'ETag: "old"')


def _unchanged(run: Run) -> str:
    if run.status is None:
        return "still trying"
    good = run.status == 0 and run.content == OLD
    return "good" if good else f"exit {run.status}" + ("" if run.content == OLD else ", another content")


def _names(run: Run) -> str:
    outside = [path.name for path in run.folder.parent.iterdir() if path != run.folder and path.name.startswith("x")]
    hidden = [path.name for path in run.folder.iterdir() if path.name.startswith(".")]
    return f"writes {hidden[0]}" if hidden else "leaves the folder" if outside else "good"


def _credentials(run: Run) -> str:
    sent = [head for head in run.server.heard if f":{run.server.ports[1]}".encode() in head]
    leaked = any(b"authorization" in head.lower() for head in sent)
    return "sends the password on" if leaked else "good" if sent else "does not follow"


def _bomb(run: Run) -> str:
    size = run.out.stat().st_size if run.out.exists() else 0
    return "good" if run.status and size < 2**28 else f"exit {run.status}, {size // 2**20} MiB"


def _escapes(run: Run) -> str:
    return "good" if b"\x1b]0;" not in run.output else "drives the terminal"


def _retried(run: Run) -> str:
    return "good" if run.content == b"fine" else f"exit {run.status}"


def _redirect_away(head: bytes, server: Server) -> bytes:
    if f":{server.ports[1]}".encode() in head:
        return _ok(b"fine")
    return _ok(b"", f"Location: http://127.0.0.1:{server.ports[1]}/", status="302 Found")


def _bomb_response(_head: bytes, _server: Server) -> bytes:
    packed = gzip.compress(bytes(2**30), 9)
    return _ok(packed, "Content-Encoding: gzip")


def _busy_once(_head: bytes, server: Server) -> bytes:
    if len(server.heard) == 1:
        return _ok(b"busy", "Retry-After: 1", status="503 Service Unavailable")
    return _ok(b"fine")


def _disposition(name: str) -> Callable[[bytes, Server], bytes]:
    return lambda _head, _server: _ok(b"fine", f'Content-Disposition: attachment; filename="{name}"')


ROWS = (
    Row("the body is truncated (Content-Length)", "save", lambda _h, _s: _ok(b"x" * 500, length=1000), _no_whole_file),
    Row(
        "the body is truncated (chunked)",
        "save",
        lambda _h, _s: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        _no_whole_file,
    ),
    Row("resuming a file that has changed", "resume", _changed, _resumed, _first_half),
    Row(
        "resuming, but the wrong part comes (206)",
        "resume",
        _wrong_part,
        lambda run: (
            "good" if run.status or run.content == OLD else f"exit 0, {len(run.content or b'')} of {len(OLD)} bytes"
        ),
        _first_half,
    ),
    Row(
        "resuming a complete file (416)",
        "resume",
        _complete,
        _unchanged,
        _all_of_it,
    ),
    Row("two lengths that differ", "save", lambda _h, _s: _ok(b"x" * 10, "Content-Length: 5"), _refused),
    Row("a negative length", "save", lambda _h, _s: _ok(b"x" * 10, length=-5), _refused),
    Row("a response without a head (HTTP/0.9)", "save", lambda _h, _s: b"just text\r\n", _refused),
    Row("a header line of 400 KB", "save", lambda _h, _s: _ok(b"x", "X: " + "y" * 400_000), _refused),
    Row(
        "2,000 times 100 Continue", "save", lambda _h, _s: b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + _ok(b"x"), _refused
    ),
    Row("the server names the file .bashrc", "named", _disposition(".bashrc"), _names),
    Row("the server names the file ../../x", "named", _disposition("../../x"), _names),
    Row("redirected to another server, with a password", "auth", _redirect_away, _credentials),
    Row("redirected in a circle", "save", lambda _h, _s: _ok(b"", "Location: /file", status="302 Found"), _refused),
    Row("1 GiB of zeros in 1 MB of gzip, decoded", "decode", _bomb_response, _bomb),
    Row(
        "control characters in a displayed field", "verbose", lambda _h, _s: _ok(b"x", "X: \x1b]0;title\x07"), _escapes
    ),
    Row("503 once, with Retry-After: 1", "save", _busy_once, _retried),
    Row(
        f"silence for {WAIT_S:.0f} s",
        "save",
        lambda _h, _s: b"",
        lambda run: "good" if run.status is not None else f"still waiting after {WAIT_S:.0f} s",
        silent=True,
    ),
)


def run(program: str, row: Row) -> str:
    """Return one cell."""
    command = PROGRAMS[program].get(row.how)
    if command is None:
        return "-"
    server = Server(row.respond, silent=row.silent)
    with tempfile.TemporaryDirectory() as base, server.running() as url:
        folder = Path(base) / "a" / "b"
        folder.mkdir(parents=True)
        out = folder / "out"
        if program == "httpmini" and row.how == "resume":
            _part_of_ours(out, url, row)
        else:
            row.before(out)
        values = {"out": str(out), "url": url, "folder": str(folder), "name": "out"}
        words = [word.format(**values) if word != _REQUESTS and "import" not in word else word for word in command]
        try:
            done = subprocess.run(
                words,
                cwd=folder,
                timeout=WAIT_S,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": base, "no_proxy": "*"},
            )
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            status, output = None, error.stdout or b""
        return row.judge(Run(status, folder, out, output, server))


def _part_of_ours(out: Path, url: str, row: Row) -> None:
    """Make a part as httpmini leaves it: it keeps a plan beside the part, and resumes nothing else."""
    import zlib

    if row.respond is _complete:
        out.write_bytes(OLD)
        return
    Path(f"{out}.part").write_bytes(OLD[:HALF])
    Path(f"{out}.part.json").write_text(
        f'{{"url": "{url}", "entity_tag": "\\"old\\"", "last_modified": "", "length": {len(OLD)}, "segments": '
        f'[{{"start": 0, "end": {len(OLD)}, "done": {HALF}, "checked": {HALF}, "crc32": {zlib.crc32(OLD[:HALF])}}}]}}'
    )


def main() -> None:
    """Print the table."""
    here = [name for name, command in PROGRAMS.items() if shutil.which(command["version"][0])]
    for name in here:
        output = subprocess.run(PROGRAMS[name]["version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        print(f"{name}: {output.decode().splitlines()[0]}")
    print("missing:", ", ".join(sorted(set(PROGRAMS) - set(here))) or "none", f"({time.strftime('%Y-%m-%d')})\n")
    print("| the server | " + " | ".join(here) + " |")
    print("|---" * (len(here) + 1) + "|")
    with ThreadPoolExecutor(4) as pool:
        cells = {(row.name, name): pool.submit(run, name, row) for row in ROWS for name in here}
        for row in ROWS:
            print(f"| {row.name} | " + " | ".join(cells[row.name, name].result() for name in here) + " |", flush=True)


if __name__ == "__main__":
    main()
