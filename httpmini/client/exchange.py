"""One request, one answer: the head at once, the body in pieces as it comes.

An answer that ends before its announced length is an error, never a short file.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from httpmini.client.connect import connect
from httpmini.client.url import Url
from httpmini.errors import BadUrl, BrokenResponse, NotConnected, ProtocolError, TimedOut, Truncated
from httpmini.protocol.message import Headers
from httpmini.protocol.reader import NEED_DATA, HeadLimits, ResponseHead, parse_content_length, read_response_head
from httpmini.protocol.writer import request_head
from httpmini.version import __version__

RECEIVE_BYTES = 64 * 1024
MAX_INTERIM = 100  # answers of 1xx before the answer; servers send one or two
_LIMITS = HeadLimits(head_bytes=64 * 1024, target_bytes=0, fields=500)


@dataclass(frozen=True)
class Answer:
    """An answer whose body is still to come.

    Attributes:
        head: its head.
        raw_head: the same as it came.
        body: yields the body in pieces; raises ``Truncated`` or ``TimedOut`` when it does not come to its end.
    """

    head: ResponseHead
    raw_head: bytes
    body: Iterator[bytes]


@contextmanager
def exchange(
    url: Url, method: str, extra: Headers, trace: Callable[[str, bytes], None] = lambda _direction, _head: None
) -> Iterator[Answer]:
    """Ask ``url`` for an Answer; the connection is closed at the end of the ``with``.

    Args:
        url: where and what.
        method: GET or HEAD.
        extra: header fields; they replace ours of the same name.
        trace: takes ">" with the request head and "<" with the answer's.

    Raises:
        FetchError: by its cause, see ``errors.py``.
    """
    ours = (("Host", url.host_field), ("User-Agent", f"httpmini/{__version__}"), ("Accept", "*/*"))
    fields = Headers((*(field for field in ours if field[0] not in extra), *extra))
    try:
        request = request_head(method, url.target, fields)
    except ValueError as error:
        raise BadUrl(str(error)) from error
    with connect(url) as sock:
        trace(">", request)
        try:
            sock.sendall(request)
        except OSError as error:
            raise NotConnected(f"the connection was lost while asking: {error.strerror}") from error
        buffer, head = _read_head(sock)
        trace("<", buffer[: head.size])
        yield Answer(head, buffer[: head.size], _read_body(sock, head, buffer[head.size :], method))


def _read_head(sock: socket.socket) -> tuple[bytes, ResponseHead]:
    buffer = bytearray()
    interim = 0
    while True:
        try:
            head = read_response_head(buffer, _LIMITS)
            if head is not NEED_DATA and (head.status >= 200 or head.status == 101):
                parse_content_length(head.headers)  # a wrong one is found before the body
                return bytes(buffer), head
        except ProtocolError as error:
            raise BrokenResponse(f"the answer is not understood: {error.reason.text} [{error}]") from error
        if head is not NEED_DATA:  # 100 Continue and its kind: the answer comes after it (RFC 9110 §15.2)
            del buffer[: head.size]
            interim += 1
            if interim > MAX_INTERIM:
                raise BrokenResponse(f"more than {MAX_INTERIM} answers of 1xx came before the answer")
            continue
        data = _receive(sock, "the head of the answer")
        if not data:
            what = "in the middle of its head" if buffer else "without an answer"
            raise Truncated(f"the server closed the connection {what}")
        buffer += data


def _read_body(sock: socket.socket, head: ResponseHead, begun: bytes, method: str) -> Iterator[bytes]:
    """RFC 9112 §6.3: no body, a counted one, or one that ends with the connection."""
    if method == "HEAD" or head.status in (101, 204, 304):
        return
    if "Transfer-Encoding" in head.headers:
        raise BrokenResponse("the answer to an HTTP/1.0 request has a transfer coding")
    length = parse_content_length(head.headers)
    received = 0
    data = begun
    while length is None or received < length:
        data = data or _receive(sock, "the body")
        if not data:
            if length is not None:
                raise Truncated(f"the answer ended after {received} of {length} bytes")
            return
        if length is not None:
            data = data[: length - received]
        received += len(data)
        yield data
        data = b""


def _receive(sock: socket.socket, what: str) -> bytes:
    try:
        return sock.recv(RECEIVE_BYTES)
    except TimeoutError as error:
        raise TimedOut(f"nothing came for {sock.gettimeout():g} s while waiting for {what}") from error
    except OSError as error:
        raise Truncated(f"the connection broke while waiting for {what}: {error.strerror}") from error
