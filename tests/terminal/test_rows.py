"""The rows of transfers, drawn from fixed figures."""

from __future__ import annotations

import json
import time

import pytest

from httpmini.cli.terminal.look import Look, look_of
from httpmini.cli.terminal.rows import Rows
from httpmini.cli.terminal.transfers import Kind, Transfers, name_of

PLAIN = Look(moves=True, colour=False, unicode=True)
NOON = time.mktime((2026, 11, 29, 12, 3, 0, 0, 0, -1))


def sending(sent: int, target: str = "/film.mp4", total: int = 734_003_200) -> str:
    return json.dumps({"sending": target, "client": "192.168.1.40", "port": 5, "sent": sent, "total": total})


def ended(status: int = 200, size: int = 734_003_200, **more: object) -> str:
    said = {"client": "192.168.1.40", "port": 5, "method": "GET", "target": "/film.mp4", "duration": 35.0}
    return json.dumps({**said, "status": status, "bytes": size, **more})


def half_done(target: str = "/film.mp4") -> Transfers:
    transfers = Transfers()
    for second in range(3):
        transfers.read(sending(354_361_728 + second * 21_000_000, target), 100.0 + second, NOON)
    return transfers


@pytest.mark.parametrize(
    ("width", "row"),
    [
        (40, "film.mp4          54 %   21 MB/s   0:16"),
        (80, "12:03  192.168.1.40    film.mp4        ━━━━━━━━╸          54 %   21 MB/s   0:16"),
        (
            130,
            "12:03  192.168.1.40    film.mp4                                                          "
            "━━━━━━━━╸          54 %   21 MB/s   0:16",
        ),
    ],
)
def test_a_transfer_under_way(width: int, row: str) -> None:
    (one,) = half_done().running.values()
    drawn = Rows(PLAIN).running(one, width)
    assert drawn == row
    assert len(drawn) < width


def test_only_ascii() -> None:
    (one,) = half_done("/caf%C3%A9%E2%80%AE.mp4").running.values()
    drawn = Rows(Look(moves=True, colour=False, unicode=False)).running(one, 100)
    assert drawn.isascii()
    assert "########--------   54 %" in drawn


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (ended(), "12:03  192.168.1.40    film.mp4             734.0 MB in 0:35, 21.0 MB/s"),
        (
            ended(duration=0.1, size=3),
            "12:03  192.168.1.40    film.mp4                                         3 bytes",
        ),
        (
            ended(404, target="/a%20b"),
            "12:03  192.168.1.40    a b                                        404 Not Found",
        ),
        (ended(401, reason="credentials-wrong"), "12:03  192.168.1.40    film.mp4  wrong password"),
        ("2026-11-29T11:03:00Z warning: max_clients reached", "12:03  max_clients reached"),
        (ended(401, reason="credentials-missing"), None),
        (ended(304), None),
        (ended(method="HEAD"), None),
        ("2026-11-29T11:03:00Z error: the server ends: fault", None),
        ('{"client":"192.168.1.40","port":5,"stat', None),
    ],
)
def test_what_stays(said: str, text: str | None) -> None:
    line = Transfers().read(said, 0.0, NOON)
    if text is None:
        assert line is None
    else:
        assert line is not None
        (row,) = Rows(PLAIN).line(line, 80)
        assert row.split() == text.split()


def test_a_long_message_is_broken_at_blanks() -> None:
    line = Transfers().read("2026-11-29T11:03:00Z error: " + "word " * 20, 0.0, NOON)
    assert line is not None
    rows = Rows(PLAIN).line(line, 40)
    assert len(rows) == 3
    assert all(len(row) < 40 for row in rows)
    assert " ".join(rows).split() == ["12:03", *["word"] * 20]


def test_a_transfer_that_was_cut_off_or_lost() -> None:
    transfers = half_done()
    line = transfers.read(ended(size=396_361_728), 103.0, NOON)
    assert line is not None
    assert (line.kind, line.note) == (Kind.CUT, "54 %")
    assert not transfers.running
    transfers = half_done()
    transfers.forget_silent(104.0)
    assert transfers.running
    transfers.forget_silent(110.0)
    assert not transfers.running


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/", "/"),
        ("/a%20b/c?zip", "a b/c"),
        ("/%1b%5b2J", "\\x1b[2J"),
        ("/%E2%80%AEfdp.exe", "\\u202efdp.exe"),
        ("/caf%C3%A9", "café"),
        ("/%ff", "\N{REPLACEMENT CHARACTER}"),
        ("*", "*"),
    ],
)
def test_names_are_harmless(target: str, name: str) -> None:
    assert name_of(target) == name


@pytest.mark.parametrize(
    ("environment", "encoding", "look"),
    [
        ({"TERM": "xterm"}, "utf-8", Look(True, True, True)),
        ({"TERM": "dumb"}, "utf-8", Look(False, False, True)),
        ({}, "utf-8", Look(False, False, True)),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "UTF-8", Look(True, False, True)),
        ({"TERM": "xterm", "NO_COLOR": ""}, "utf8", Look(True, True, True)),
        ({"TERM": "xterm", "LC_ALL": "C"}, "utf-8", Look(True, True, False)),
        ({"TERM": "xterm"}, "iso-8859-1", Look(True, True, False)),
    ],
)
def test_what_a_terminal_can_show(environment: dict[str, str], encoding: str, look: Look) -> None:
    assert look_of(environment, encoding) == look
