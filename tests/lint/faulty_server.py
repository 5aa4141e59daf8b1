"""A throw-away file server with a fault: ``python faulty_server.py PORT ROOT FAULT``, or ``none``.

``python faulty_server.py --many ROOT FAULT...`` serves each fault at a port of its own and prints the ports. It has a
thread for each client, and does all that httpmini lint asks for, except for its fault.
"""

from __future__ import annotations

import email.utils
import hashlib
import html
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT")
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
TYPES = {".txt": "text/plain", ".html": "text/html", ".png": "image/png"}
MOST_CLIENTS = 20
SENDING = threading.Lock()
REMEMBERED: dict[Path, bytes] = {}
LARGE: list[object] = []  # clients that are sent a large file
KEPT: list[object] = []  # what a leaking server never lets go


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, reason: str = "", *fields: str) -> None:
        super().__init__(reason or "no")
        self.status = status
        self.fields = fields


class Client:
    """One connection, with the fault of the server."""

    def __init__(self, sock: socket.socket, root: Path, fault: str, begun: bytes = b"") -> None:
        self.sock = sock
        self.root = root
        self.fault = fault
        self.buffer = begun
        self.served = 0
        self.method = "GET"
        self.head = self.sent_target = b""
        self.fields: dict[bytes, bytes] = {}

    def serve(self) -> None:
        try:
            while self._serve_one():
                pass
        except OSError:
            if self.fault == "reset ends it":
                os._exit(3)
        finally:
            if self.fault != "descriptors leak":
                self._linger()
                self.sock.close()
            else:
                KEPT.append(self.sock)
                self.sock.shutdown(socket.SHUT_WR)

    def _linger(self) -> None:
        """Let the client read what was sent before its own bytes turn into a reset."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(0.2)
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def _read_head(self) -> bytes | None:
        limit = 10_000_000 if self.fault == "endless head" else 16_384
        pieces = 0
        while True:
            if self.buffer[:2] == b"\r\n" and self.fault != "no empty line first":
                self.buffer = self.buffer[2:]
            end = re.search(rb"\r\n\r\n" if self.fault == "no bare LF" else rb"\r?\n\r?\n", self.buffer)
            if end:
                head, self.buffer = self.buffer[: end.start()], self.buffer[end.end() :]
                if self.fault == "pipelining lost":
                    self.buffer = b""
                return head
            line, found, _ = self.buffer.partition(b"\n")
            if found and b" HTTP/" not in line and self.fault != "waits on junk":
                self.buffer = b""
                return line.rstrip(b"\r")
            if self.buffer[:1] == b"\x16" and self.fault != "waits on tls":
                raise Refused(400)
            if len(self.buffer) > limit:
                if self.fault == "closes on long lines":
                    raise OSError
                raise Refused(414 if not found else 431)
            piece = self.sock.recv(65536)
            if not piece:
                if self.fault == "vanishing ends it" if self.buffer else self.fault == "silence ends it":
                    os._exit(3)
                return None
            pieces += 1
            if self.fault == "three pieces at most" and pieces > 3:
                return None
            if self.fault == "one recv is one request" and not piece.endswith(b"\n"):
                return None
            self.buffer += piece

    def _serve_one(self) -> bool:
        self.method, self.fields, keep, simple = "GET", {}, False, False
        try:
            head = self._read_head()
            if head is None:
                return False
            self.head = head
            line, *lines = head.replace(b"\r\n", b"\n").split(b"\n") if self.fault != "bare CR" else head.split(b"\r\n")
            target, version = self._request_line(line)
            simple = version == b""
            self._read_fields(lines)
            self._check(version)
            keep = self._keeps()
            self._skip_body()
            status, fields, body = self._respond(target)
        except Refused as refused:
            body = f"<p>{refused}</p>\n".encode()
            status, fields, keep = (
                refused.status,
                [*refused.fields, f"Content-Length: {len(body)}"],
                keep and refused.status == 404,
            )
        if simple and self.fault != "head for 0.9":
            self._send(body)
            return False
        self._send_response(status, fields, body, keep)
        self.served += 1
        if (self.fault, status) == ("ends after 404", 404) or (self.fault, self.method) == ("ends after head", "HEAD"):
            return False
        if self.fault == "close is a word" and self.fields.get(b"connection") == b"close":
            return True
        return (keep and not (self.fault == "two of three" and self.served == 2)) or self.fault == "never closes"

    def _request_line(self, line: bytes) -> tuple[bytes, bytes]:
        words = line.split(b" ")
        if len(words) == 2 and words[0] == b"GET" and words[1][:1] == b"/":
            return words[1], b""
        if len(words) != 3 or (not TOKEN.fullmatch(words[0])) or b"\0" in line:
            if self.fault == "crashes on junk":
                raise OSError
            raise Refused(200 if self.fault == "junk is fine" else 400)
        self.method, self.sent_target = words[0].decode(), words[1]
        if self.fault == "http/2 is fine" and self.method == "PRI":
            raise Refused(200)
        if self.fault == "any case of methods":
            self.method = self.method.upper()
        version = re.fullmatch(rb"HTTP/([0-9])\.([0-9])", words[2])
        if version is None and self.fault != "any version":
            raise Refused(400)
        if version and version[1] != b"1" and self.fault != "any major":
            raise Refused(505)
        return words[1], words[2]

    def _read_fields(self, lines: list[bytes]) -> None:
        limit = 50 if self.fault == "fifty fields" else 200
        if len(lines) > limit:
            raise Refused(431)
        for line in lines:
            name, colon, value = line.partition(b":")
            if name.endswith((b" ", b"\t")) and self.fault == "space before colon":
                name = name.rstrip()
            if (not colon or not TOKEN.fullmatch(name)) and self.fault != "any field":
                raise Refused(400)
            if re.search(rb"[\0\r\n]", value) and self.fault != "controls":
                raise Refused(400)
            if self.fault == "known fields only" and name.lower().startswith((b"x", b"sec-")):
                raise Refused(400)
            if value.strip() == b"" and self.fault == "no empty values":
                raise Refused(400)
            key = name if self.fault == "case of fields" else name.lower()
            if key in self.fields and key in (b"host", b"content-length") and self.fault != f"two {key.decode()}":
                raise Refused(400)
            self.fields[key] = value.strip()
        if self.fault == "case of fields":
            self.fields = {key.lower() if key.istitle() else key: value for key, value in self.fields.items()}

    def _check(self, version: bytes) -> None:
        is_plain = list(self.fields.items()) == [(b"host", b"127.0.0.1")] and self.sent_target.startswith(b"/")
        if self.fault == "only 1.0" and version == b"HTTP/1.1" and is_plain:
            raise Refused(505)
        host = self.fields.get(b"host")
        if version == b"HTTP/1.1" and host is None and self.fault != "no host":
            raise Refused(400)
        if (
            host
            and not re.fullmatch(rb"(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]*)?", host)
            and self.fault != "any host"
        ):
            raise Refused(400)
        if self.fault == "host without port" and host and (b":" in host and host[:3] != b"127"):
            raise Refused(400)
        length = self.fields.get(b"content-length")
        if length is not None and not length.isdigit() and self.fault != "any length":
            raise Refused(400)
        if b"transfer-encoding" in self.fields and self.fault != "chunks and length":
            raise Refused(400)
        if self.method not in METHODS:
            if self.fault == "any method":
                return
            raise Refused(404 if self.fault == "404 for methods" else 501)
        if self.method in ("GET", "HEAD") or (self.method == "POST" and self.fault == "posts"):
            return
        raise Refused(405, "no", *([] if self.fault == "405 without allow" else ["Allow: GET, HEAD"]))

    def _keeps(self) -> bool:
        words = self.fields.get(b"connection", b"").lower()
        return b"keep-alive" in words and self.fault not in ("keeps nothing", "no length")

    def _skip_body(self) -> None:
        length = self.fields.get(b"content-length", b"0")
        count = int(length) if length.isdigit() else 0
        if b"transfer-encoding" in self.fields:  # the last chunk, of no bytes
            self.buffer = self.buffer.removeprefix(b"0\r\n\r\n")
            return
        if self.fault == "body is a request":
            return
        while len(self.buffer) < count:
            piece = self.sock.recv(65536)
            if not piece:
                raise Refused(400)
            self.buffer += piece
        self.buffer = self.buffer[count:]

    # The target.

    def _decode(self, path: bytes) -> bytes:
        if re.search(rb"%(?![0-9A-Fa-f]{2})", path):
            raise OSError if self.fault == "crashes on percent" else Refused(400)
        digits = rb"%([0-9A-F]{2})" if self.fault == "upper case of hex" else rb"%([0-9A-Fa-f]{2})"
        for _ in range(2 if self.fault == "percent twice" else 1):
            path = re.sub(digits, lambda match: bytes([int(match[1], 16)]), path)
        if self.fault == "plus is blank":
            path = path.replace(b"+", b" ")
        return path

    def _path(self, target: bytes) -> bytes:
        if match := re.match(rb"http://[^/]*", target):
            if self.fault == "no absolute form":
                raise Refused(404)
            target = target[match.end() :] or b"/"
        if self.fault == "query in the name":
            target = target.replace(b"?", b"%3F")
        if self.fault == "decodes before the query":
            path = self._decode(target).split(b"?")[0].split(b"#")[0]
        else:
            path = self._decode(target.split(b"?")[0])
        if self.fault == "nul ends names":
            path = path.split(b"\0")[0]
        if b"\0" in path or len(path) > 8000:
            raise Refused(400)
        if self.fault == "utf-8 only":
            try:
                path.decode()
            except UnicodeDecodeError:
                raise Refused(404) from None
        if self.fault == "ascii only" and not path.isascii():
            raise Refused(404)
        return path

    def _find(self, target: bytes) -> Path:
        path = self._path(target)
        root = os.fsencode(self.root)
        if self.fault == "absolute paths" and path.startswith(b"//"):
            return Path(os.fsdecode(path[1:]))
        parts = path.split(b"/")
        name = path.replace(b"\\", b"/") if self.fault == "backslash" else path
        full = os.path.normpath(os.path.join(root, name.lstrip(b"/")))
        if self._leaves(target, parts, full, root):
            raise Refused(404)
        hidden = [part for part in parts if part.startswith(b".") and part not in (b".", b"..") and b"\\" not in part]
        if hidden and self.fault != "hidden":
            raise Refused(404)
        return Path(os.fsdecode(full))

    def _leaves(self, target: bytes, parts: list[bytes], full: bytes, root: bytes) -> bool:
        """Whether a path is not below the root, as far as the fault lets us see."""
        if self.fault == "dots before decoding" and b".." in parts:
            return b".." in target.split(b"/")
        if self.fault == "prefix only":
            return not full.startswith(root)
        if self.fault in ("links", "devices"):
            return b".." in parts
        if self.fault == "dots" and b".." in parts:
            return False
        if self.fault == "backslash" and b"\\" in b"/".join(parts):
            return False
        return b".." in parts or not os.path.realpath(full).startswith(os.path.realpath(root))

    def _respond(self, target: bytes) -> tuple[int, list[str], bytes]:
        path = self._find(target)
        bare = target.split(b"?")[0]
        try:
            kind = path.stat().st_mode
        except OSError:
            if self.fault == "loops are 500" and path.is_symlink():
                raise Refused(500) from None
            raise Refused(200 if self.fault == "no 404" and "there" in path.name else 404) from None
        if stat.S_ISDIR(kind):
            if not bare.endswith(b"/") and self.fault != "no slash":
                decoded = self._decode(bare).decode("iso-8859-1")
                where = (
                    decoded if self.fault == "open redirect" else quote("/" + decoded.strip("/"), encoding="iso-8859-1")
                )
                raise Refused(301, "moved", f"Location: {where}/")
            if (path / "index.html").is_file() and self.fault != "no index":
                path /= "index.html"
            else:
                return self._list(path)
        elif bare.endswith(b"/") and self.fault != "slash after files":
            raise Refused(404)
        if not path.is_file() and self.fault != "fifo" and not (self.fault == "devices" and path.name == "device"):
            raise Refused(404)
        return self._file(path)

    def _list(self, path: Path) -> tuple[int, list[str], bytes]:
        rows = []
        for name in sorted(os.listdir(path)):
            link = name if self.fault == "raw links" else quote(name, errors="surrogateescape")
            text = name if self.fault == "raw markup" else html.escape(name)
            rows.append(f'<li><a href="{html.escape(link)}">{text}</a>')
        body = ("<!doctype html><ul>" + "".join(rows)).encode("utf-8", "surrogateescape")
        if self.fault == "no listing":
            raise Refused(403)
        return 200, ["Content-Type: text/html", f"Content-Length: {len(body)}"], body

    def _file(self, path: Path) -> tuple[int, list[str], bytes]:
        if self.fault == "devices" and path.name == "device":
            body = bytes(1 << 20)
        elif self.fault == "remembers" and path in REMEMBERED:
            body = REMEMBERED[path]
        elif self.fault == "text mode":
            body = path.read_text(errors="replace").encode()
        else:
            body = self._read(path)
        if self.fault == "two megabytes at most":
            body = body[: 2 << 20]
        if self.fault == "remembers":
            REMEMBERED[path] = body
        if self.fault == "empty is 404" and not body:
            raise Refused(404)
        when = int(path.stat().st_mtime)
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.fault == "tag without quotes":
            tag = tag.strip('"')
        fields = self._fields_of(path, when, tag)
        status = self._condition(when, tag, body)
        if status in (304, 412):
            if self.fault == "304 without tag":
                fields = [field for field in fields if not field.startswith("ETag")]
            body = body if status == 304 and self.fault == "304 with body" else b""
            return status, fields, body
        if self.fault == "ends lines" and self.head == b"GET /ten.txt HTTP/1.0\r\nHost: 127.0.0.1":
            body = body[:-1] + b"\n"
        return self._range(body, tag, fields)

    def _read(self, path: Path) -> bytes:
        if self.fault == "root only" and path.parent != self.root:
            raise Refused(404)
        try:
            return path.read_bytes()
        except PermissionError:
            if self.fault == "permissions end it":
                raise
            raise Refused(403) from None

    def _fields_of(self, path: Path, when: int, tag: str) -> list[str]:
        suffix = path.suffix if self.fault == "case of extensions" else path.suffix.lower()
        date = email.utils.formatdate(time.time() + 86_400 if self.fault == "made tomorrow" else when, usegmt=True)
        if self.fault == "own date form":
            date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(when))
        fields = [
            f"Content-Type: {TYPES.get(suffix, 'application/octet-stream')}",
            f"Last-Modified: {date}",
            f"ETag: {tag}",
        ]
        if self.fault == "no type":
            del fields[0]
        if self.fault == "no last-modified":
            fields = [field for field in fields if not field.startswith("Last-Modified")]
        return fields

    def _condition(self, when: int, tag: str, body: bytes) -> int:
        given = {name.decode(): value.decode("iso-8859-1") for name, value in self.fields.items()}
        if "if-match" in given and self.fault != "no if-match" and given["if-match"] not in ("*", tag):
            return 412
        if "if-none-match" in given:
            tags = [one.strip() for one in given["if-none-match"].split(",")]
            if self.fault == "one tag only":
                tags = [given["if-none-match"]]
            if (tags == ["*"] and self.fault != "no star") or tag in tags:
                return 304
            if self.fault != "date beside tag":
                return 200
        if "if-modified-since" in given and self.fault != "no conditions":
            since = self._date(given["if-modified-since"])
            if self.fault == "any date is 304" or (since is not None and when <= since):
                return 304
            if since is None and self.fault == "bad date is 400":
                raise Refused(400)
        return 200

    def _date(self, text: str) -> float | None:
        forms = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"]
        for form in forms[:1] if self.fault == "one date form" else forms:
            try:
                return float(email.utils.mktime_tz((*time.strptime(text, form)[:9], 0)))
            except ValueError:
                continue
        return None

    def _range(self, body: bytes, tag: str, fields: list[str]) -> tuple[int, list[str], bytes]:
        size = len(body)
        spec = self.fields.get(b"range", b"").decode("iso-8859-1")
        whole = [*fields, f"Content-Length: {size}"]
        if self.fault == "no length":
            whole = fields
        if self.fault == "wrong length" and size:
            whole = [*fields, f"Content-Length: {size - 1}"]
        if (
            not spec
            or self.fault == "no ranges"
            or not size
            or (self.method == "HEAD" and self.fault != "range of head")
        ):
            return 200, whole, body
        if b"if-range" in self.fields and self.fields[b"if-range"].decode() != tag and self.fault != "no if-range":
            return 200, whole, body
        if self.fault == "own tag is another" and b"if-range" in self.fields:
            return 200, whole, body
        if self.fault == "many ranges" and spec.count(",") > 100:
            return 206, [*fields, f"Content-Length: {size * 1300}"], body * 1300
        match = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", spec)
        if match is None or not (match[1] or match[2]):
            if self.fault == "bad range is 206":
                return 206, [*fields, f"Content-Range: bytes 0-0/{size}", "Content-Length: 1"], body[:1]
            if self.fault == "ranges joined" and "," in spec:
                return 206, [*fields, f"Content-Range: bytes 0-1/{size}", "Content-Length: 2"], body[:2]
            return 200, whole, body
        return self._one_range(match[1], match[2], body, fields, whole)

    def _one_range(
        self, first: str, last: str, body: bytes, fields: list[str], whole: list[str]
    ) -> tuple[int, list[str], bytes]:
        size = len(body)
        if not first:
            begin, end = max(0, size - int(last)), size
            if self.fault == "suffix is a prefix":
                begin, end = 0, min(int(last) + 1, size)
            if int(last) == 0:
                begin = size
        else:
            begin, end = int(first), min(int(last) + 1, size) if last else size
            if self.fault == "open range is one byte" and not last:
                end = begin + 1
            if last and int(last) < begin:
                if self.fault == "bad range is 206":
                    return 206, [*fields, f"Content-Range: bytes 0-0/{size}", "Content-Length: 1"], body[:1]
                return 200, whole, body
            if self.fault == "end is excluded" and last:
                end = min(int(last), size) or 1
            if self.fault == "beyond is 416" and last and int(last) >= size:
                begin = size
        if begin >= size:
            if self.fault == "unsatisfiable is 200":
                return 200, whole, body
            raise Refused(416, "no", f"Content-Range: bytes */{size}")
        said = f"Content-Range: bytes {begin}-{end - 1}/{size}"
        if self.fault == "wrong content-range" and first and last:
            said = f"Content-Range: bytes {begin}-{end}/{size}"
        return 206, [*fields, said, f"Content-Length: {end - begin}"], body[begin:end]

    # The response.

    def _send_response(self, status: int, fields: list[str], body: bytes, keep: bool) -> None:
        date = email.utils.formatdate(usegmt=True) if self.fault != "local date" else time.ctime()
        head = [f"HTTP/1.0 {status} {'OK' if status < 400 else 'No'}", "Server: faulty"]
        if self.fault != "no date":
            head.append(f"Date: {date}")
        if self.fault == "no server":
            del head[1]
        if self.fault == "copies the target" and status == 404:
            head.append("X-Target: " + self._decode(self.sent_target).decode("iso-8859-1"))
        if self.fault == "no status reason form":
            head[0] = f"HTTP/1.0  {status}"
        head += fields
        head.append(f"Connection: {'keep-alive' if keep else 'close'}")
        end = "\n" if self.fault == "lf ends" else "\r\n"
        data = (end.join(head) + end * 2).encode("iso-8859-1")
        with_body = (self.method != "HEAD" and status not in (304,)) or (
            self.method == "HEAD" and self.fault == "head with body"
        )
        if self.fault == "304 with body" and status == 304:
            with_body = True
        if self.fault == "head without length" and self.method == "HEAD":
            data = re.sub(rb"Content-Length: [0-9]+\r\n", b"", data)
        self._send(data + (body if with_body else b""))
        if self.fault == "body twice" and with_body:
            self._send(body)

    def _send(self, data: bytes) -> None:
        if self.fault == "one send" and len(data) > 1 << 20:
            self.sock.setblocking(False)
            self.sock.send(data)
            self.sock.settimeout(None)
            return
        if self.fault == "stops at eof" and len(data) > 1 << 20:
            self._send_until_eof(data)
            return
        if self.fault == "loses signals" and len(data) > 1 << 20:
            LARGE.append(self)
            try:
                self.sock.sendall(data)
            finally:
                LARGE.remove(self)
            return
        if self.fault == "one sends at a time":
            with SENDING:
                self.sock.sendall(data)
            return
        self.sock.sendall(data)

    def _send_until_eof(self, data: bytes) -> None:
        """Take the end of the client's direction for its departure."""
        for at in range(0, len(data), 65536):
            self.sock.sendall(data[at : at + 65536])
            self.sock.settimeout(0.02)
            try:
                if self.sock.recv(1) == b"":
                    return
            except TimeoutError:
                pass
            self.sock.settimeout(None)


def listen(port: int, fault: str) -> socket.socket:
    sock = socket.socket()
    if fault != "no reuseaddr":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if fault in ("one send", "reset ends it", "loses signals"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    sock.bind(("127.0.0.1", port))
    sock.listen(128)
    return sock


def serve_one(client: Client, slots: threading.Semaphore) -> None:
    try:
        client.serve()
    finally:
        slots.release()


def accept_for_ever(sock: socket.socket, root: Path, fault: str) -> None:
    served = 0
    slots = threading.Semaphore(MOST_CLIENTS)
    while True:
        if fault != "no threshold":
            slots.acquire()
        conn, _ = sock.accept()
        if fault == "waits for a word":
            conn.recv(1, socket.MSG_PEEK)
        begun = b""
        if fault == "waits for the head" and select.select([conn], [], [], 0.3)[0]:
            while b"\n\r\n" not in begun and (piece := conn.recv(65536)):
                begun += piece
        if fault == "drops the seventh" and slots._value < MOST_CLIENTS - 6:
            conn.close()
            slots.release()
            continue
        if fault == "processes stay":
            served += 1
            if served % 50 == 0:
                KEPT.append(subprocess.Popen(["sleep", "60"]))
        if fault == "zombies" and os.fork() == 0:
            os._exit(0)
        threading.Thread(target=serve_one, args=(Client(conn, root, fault, begun), slots), daemon=True).start()


def main() -> None:
    if sys.argv[1] == "--many":
        root, faults = Path(sys.argv[2]), sys.argv[3:]
        socks = [listen(0, fault) for fault in faults]
        for sock, fault in zip(socks, faults, strict=True):
            threading.Thread(target=accept_for_ever, args=(sock, root, fault), daemon=True).start()
        print(*(sock.getsockname()[1] for sock in socks), flush=True)
        sys.stdin.read()
        return
    port, root, fault = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    ends = threading.Event()
    if fault == "ignores sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: None if LARGE else ends.set())
    if fault == "ignores ctrl-c":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGINT, lambda *_: ends.set())
    if fault == "children stay":
        KEPT.append(subprocess.Popen(["sleep", "60"]))
    sock = listen(port, fault)
    threading.Thread(target=accept_for_ever, args=(sock, root, fault), daemon=True).start()
    ends.wait()


if __name__ == "__main__":
    main()
