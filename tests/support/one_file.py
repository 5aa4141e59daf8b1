"""A server of one file, which can be told to misbehave in the ways of real ones."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable

_RANGE = re.compile(r"(?i)\r\nRange: bytes=(\d+)-(\d*)")
_IF_RANGE = re.compile(r"(?i)\r\nIf-Range: ([^\r]*)")


class OneFile:
    """Serves ``content`` at every path, one thread for each client.

    Attributes:
        content, tag: the file; an empty tag is not sent.
        fields: further fields of each response.
        cut: how many bytes of a body are sent before the connection is closed; None for all.
        part: what becomes of a request for a range: "" for what was asked, else a name in ``PARTS``, or a status line.
        head: what becomes of HEAD: "" for a good response, "silent", "tagless", or a status line.
        most: how many clients are served at once; others get ``refusal``.
        requests: the heads that came.
    """

    def __init__(self, content: bytes, tag: str = '"1"') -> None:
        self.content, self.tag = content, tag
        self.fields: list[str] = ["Accept-Ranges: bytes"]
        self.cut: int | None = None
        self.part = self.head = ""
        self.most = 1000
        self.refusal = "403 Forbidden"
        self.requests: list[str] = []
        self._now = 0
        self._lock = threading.Condition()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/file"

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def wait_until_idle(self) -> None:
        """Wait until no client is served any more."""
        with self._lock:
            assert self._lock.wait_for(lambda: not self._now, 60)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,))
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            self._now += 1
            refused = self._now > self.most
        try:
            with sock:
                self._answer(sock, refused)
        except OSError:
            pass  # the client needs no more
        finally:
            with self._lock:
                self._now -= 1
                self._lock.notify_all()

    def _answer(self, sock: socket.socket, refused: bool) -> None:
        request = ""
        while "\r\n\r\n" not in request:
            data = sock.recv(65536)
            if not data:
                return
            request += data.decode("iso-8859-1")
        self.requests.append(request)
        is_head = request.startswith("HEAD ")
        if refused:
            self._say(sock, self.refusal, [], b"")
        elif is_head and self.head == "silent":
            self._over.wait(30)
        elif is_head and self.head and self.head != "tagless":
            self._say(sock, self.head, [], b"")
        else:
            self._send_file(sock, request, is_head)

    def _send_file(self, sock: socket.socket, request: str, is_head: bool) -> None:
        tags = [f"ETag: {self.tag}"] if self.tag and not (is_head and self.head == "tagless") else []
        status, body, more = "200 OK", self.content, []
        asked, condition = _RANGE.search(request), _IF_RANGE.search(request)
        if asked and (condition is None or condition[1] == self.tag) and self.part != "ignored":
            first, last = int(asked[1]), min(int(asked[2] or 10**12), len(body) - 1)
            if self.part and self.part not in PARTS:
                self._say(sock, self.part, [], b"")
                return
            status = "206 Partial Content"
            first, last, text = PARTS[self.part](first, last, len(body))
            body, more = body[first : last + 1], [text] if text else []
        length = [f"Content-Length: {len(body)}"]
        self._say(sock, status, [*tags, *self.fields, *more, *length], b"" if is_head else body[: self.cut], raw=True)

    def _say(self, sock: socket.socket, status: str, fields: list[str], body: bytes, *, raw: bool = False) -> None:
        if not raw:
            fields = [*fields, f"Content-Length: {len(body)}"]
        sock.sendall("\r\n".join([f"HTTP/1.0 {status}", *fields, "", ""]).encode() + body)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):  # or what is left unread would reset the connection
            pass


def _said(unit: str, length: str = "") -> Callable[[int, int, int], tuple[int, int, str]]:
    return lambda first, last, size: (first, last, f"Content-Range: {unit} {first}-{last}/{length or size}")


PARTS: dict[str, Callable[[int, int, int], tuple[int, int, str]]] = {
    "": _said("bytes"),
    "large letters": _said("Bytes"),
    "unknown length": _said("bytes", "*"),
    "shorter": lambda a, b, n: (a, (c := min(b, a + 200_000)), f"Content-Range: bytes {a}-{c}/{n}"),
    "earlier": lambda a, b, n: ((c := max(0, a - 1000)), b, f"Content-Range: bytes {c}-{b}/{n}"),
    "the whole": lambda a, b, n: (0, n - 1, f"Content-Range: bytes 0-{n - 1}/{n}"),
    "no Content-Range": lambda a, b, n: (a, b, ""),
    "much later": lambda a, b, n: (n - 1, n - 1, f"Content-Range: bytes {n - 1}-{n - 1}/{n}"),
    "other units": _said("lines"),
    "another length": _said("bytes", "5"),
}
