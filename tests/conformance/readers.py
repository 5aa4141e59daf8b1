"""Four readers of responses and a fifth by hand: how each parses the same octets, in one form.

h11, requests (which stands on urllib3), http.client and our own client. Text is ISO-8859-1, names of fields are in
lower case, bodies are as they came.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import h11
import requests

from httpmini.client.client import Client
from httpmini.client.options import Retries
from httpmini.client.transport.connection import Connection
from tests.support.wire import WAIT_S, connect

HOST = "127.0.0.1"
Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Question:
    """A request."""

    method: str
    target: str
    fields: Fields = ()
    body: bytes = b""

    def with_fields(self, *more: tuple[str, str]) -> Question:
        return Question(self.method, self.target, (*self.fields, *more), self.body)

    def spelled(self) -> bytes:
        """Return the request as octets, written by none of the clients."""
        length = [("Content-Length", str(len(self.body)))] if self.body else []
        lines = [f"{self.method} {self.target} HTTP/1.0", *(f"{n}: {v}" for n, v in (*self.fields, *length)), "", ""]
        return "\r\n".join(lines).encode("iso-8859-1") + self.body


@dataclass(frozen=True)
class Reading:
    """A response as a reader parses it.

    Attributes:
        version: of the status line.
        status: the code.
        phrase: the reason phrase.
        fields: in the order received.
        body: all of it.
        may_keep: whether the reader would ask again on the same connection; None where it cannot be asked.
        place: the local port that it asked from; 0 where the connection is gone by the time that we can look.
    """

    version: tuple[int, int]
    status: int
    phrase: str
    fields: Fields
    body: bytes
    may_keep: bool | None = field(default=None, compare=False)
    place: int = field(default=0, compare=False)


def differences(reading: Reading, truth: Reading) -> list[str]:
    """Return how two readings differ, shortened so that a body of 3 MiB stays readable."""
    pairs = ((name, getattr(reading, name), getattr(truth, name)) for name in Reading.__dataclass_fields__)
    return [
        f"{name}: {repr(left)[:600]}, not {repr(right)[:600]}"
        for name, left, right in pairs
        if left != right and name not in ("may_keep", "place")
    ]


def by_hand(octets: bytes) -> Reading:
    """Split one complete response by the grammar of RFC 1945 §6: the body is all that follows the head."""
    head, end, body = octets.partition(b"\r\n\r\n")
    assert end, f"no head in {octets[:200]!r}"
    status_line, *lines = head.decode("iso-8859-1").split("\r\n")
    version, status, phrase = status_line.split(" ", 2)
    parted = [line.partition(": ") for line in lines]
    fields = tuple((name.lower(), value) for name, _, value in parted)
    assert version == "HTTP/1.0"
    assert len(dict(fields)) == len(fields), "a field occurs twice"
    return Reading((1, 0), int(status), phrase, fields, body, may_keep=dict(fields)["connection"] == "keep-alive")


class Reader(Protocol):
    """One client, on one connection for as long as the client itself would keep it."""

    def ask(self, question: Question) -> Reading:
        """Send a request and return the response, read to its end."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class H11Reader:
    """h11. It keeps the order of fields and their duplicates.

    It uses no connection to an HTTP/1.0 peer again, whatever was announced, so ``may_keep`` is always false. But its
    judgement where a response ends is wanted, so each request gets an ``h11.Connection`` of its own on one socket,
    and nothing may be left over.
    """

    def __init__(self, port: int) -> None:
        self._sock = connect(port, HOST)

    def ask(self, question: Question) -> Reading:
        connection = h11.Connection(our_role=h11.CLIENT)
        place = self._sock.getsockname()[1]
        length = [("Content-Length", str(len(question.body)))] if question.body else []
        fields = [("Host", HOST), *question.fields, *length]
        request = h11.Request(method=question.method, target=question.target, headers=fields)
        self._sock.sendall(connection.send(request) or b"")
        if question.body:
            self._sock.sendall(connection.send(h11.Data(data=question.body)) or b"")
        self._sock.sendall(connection.send(h11.EndOfMessage()) or b"")
        return read_events(connection, lambda: self._sock.recv(65536), place)

    def close(self) -> None:
        self._sock.close()


def read_events(connection: h11.Connection, receive: Callable[[], bytes], place: int = 0) -> Reading:
    """Read the response to the request sent on ``connection``."""
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(receive())
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            assert isinstance(event, h11.EndOfMessage), event
            break
    assert head is not None
    assert connection.trailing_data[0] == b"", "there is more than the response"
    may_keep = connection.our_state is h11.DONE and connection.their_state is h11.DONE
    major, minor = (int(number) for number in head.http_version.split(b"."))
    fields = tuple((_text(name).lower(), _text(value)) for name, value in head.headers)
    return Reading((major, minor), head.status_code, _text(head.reason), fields, bytes(body), may_keep, place)


def _text(octets: bytes) -> str:
    return bytes(octets).decode("iso-8859-1")


class RequestsReader:
    """requests, looked at where urllib3 hands over to it: there no field is merged and no body decoded.

    urllib3 moves duplicates of a field to where the first stood; we send none. requests writes methods in capitals.
    Whether it keeps a connection shows before the body is read: one that will be closed is no longer its own.
    """

    def __init__(self, port: int) -> None:
        self._base = f"http://{HOST}:{port}"
        self._session = requests.Session()
        self._session.trust_env = False  # no proxies, no passwords
        self._session.headers.clear()

    def ask(self, question: Question) -> Reading:
        url = self._base + question.target
        request = requests.Request(question.method, url, dict(question.fields), data=question.body or None)
        prepared = self._session.prepare_request(request)
        # Not by Session.send(): that reads the bodies of redirects itself, even where it does not follow them.
        answer = self._session.get_adapter(url).send(prepared, stream=True, timeout=WAIT_S)
        raw = answer.raw
        assert raw.connection is not None
        sock = raw.connection.sock
        place = sock.getsockname()[1] if sock else 0
        fields = tuple((name.lower(), value) for name, value in raw.headers.iteritems())
        body = raw.read(decode_content=False)
        version = divmod(raw.version, 10)
        return Reading(version, answer.status_code, answer.reason, fields, body, sock is not None, place)

    def close(self) -> None:
        self._session.close()


class HttpClientReader:
    """http.client. It keeps the order of fields and their duplicates."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=WAIT_S)

    def ask(self, question: Question) -> Reading:
        self._connection.request(
            question.method, question.target, body=question.body or None, headers=dict(question.fields)
        )
        place = self._connection.sock.getsockname()[1]
        answer = self._connection.getresponse()
        may_keep = not answer.will_close
        fields = tuple((name.lower(), value) for name, value in answer.getheaders())
        return Reading(divmod(answer.version, 10), answer.status, answer.reason, fields, answer.read(), may_keep, place)

    def close(self) -> None:
        self._connection.close()


class OurReader:
    """Our own client, which asks once, follows nothing, and decodes nothing.

    What changes something it never asks on a kept connection (RFC 9110 §9.2.2), so these have no ``place``.
    """

    def __init__(self, port: int) -> None:
        self._base = f"http://{HOST}:{port}"
        self._client = Client(follow=False, decode=False, retries=Retries(times=0))

    def ask(self, question: Question) -> Reading:
        url = self._base + question.target
        with self._client.fetch(url, method=question.method, headers=question.fields, data=question.body) as answer:
            connection: Connection = answer._connection  # its address is hidden from users of the client
            place = connection.sock.getsockname()[1] if connection.sock.fileno() >= 0 else 0
            fields = tuple((name.lower(), value) for name, value in answer.headers)
            body = answer.read()
            return Reading(answer.version, answer.status, answer.reason, fields, body, connection.reusable, place)

    def close(self) -> None:
        self._client.close()


OURS = "httpmini"
READERS: dict[str, Callable[[int], Reader]] = {
    "h11": H11Reader,
    "requests": RequestsReader,
    "http.client": HttpClientReader,
    OURS: OurReader,
}
