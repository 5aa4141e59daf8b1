"""Connections that go on: several requests, one after another."""

from __future__ import annotations

from httpmini.lint.check import DECISION, MUST, Group, NotApplicable, fail
from httpmini.lint.lab import Session

_group = Group("connections", ("1.0", "1.1"))


def _kept(session: Session) -> bytes:
    return session.request("", "Connection: keep-alive")


def _keeps(session: Session) -> None:
    if not session.answer(_kept(session)).keeps:
        fail("Connection: keep-alive is answered with an end")


def _needs_keeping(session: Session) -> None:
    if not session.answer(_kept(session)).keeps:
        raise NotApplicable("it keeps no connections")


def _as_it_says(session: Session) -> None:
    """Two requests on one connection if it says keep-alive."""
    _needs_keeping(session)
    with session.connection() as sock:
        for number in ("first", "second", "third"):
            session.send(sock, _kept(session))
            said = session.read(sock)
            session.expect_file(said.answers[0], f"the {number} response")
            if len(said.answers) > 1:  # or they are met as the beginning of the next response
                fail(f"more bytes came after the {number} response")


def _pipelined(session: Session) -> None:
    _needs_keeping(session)
    with session.connection() as sock:
        session.send(sock, _kept(session) * 3)
        found = session.read(sock, answers=3).answers
    if len(found) != 3:
        fail(f"{len(found)} responses to three requests")
    for answer in found:
        session.expect_file(answer)


def _after_an_error(session: Session) -> None:
    """A 404 that says keep-alive goes on."""
    _needs_keeping(session)
    with session.connection() as sock:
        session.send(sock, session.request("/there-is-no-such-file-7f3a", "Connection: keep-alive"))
        answer = session.read(sock).answers[0]
        if not answer.is_complete:
            fail("the length of the 404 is wrong")
        if answer.keeps:
            session.send(sock, _kept(session))
            session.expect_file(session.read(sock).answers[0], "after a 404")


def _head_then_get(session: Session) -> None:
    _needs_keeping(session)
    with session.connection() as sock:
        session.send(sock, session.request("", "Connection: keep-alive", method="HEAD"))
        session.read(sock, head_only=True)
        session.send(sock, _kept(session))
        session.expect_file(session.read(sock).answers[0], "after HEAD")


CONNECTIONS = (
    _group.check(
        DECISION,
        "keep-alive",
        "keeps the connection if the client asks for it",
        "RFC 2068 19.7.1",
        "A page with thirty pictures is faster over one connection than over thirty.",
        _keeps,
    ),
    _group.check(
        MUST,
        "kept-requests",
        "answers all requests on a connection that it keeps",
        "RFC 2068 19.7.1",
        "If you say keep-alive, read the next request; else say close and close.",
        _as_it_says,
    ),
    _group.check(
        MUST,
        "pipelined",
        "answers requests that arrive together, in their order",
        "RFC 9112 9.3.2",
        "One recv() may contain the end of one request and the beginning of the next: keep the rest.",
        _pipelined,
    ),
    _group.check(
        MUST,
        "kept-after-404",
        "goes on after a 404, as it says",
        "RFC 9112 9.3",
        "The body of an error has a length too.",
        _after_an_error,
    ),
    _group.check(
        MUST,
        "kept-after-head",
        "goes on after HEAD",
        "RFC 9112 6.3",
        "Bytes after the head of a HEAD would be read as the next response.",
        _head_then_get,
    ),
)
