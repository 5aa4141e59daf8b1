"""Nothing that a client sends gets into a log as anything but a quoted part of its own line, in any log and format."""

from __future__ import annotations

import base64
import json
import re
import socket
from pathlib import Path

import pytest

from httpmini.server.logs.error import Level, error_log
from tests.conftest import StartServer
from tests.server.test_log_places import JOURNAL, SYSLOG, datagrams
from tests.support.processes import eventually
from tests.support.wire import converse

# Octets that a reader of the log must not get as they are.
HOSTILE: dict[str, bytes] = {
    "a colour": b"\x1b[31mred",
    "a title": b"\x1b]0;owned\x07",
    "eight bit control": b"\x9b31m",
    "delete and bell": b"\x7f\x07\x08",
    "a tab": b"a\tb",
    "not UTF-8": b"\xff\xfe\xc3(",
    "right to left": "\u202egpj.exe".encode(),
    "a line separator": "\u2028forged\x85".encode(),
    "a line end": b'a\nMESSAGE=forged\nPRIORITY=0\n192.0.2.9 - - [x] "GET / HTTP/1.0" 200 1 "-" "-"',
    "a carriage return": b"a\r192.0.2.9 - - forged",
    "a folded line": b"a\r\n PRIORITY=0",
    "a NUL": b"a\0PRIORITY=0",
    "a quote": b'x" 200 5 "-" "forged"',
    "a backslash": b'x\\" 200 5 "-" "forged"\\',
    "JSON": b'","status":200,"user_agent":"forged',
    "a priority": b"<0>Jan  1 00:00:00 kernel[1]: panic",
    "long": b"x" * 7000,
    "long and escaped": b"\xff" * 7000,
}


def requests_with(number: int, value: bytes) -> list[bytes]:
    """Return requests with a hostile value at each place that a log shows."""
    line = b"GET /ten.txt?%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" % number
    user = base64.b64encode(value + b":password")
    return [
        b"GET /ten.txt?%d%s HTTP/1.0\r\n\r\n" % (number, value),
        line.replace(b"GET", value[:200]) + b"\r\n",
        line.replace(b"1.1", value[:200]) + b"\r\n",
        line.replace(b"Host: h", b"Host: " + value) + b"\r\n",
        *(line + name + b": " + value + b"\r\n\r\n" for name in (b"User-Agent", b"Referer", b"X-Forwarded-For")),
        line.replace(b"/ten", b"/sub/ten") + b"Authorization: Basic " + user + b"\r\n\r\n",
        line + value + b": x\r\n\r\n",
    ]


_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\x[0-9A-F]{2})*"'
_COMMON = (
    rf"127\.0\.0\.1 - (?:-|[!#-\[\]-~]|\\x[0-9A-F]{{2}})+ \[[0-9A-Za-z/:+ ]{{26}}\] {_QUOTED} [0-9]{{3}} (?:-|[0-9]+)"
)
_WHY = r"(?: reason=[a-z0-9-]+(?: [a-z]+=[ -~]*)?)?"
FORMATS = {"common": rf"{_COMMON}{_WHY}", "combined": rf"{_COMMON} {_QUOTED} {_QUOTED}{_WHY}", "json": r"\{[ -~]*\}"}


def assert_one_line_of(form: str, line: str) -> None:
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 4096
    assert re.fullmatch(FORMATS[form], line), line
    if form == "json":
        assert json.loads(line)["client"] == "127.0.0.1"
        assert 200 <= json.loads(line)["status"] <= 505


def received(listening: socket.socket, pattern: re.Pattern[str], place: str, count: int) -> list[str]:
    """Return the lines of the access log among what a log daemon gets, once there are ``count`` of them."""
    found: list[str] = []
    while len(found) < count:
        datagram = listening.recv(1 << 20).decode("ascii")
        match = pattern.fullmatch(datagram)
        assert match, datagram
        level, text = (int(match[1]) & 7, match[3]) if place == "syslog" else (int(match[2]), match[1])
        if level == Level.INFO:
            found.append(text)
    return found


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", ["syslog", "journal", "access.log"])
def test_whatever_is_sent_is_one_line(
    start: StartServer, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, form: str
) -> None:
    if place != "access.log":
        monkeypatch.setenv(f"HTTPMINI_{place.upper()}", str(tmp_path / "log"))
    (tmp_path / "users").write_text("ada:$2b$04$" + "." * 53 + "\n")
    config = f'[log]\naccess = "{place}"\nerror = "off"\nformat = "{form}"\n'
    config += f'[[realms]]\npath = "/sub/"\nname = "x"\nusers = "{tmp_path}/users"\n'
    sent = [octets for number, value in enumerate(HOSTILE.values()) for octets in requests_with(number, value)]
    with datagrams(tmp_path / "log") as listening:
        server = start(site, config=config)
        lines: list[str] = []
        for octets in sent:
            converse(server.port, [octets])
            if place != "access.log":
                lines += received(listening, SYSLOG if place == "syslog" else JOURNAL, place, 1)
        if place == "access.log":
            log = tmp_path / place
            eventually(lambda: log.read_bytes().count(b"\n") >= len(sent), "every request has its line")
            lines = log.read_text("ascii").split("\n")[:-1]
    assert len(lines) == len(sent)
    for line in lines:
        assert_one_line_of(form, line)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\nPRIORITY=0", r"a\x0aPRIORITY=0"),
        ("a\r\n2026-01-01T00:00:00Z error: forged", r"a\x0d\x0a2026-01-01T00:00:00Z error: forged"),
        ("\x1b[31m\x9b\x7f\0", r"\x1b[31m\x9b\x7f\x00"),
        ("caf\u00e9 \u202egpj \udcff", "caf\u00e9 \\u202egpj \\xff"),
    ],
)
def test_a_line_about_the_server_is_one_line(text: str, written: str) -> None:
    """Whoever writes it: file names and messages of the system may be anything."""
    lines: list[str] = []
    error_log(lambda line, _level: lines.append(line), Level.INFO, dated=False)(text)
    assert lines == [written]
