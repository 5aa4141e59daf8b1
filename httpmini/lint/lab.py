"""The server under examination, and a check's conversations with it: sockets, bounds, and a record of the bytes."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from httpmini.errors import CannotRun
from httpmini.lint.answer import NOTHING, Answer, read_answer
from httpmini.lint.cases import CASES, Case
from httpmini.lint.check import NotApplicable, fail

if TYPE_CHECKING:
    from httpmini.lint.spawn import Spawned

MOST_CONNECTIONS = 400
_MOST_BYTES = 16 << 20  # of one conversation: a server that never stops sending is not read for ever
_MOST_RECORDED = 4096  # bytes of one direction that a report shows
_BY_NAME = {case.name: case for case in CASES}


class NoAnswer(Exception):
    """The server has not answered in time: a failure, and a timeout of its group."""


class OutOfConnections(Exception):
    """The examination has used all of its connections."""


@dataclass(eq=False)
class Lab:
    """One server, and what all checks share.

    Args:
        host: its address.
        port: its port.
        wait_s: how long a check waits for an answer, in seconds.
        target: a file that it serves, as a request target.
        root: its folder, if that is the one of the cases (``cases/site_tree.py``), so that every file is known.
        spawned: its process, if lint has started it.
        max_clients: how many clients it is said to serve at the same time; 0: not said.

    Attributes:
        connections: how many there have been.
        until: when the examination is over, in monotonic time: nothing is read any more.
    """

    host: str
    port: int
    wait_s: float
    target: str
    root: Path | None
    spawned: Spawned | None = None
    max_clients: int = 0
    connections: int = 0
    until: float = math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self, *, receive_bytes: int = 0) -> socket.socket:
        """Return a connection, with a small receive buffer if ``receive_bytes`` says so.

        Raises:
            OutOfConnections: there have been enough.
            NoAnswer: the server does not take it.
        """
        with self._lock:
            if self.connections >= MOST_CONNECTIONS:
                raise OutOfConnections
            self.connections += 1
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if receive_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            sock.settimeout(self.wait_s)
            sock.connect((self.host, self.port))
        except OSError as error:
            sock.close()
            raise NoAnswer(f"no connection: {error.strerror or error}") from error
        return sock

    @cached_property
    def body(self) -> bytes:
        """The bytes of the known file: those on the disk, if its folder is known; else those that the server sends."""
        answer = Session(self).get()
        if answer.status != 200 or not answer.is_complete:
            raise CannotRun(f"GET {self.target} got {answer}; name a file that the server has")
        if self.root is not None:
            with contextlib.suppress(OSError):  # its name may be encoded in the target
                return (self.root / self.target[1:]).read_bytes()
        if Session(self).get().body != answer.body:
            raise CannotRun(f"GET {self.target} got other bytes the second time; name a file that does not change")
        return answer.body


@dataclass
class Conversation:
    """What one connection said.

    Attributes:
        answers: the responses, in order; none complete ones are the last.
        raw: all bytes that came.
        ended: the server has ended the connection, or reset it.
        waited_s: until the first byte; or until the wait was over.
    """

    answers: list[Answer]
    raw: bytes
    ended: bool
    waited_s: float


@dataclass
class Session:
    """A check's view of the lab; remembers what was sent and received."""

    lab: Lab
    record: list[tuple[str, bytes]] = field(default_factory=list)

    def note(self, direction: str, data: bytes) -> None:
        """Remember bytes for the report: ``">"`` sent, ``"<"`` received."""
        if self.record and self.record[-1][0] == direction:
            data = (self.record.pop()[1] + data)[:_MOST_RECORDED]
        self.record.append((direction, data[:_MOST_RECORDED]))

    @contextlib.contextmanager
    def connection(self, **more: Any) -> Iterator[socket.socket]:
        """A connection that is closed at the end."""
        with self.lab.connect(**more) as sock:
            yield sock

    def send(self, sock: socket.socket, data: bytes) -> None:
        """Send ``data``; a server that closes early is no error, for it may have said why."""
        self.note(">", data)
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)

    def ask(self, data: bytes, *, answers: int = 1, head_only: bool = False, to_end: bool = False) -> Conversation:
        """Send ``data`` on a new connection and read the responses.

        Args:
            data: what is sent, at once.
            answers: how many responses to wait for.
            head_only: they have no bodies.
            to_end: wait until the server ends the connection.
        """
        with self.connection() as sock:
            self.send(sock, data)
            return self.read(sock, answers=answers, head_only=head_only, to_end=to_end)

    def read(
        self, sock: socket.socket, *, answers: int = 1, head_only: bool = False, to_end: bool = False
    ) -> Conversation:
        """Read responses from a connection, each byte within the lab's wait."""
        begin = time.monotonic()
        data, ended, first_s = b"", False, None
        while len(data) < _MOST_BYTES and time.monotonic() < self.lab.until:
            found = _split(data, head_only, ended)
            if ended or (len(found) >= answers and found[answers - 1].is_complete and not to_end):
                break
            try:
                piece = sock.recv(1 << 18)
            except TimeoutError:
                break
            except OSError:
                piece = b""
            first_s = time.monotonic() - begin if first_s is None else first_s
            data, ended = data + piece, not piece
        self.note("<", data)
        waited_s = first_s if first_s is not None else time.monotonic() - begin
        return Conversation(_split(data, head_only, ended), data, ended, waited_s)

    def answer(self, data: bytes, *, head_only: bool = False) -> Answer:
        """Send one request on a new connection; return its response.

        Raises:
            NoAnswer: nothing came within the wait.
        """
        said = self.ask(data, head_only=head_only)
        if not said.raw:
            if said.ended:
                return NOTHING
            raise NoAnswer(f"no answer within {self.lab.wait_s:g} s")
        return said.answers[0]

    def get(self, target: str = "", *lines: str, method: str = "GET", version: str = "1.0") -> Answer:
        """Request ``target`` (the known file without one), with these field lines."""
        return self.answer(self.request(target, *lines, method=method, version=version), head_only=method == "HEAD")

    def request(self, target: str = "", *lines: str, method: str = "GET", version: str = "1.0") -> bytes:
        """Return a request head; a Host field is added unless ``lines`` has one."""
        host = () if any(line.lower().startswith("host") for line in lines) else (f"Host: {self.lab.host}",)
        head = "\r\n".join((f"{method} {target or self.lab.target} HTTP/{version}", *host, *lines, "", ""))
        return head.encode("iso-8859-1")

    def expect_file(self, answer: Answer, what: str = "") -> None:
        """Require the known file, whole.

        Raises:
            Failed: it is something else.
        """
        self.expect_body(answer, self.lab.body, what)

    def expect_body(self, answer: Answer, body: bytes, what: str = "") -> None:
        """Require a 200 with this body.

        Raises:
            Failed: it is something else.
        """
        before = f"{what}: " if what else ""
        if answer.status != 200:
            fail(f"{before}{answer}, not 200")
        if answer.body != body:
            fail(f"{before}{_compare(answer.body, body)}")

    def case(self, name: str) -> Case:
        """Return a wire case, for a server that serves the folder of the cases.

        Raises:
            NotApplicable: it does not.
        """
        self.needs_site()
        return _BY_NAME[name]

    def case_data(self, name: str) -> bytes:
        """Return the request of a wire case that asks for no other file than the known one."""
        return _BY_NAME[name].data

    def needs_site(self) -> Path:
        """Require that the files of the server are known; return the folder.

        Raises:
            NotApplicable: they are not.
        """
        if self.lab.root is None:
            raise NotApplicable("needs --spawn, or --root")
        return self.lab.root

    @property
    def process(self) -> Spawned:
        """The process of the server.

        Raises:
            NotApplicable: lint has not started it.
        """
        if self.lab.spawned is None:
            raise NotApplicable("needs --spawn")
        return self.lab.spawned


def _split(data: bytes, head_only: bool, ended: bool) -> list[Answer]:
    found = []
    while data:
        answer, data = read_answer(data, head_only=head_only, ended=ended)
        found.append(answer)
    return found or [NOTHING]


def _compare(got: bytes, wanted: bytes) -> str:
    if len(got) != len(wanted):
        return f"{len(got):,} bytes came, not {len(wanted):,}"
    at = next(at for at, (one, other) in enumerate(zip(got, wanted, strict=True)) if one != other)
    return f"another byte at offset {at:,}"
