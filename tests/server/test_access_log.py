"""Lines of the access log: common tools can read them, and no client can forge them."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Headers, Request, Response
from httpmini.reasons import REASONS
from httpmini.server.listeners.peer import Peer
from httpmini.server.logs.access import AccessLog, TextLog, escape
from httpmini.server.logs.file import MAX_LINE_BYTES

WHEN = 784111777.9
Form = Literal["common", "combined"]

_COMMON = r'(?P<host>\S+) - (?P<user>\S+) \[(?P<date>[^]]+)\] "(?P<line>[^"]*)" (?P<status>\d{3}) (?P<size>\d+|-)'
CLF = {
    "common": re.compile(_COMMON, re.ASCII),
    "combined": re.compile(_COMMON + r' "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"', re.ASCII),
}


class Exchange(NamedTuple):
    """A request, its response, and how much of the body was sent."""

    peer: Peer
    line: str
    request: Request | None
    response: Response
    body_bytes: int
    wall: float

    def write_to(self, log: AccessLog) -> None:
        response = self.response
        text = log.describe(self.line, self.request, response.status, self.body_bytes, response.error)
        log.write(self.peer, response.user, text, 0.0)


OCTETS = "".join(map(chr, range(256)))
SHORT = st.text(st.characters(max_codepoint=0xFF), max_size=25)  # a name is cut at 100 characters, escaped
LATIN = st.text(st.characters(max_codepoint=0xFF), max_size=60)


def an_exchange(
    line: str, fields: tuple[tuple[str, str], ...] | None = (), host: str = "127.0.0.1", user: str = ""
) -> Exchange:
    request = None if fields is None else Request("GET", "/", headers=Headers(fields), line=line)
    return Exchange(Peer(host, 1), line, request, Response(200, user=user), 14, WHEN)


def format_exchange(exchange: Exchange, form: Form) -> str:
    lines: list[str] = []
    exchange.write_to(TextLog(form, lines.append, lambda: exchange.wall))
    return lines[0]


def refusal(token: str, offset: int | None = None, user: str = "") -> Response:
    reason = REASONS[token]
    return Response(reason.status, error=ProtocolError(reason, offset), user=user)


def parse(line: str, form: Form) -> re.Match[str]:
    found = CLF[form].fullmatch(line.partition(" reason=")[0])
    assert found, line
    return found


def unescape(text: str) -> str:
    return re.sub(r"\\x([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), text)


BROWSER = (("Referer", "http://h/"), ("User-Agent", "Mozilla/5.0 (X)"))


@pytest.mark.parametrize(
    ("exchange", "form", "expected"),
    [
        (
            an_exchange("GET / HTTP/1.0", BROWSER),
            "common",
            '127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.0" 200 14',
        ),
        (
            an_exchange("GET / HTTP/1.0", BROWSER),
            "combined",
            '127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.0" 200 14 "http://h/" "Mozilla/5.0 (X)"',
        ),
        (
            an_exchange("GET /", (("user-agent", 'a"b'),), "::1"),
            "combined",
            '::1 - - [06/Nov/1994:08:49:37 +0000] "GET /" 200 14 "-" "a\\x22b"',
        ),
        (
            Exchange(Peer("::1", 1), "", None, refusal("head-slow"), 0, 0.0),
            "combined",
            '::1 - - [01/Jan/1970:00:00:00 +0000] "-" 408 - "-" "-" reason=head-slow section="RFC 9110 15.5.9"',
        ),
        (
            Exchange(Peer("10.0.0.1", 1), "\x16\x03\xff", None, refusal("not-http", 0), 3_000_000_000, 1709210096.0),
            "common",
            '10.0.0.1 - - [29/Feb/2024:12:34:56 +0000] "\\x16\\x03\\xFF" 400 3000000000'
            ' reason=not-http offset=0 section="RFC 9112 2.2"',
        ),
    ],
)
def test_a_line(exchange: Exchange, form: Form, expected: str) -> None:
    assert format_exchange(exchange, form) == expected


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("", ""),
        ("GET /a?b=c&d HTTP/1.0", "GET /a?b=c&d HTTP/1.0"),
        ('"', "\\x22"),
        ("\\", "\\x5C"),
        ("\\x22", "\\x5Cx22"),
        ("a\r\nb", "a\\x0D\\x0Ab"),
        ("\0\t\x1b\x7f", "\\x00\\x09\\x1B\\x7F"),
        ("\x85\xa0\xe9\xff", "\\x85\\xA0\\xE9\\xFF"),
        ("~ !", "~ !"),
    ],
)
def test_escaping(text: str, escaped: str) -> None:
    assert escape(text, 100) == escaped


def test_every_octet_can_be_read_back() -> None:
    escaped = escape(OCTETS, 2000)
    assert escaped.isascii()
    assert escaped.isprintable()
    assert '"' not in escaped
    assert unescape(escaped) == OCTETS


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("a" * 20, 20, "a" * 20),
        ("a" * 21, 20, "a" * 17 + "..."),
        ("a" * 5000, 20, "a" * 17 + "..."),
        ("\n" * 5, 20, "\\x0A" * 5),
        ("\n" * 6, 20, "\\x0A" * 4 + "..."),
        ("a" * 13 + "\n\n", 20, "a" * 13 + "\\x0A" + "..."),
        ("a" * 14 + "\n\n", 20, "a" * 14 + "..."),
        ("a" * 15 + "\n\n", 20, "a" * 15 + "..."),
        ("a" * 16 + "\n\n", 20, "a" * 16 + "..."),
        ("a" * 17 + "\n\n", 20, "a" * 17 + "..."),
    ],
)
def test_long_values_are_cut_between_two_octets(text: str, limit: int, expected: str) -> None:
    assert escape(text, limit) == expected


@settings(max_examples=200, deadline=None, database=None)
@example('\\" \\x22 \\x0')
@given(LATIN)
def test_escaping_is_reversible(text: str) -> None:
    assert unescape(escape(text, 240)) == text


@settings(max_examples=200, deadline=None, database=None)
@given(LATIN, LATIN, SHORT, st.sampled_from(["common", "combined"]))
def test_no_line_can_be_forged(line: str, field: str, user: str, form: Form) -> None:
    assume("://" not in line + field)
    assume("reason=" not in line + field + user)
    found = format_exchange(an_exchange(line, (("Referer", field), ("User-Agent", field)), user=user), form)
    assert found.isascii()
    assert found.isprintable()
    parts = parse(found, form)
    assert unescape(parts["line"]) == (line or "-")
    assert unescape(parts["user"]) == (user or "-")
    assert (parts["host"], parts["status"], parts["size"]) == ("127.0.0.1", "200", "14")
    if form == "combined":
        assert unescape(parts["referer"]) == unescape(parts["agent"]) == (field or "-")


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("GET http://user:secret@h/ HTTP/1.0", "GET http://h/ HTTP/1.0"),
        ("GET http://secret@h/a@b HTTP/1.0", "GET http://h/a@b HTTP/1.0"),
        ("GET HTTP://user:se@cret@h:80 HTTP/1.0", "GET HTTP://h:80 HTTP/1.0"),
        ("GET ftp://user:secret@h/ HTTP/1.0", "GET ftp://h/ HTTP/1.0"),
        ("GET /a://b:c@d/ HTTP/1.0", "GET /a://b:c@d/ HTTP/1.0"),
        ("GET http://h/?a@b HTTP/1.0", "GET http://h/?a@b HTTP/1.0"),
        ("GET http://h/a@b HTTP/1.0", "GET http://h/a@b HTTP/1.0"),
        ("GET /a@b HTTP/1.0", "GET /a@b HTTP/1.0"),
    ],
)
def test_passwords_in_urls_are_left_out(said: str, written: str) -> None:
    fields = (("Referer", said.split()[1]), ("User-Agent", "x"))
    parts = parse(format_exchange(an_exchange(said, fields), "combined"), "combined")
    assert parts["line"] == written
    assert parts["referer"] == written.split()[1]


LONG = st.builds(lambda text, times: text * times, LATIN, st.integers(0, 400))


@settings(max_examples=200, deadline=None, database=None)
@example("\xff" * 20_000, "\n" * 20_000, "x" * 20_000)
@example("x" * 20_000, "x" * 20_000, "x" * 20_000)
@given(LONG, LONG, LONG)
def test_a_line_is_one_write(line: str, referer: str, agent: str) -> None:
    host = "fe80:1111:2222:3333:4444:5555:6666:7777%interface-name0"
    exchange = Exchange(
        Peer(host, 65535),
        line,
        Request("GET", "/", headers=Headers((("Referer", referer), ("User-Agent", agent)))),
        refusal("credentials-malformed", 16_384, "\xff" * 20_000),
        10**18,
        253402300799.0,
    )
    found = format_exchange(exchange, "combined")
    assert len(found.encode()) + 1 <= MAX_LINE_BYTES == 4096
    parse(found, "combined")
