"""Names given by servers: the resulting name cannot leave the folder, hide, or drive the terminal."""

from __future__ import annotations

import pytest

from httpmini.client.download.names import name_from
from httpmini.client.url import parse_url
from httpmini.protocol.message import Headers


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a.txt", "a.txt"),
        ("http://h/x/a%20b.txt?c=d/e", "a b.txt"),
        ("http://h/caf%C3%A9", "café"),
        ("http://h/caf%E9", "caf�"),
        ("http://h/", "download"),
        ("http://h", "download"),
        ("http://h/x/", "download"),
        ("http://h/..%2f..%2fetc%2fpasswd", "passwd"),
        ("http://h/%2e%2e", "download"),
        ("http://h/.bashrc", "bashrc"),
        ("http://h/...", "download"),
        ("http://h/a%00b", "a_b"),
        ("http://h/a%1b[31mb", "a_[31mb"),
        ("http://h/C:%5Cx%5CCON.txt", "CON.txt"),
        ("http://h/" + "a" * 300, "a" * 240),
        ("http://h/" + "a" * 300 + ".tar", "a" * 236 + ".tar"),
        ("http://h/" + "%C3%A9" * 300, "é" * 120),
    ],
)
def test_from_the_url(url: str, name: str) -> None:
    assert name_from(parse_url(url), Headers()) == name


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("attachment", "x"),
        ("attachment; filename=a.txt", "a.txt"),
        ('attachment; filename="a b.txt"', "a b.txt"),
        ('ATTACHMENT ; FileName = "a.txt"', "a.txt"),
        ('attachment; filename="a\\"b.txt"', "a_b.txt"),
        ("attachment; filename=\"a.txt\"; filename*=UTF-8''caf%C3%A9.txt", "café.txt"),
        ("attachment; filename*=iso-8859-1'en'caf%E9.txt", "café.txt"),
        ("attachment; filename*=utf-7''x+AC8-y", "x"),
        ('attachment; filename="caf\xc3\xa9.txt"', "café.txt"),
        ('attachment; filename="caf\xe9.txt"', "café.txt"),
        ('attachment; filename="../../x.sh"', "x.sh"),
        ('attachment; filename="/etc/cron.d/x"', "x"),
        ('attachment; filename="..\\\\..\\\\y.exe"', "y.exe"),
        ("attachment; filename*=UTF-8''..%2F..%2Fz", "z"),
        ('attachment; filename=".bashrc"', "bashrc"),
        ('attachment; filename=".."', "x"),
        ('attachment; filename="."', "x"),
        ('attachment; filename=""', "x"),
        ('attachment; filename=" .. "', "x"),
        ('attachment; filename="a\x1b]0;t\x07"', "a_]0;t_"),
        ('attachment; filename="' + "n" * 300 + '.txt"', "n" * 236 + ".txt"),
        # These would be taken for the plan of an earlier download.
        ('attachment; filename="film.part"', "film.part"),
        ('attachment; filename="film.part.json"', "film_part.json"),
        ('attachment; filename="film.Part.JSON"', "film_Part.JSON"),
        ('attachment; filename="film.part.json.new"', "film_part.json.new"),
        ('attachment; filename="' + "n" * 230 + ".part" + "n" * 99 + '.json"', "n" * 230 + "_part.json"),
    ],
)
def test_from_content_disposition(value: str, name: str) -> None:
    found = name_from(parse_url("http://h/x"), Headers((("Content-Disposition", value),)))
    assert found == name
    assert len(found.encode()) <= 240
    assert not found.startswith(".")
    assert "/" not in found
