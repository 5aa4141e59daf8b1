"""Where a request ends: what servers and proxies disagree about is how requests are smuggled."""

from __future__ import annotations

from httpmini.lint.check import MUST, SHOULD, Group, fail
from httpmini.lint.checks.judge import refuses, sends_the_file
from httpmini.lint.lab import Session

_group = Group("framing", ("1.1",))


def _body_is_no_request(session: Session) -> None:
    """A request in a body, and after it a last one, so that there is nothing to wait for."""
    inner = session.request("/hidden-in-a-body")
    head = session.request("", "Connection: keep-alive", f"Content-Length: {len(inner)}", version="1.1")
    said = session.ask(head + inner + session.request("", "Connection: close"), to_end=True)
    hidden = next((answer for answer in said.answers if answer.status == 404), None)
    if hidden is not None:
        fail(f"the body was answered as a request, too: {hidden}")


def _chunked_and_length(session: Session) -> None:
    inner = b"0\r\n\r\n" + session.request("/hidden-in-a-body")
    fields = ("Connection: keep-alive", "Content-Length: 5", "Transfer-Encoding: chunked")
    data = session.request("", *fields, version="1.1") + inner
    said = session.ask(data + session.request("", "Connection: close"), to_end=True)
    found = [answer for answer in said.answers if answer.status]
    if len(found) > 1 and found[0].status < 400:
        fail(f"both lengths were accepted, and what follows was answered: {found[1]}")


def _closes_if_asked(session: Session) -> None:
    said = session.ask(session.request("", "Connection: close", version="1.1"), to_end=True)
    session.expect_file(said.answers[0])
    if not said.ended:
        fail(f"it was still open after {session.lab.wait_s:g} s")


FRAMING = (
    _group.check(
        MUST,
        "host-missing",
        "refuses a request of HTTP/1.1 without Host",
        "RFC 9112 3.2",
        "HTTP/1.1 clients always say which site they mean; without it, say 400.",
        refuses("1.1 without Host", statuses=(400,)),
    ),
    _group.check(
        MUST,
        "host-twice",
        "refuses two Host fields",
        "RFC 9112 3.2",
        "With two hosts a cache and a server can choose different ones: 400.",
        refuses("two Hosts", statuses=(400,)),
    ),
    _group.check(
        MUST,
        "host-invalid",
        "refuses a Host that is none",
        "RFC 9112 3.2",
        "A Host with a blank, a slash or an at sign is a 400.",
        refuses("Host 'a b'", "Host 'a/b'", "Host 'a@b'", statuses=(400,)),
    ),
    _group.check(
        MUST,
        "host-valid",
        "takes hosts with ports, and IPv6 addresses",
        "RFC 9110 7.2",
        "Host may have a port, and IPv6 addresses stand in brackets.",
        sends_the_file("Host 'example.org:80'", "Host '[::1]:8080'", "Host '127.0.0.1:1'"),
    ),
    _group.check(
        MUST,
        "length-invalid",
        "refuses a Content-Length that is no number",
        "RFC 9112 6.3",
        "int('+5') and int('5_0') succeed in Python, so look that there are only digits.",
        refuses("length '-1'", "length '+5'", "length '0x5'", "length '5_0'", "length 'five'", statuses=(400,)),
    ),
    _group.check(
        MUST,
        "length-twice",
        "refuses two different lengths",
        "RFC 9112 6.3",
        "If two programs choose different lengths, one of them sees a request that the other does not.",
        refuses("two lengths", statuses=(400,)),
    ),
    _group.check(
        MUST,
        "body-skipped",
        "does not take the body of a request for the next one",
        "RFC 9112 6",
        "Read or skip as many bytes as Content-Length says, or close the connection.",
        _body_is_no_request,
        profiles=("1.0", "1.1", "course"),
    ),
    _group.check(
        MUST,
        "chunked-and-length",
        "does not accept a length beside chunks",
        "RFC 9112 6.1",
        "A request with both is how requests are smuggled: answer 400 and close.",
        _chunked_and_length,
    ),
    _group.check(
        SHOULD,
        "connection-close",
        "closes if the client asks for it",
        "RFC 9112 9.6",
        "'Connection: close' means that this is the last request.",
        _closes_if_asked,
    ),
)
