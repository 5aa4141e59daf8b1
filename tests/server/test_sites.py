"""Several sites by host name, each with its own root, rules, authentication and log."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from httpmini import config
from httpmini.errors import ConfigError
from httpmini.protocol.message import bare_host
from httpmini.site.freshness import SETTLED_S
from httpmini.site.users import set_password
from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually
from tests.support.wire import connect, converse, read_answer

SITES = """
[[site]]
hosts = ["a.example"]
root = "a"
precompressed = ["gzip"]
[[site]]
hosts = ["b.example", "B2.example.", "[::1]"]
root = "b"
[site.log]
access = "b.log"
format = "common"
[[site.rules]]
path = "*.txt"
fields = {X-Site = "b"}
[[site.redirects]]
path = "/old"
to = "/new"
[[site.realms]]
path = "/private/"
users = "users"
"""
THIRD = '[[site]]\nhosts = ["c.example"]\nroot = "c"\n'

# Target, field, and the site that serves the file.
ASKED: dict[str, tuple[str, str, str]] = {
    "the first": ("/x.txt", "Host: a.example", "a"),
    "another": ("/x.txt", "Host: b.example", "b"),
    "with a port": ("/x.txt", "Host: b.example:8080", "b"),
    "in another case, with the root's dot": ("/x.txt", "Host: B.EXAMPLE.", "b"),
    "its second name": ("/x.txt", "Host: b2.example", "b"),
    "an address": ("/x.txt", "Host: [::1]:80", "b"),
    "an unknown one": ("/x.txt", "Host: c.example", "a"),
    "an empty one": ("/x.txt", "Host:", "a"),
    "none": ("/x.txt", "X: y", "a"),
    "the target counts": ("http://b.example/x.txt", "Host: a.example", "b"),
    "the target counts, the other way": ("http://a.example:80/x.txt", "Host: b.example", "a"),
    "with a condition": ("/x.txt", "Host: b.example\r\nIf-Match: *", "b"),
    "with a range": ("/x.txt", "Host: b.example\r\nRange: bytes=0-99", "b"),
    "with a coding": ("/x.txt", "Host: b.example\r\nAccept-Encoding: gzip", "b"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / name / "private").mkdir(parents=True)
        (tmp_path / name / "x.txt").write_text(f"this is {name}")
        (tmp_path / name / "private" / "p.txt").write_text(f"private {name}")
    set_password(str(tmp_path / "users"), "ada", "pw", 4)
    return tmp_path


def begin(start: StartServer, folder: Path, mode: str) -> ServerProcess:
    return start(folder / "a", config=f'[server]\nmode = "{mode}"\n{SITES}')


def request(target: str, fields: str) -> bytes:
    return f"GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n{fields}\r\n\r\n".encode()


def test_which_site_serves_a_file(start: StartServer, folder: Path, mode: str) -> None:
    """This holds on one connection, and for cached responses."""
    server = begin(start, folder, mode)
    youngest = max((folder / name / "x.txt").stat().st_ctime for name in "ab")
    eventually(lambda: time.time() > youngest + SETTLED_S, "the files are old enough for answers to be kept")
    with connect(server.port) as sock:
        for _ in range(3):
            for what, (target, fields, site) in ASKED.items():
                sock.sendall(request(target, fields))
                status, named, body = read_answer(sock)
                assert (status // 100, body) == (2, f"this is {site}".encode()), what
                assert named.get("x-site", "") == ("b" if site == "b" else ""), what


def test_each_site_has_its_own_settings(start: StartServer, folder: Path, mode: str) -> None:
    """Authentication, redirections and the access log."""
    server = begin(start, folder, mode)

    def status_of(target: str, host: str) -> int:
        return int(converse(server.port, [request(target, f"Host: {host}")]).split(b" ")[1])

    assert [status_of("/private/p.txt", host) for host in ("a.example", "b.example")] == [200, 401]
    assert [status_of("/old", host) for host in ("a.example", "b.example")] == [404, 301]
    assert [status_of("/x.txt?log", host) for host in ("a.example", "b.example", "b.example")] == [200] * 3
    server.wait_for_line('"GET /x.txt.log HTTP/1.0" 200 9 "-" "-"')
    assert server.stop(signal.SIGTERM) == 0
    written = (folder / "b.log").read_text().splitlines()
    asked = sorted(line.split('"')[1].split(" ")[1] for line in written)  # each worker writes its own when it can
    assert asked == ["/old", "/private/p.txt", "/x.txt?log", "/x.txt?log"]
    assert sum(line.endswith('"GET /x.txt?log HTTP/1.0" 200 9') for line in written) == 2
    assert not any(" 401 " in line or " 301 " in line for line in server.lines)


def test_a_reload_adds_a_site(start: StartServer, folder: Path, mode: str) -> None:
    server = begin(start, folder, mode)
    file = folder / "config-0.toml"
    file.write_text(file.read_text().replace("[[site]]", f'[daemon]\nreadable = ["{folder}"]\n[[site]]', 1) + THIRD)
    os.kill(server.pid, signal.SIGHUP)
    server.wait_for_line("not reloaded: .*daemon.readable has changed")
    file.write_text(f'[server]\nmode = "{mode}"\n[daemon]\nsandbox = "off"\n{SITES}')
    other = start(folder / "a", "-c", str(file))
    file.write_text(file.read_text() + THIRD)
    os.kill(other.pid, signal.SIGHUP)
    other.wait_for_line(r"(?<!not) reloaded: .*\[\[site\]\]: 2 before, 3 after")
    assert converse(other.port, [request("/x.txt", "Host: c.example")]).endswith(b"this is c")
    assert converse(server.port, [request("/x.txt", "Host: c.example")]).endswith(b"this is a")


def test_shown_settings_can_be_read_again(folder: Path) -> None:
    """The output of ``config show`` is a file with the same meaning."""
    file = folder / "sites.toml"
    file.write_text(SITES)
    before = config.load(str(file))
    again = folder / "again.toml"
    again.write_text(config.show(before))
    assert config.differences(before, config.load(str(again))) == []
    file.write_text(SITES.replace('"/new"', '"/newer"').replace("b.log", "c.log"))
    assert config.differences(before, config.load(str(file))) == [
        f'[[site]] no. 2: log.access: "{folder / "b.log"}" -> "{folder / "c.log"}"',
        "[[site]] no. 2: [[redirects]]: 1 before, 1 after",
    ]


WRONG: dict[str, tuple[str, str]] = {
    "no hosts": ('[[site]]\nroot = "a"\n[[site]]\nroot = "b"\n', "[[site]] no. 2: hosts: is missing"),
    "twice": (SITES + '[[site]]\nhosts = ["B.example"]\nroot="c"\n', '[[site]] no. 3: hosts = "B.example": is listed'),
    "with a port": ('[[site]]\nhosts = ["a:80"]\nroot = "a"\n', '[[site]] no. 1: hosts = "a:80": must be a host name'),
    "no root": (SITES.replace('"a"', '"nowhere"', 1), '[[site]] no. 1: root = "nowhere": does not exist'),
    "unknown": (SITES.replace("precompressed", "compressed"), "[[site]] no. 1: compressed"),
    "a rule of nobody": (SITES + '[[rules]]\npath = "*"\nfields = {}\n', "[[rules]]: belongs to one site"),
    "a wrong rule": (SITES.replace("X-Site", '"X Site"'), "[[site]] no. 2: [[rules]] no. 1: fields"),
    "a level": (
        SITES.replace('format = "common"', 'level = "info"'),
        '[[site]] no. 2: log.level = "info": only access and format',
    ),
    "a log that is none": ('[[site]]\nlog = 3\nroot = "a"\n', "[[site]] no. 1: log = 3: must be a table"),
    "a format": (SITES.replace('"common"', '"short"'), '[[site]] no. 2: log.format = "short": must be one of'),
    "for all of them": ("[limits]\nhead_s = 0\n" + SITES, "limits.head_s = 0: must be"),
    "none": ("site = []\n", "site = []: must be a table"),
    "numbers": ("site = [1]\n", "site = [1]: must be a table"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(folder: Path, case: str) -> None:
    """The error is one line that names the site."""
    text, expected = WRONG[case]
    file = folder / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(str(file))
    assert [str(problem) for problem in caught.value.problems] == [str(caught.value)]
    assert str(caught.value).startswith(f"{file}: {expected}")


@pytest.mark.parametrize(
    ("said", "bare"),
    [
        ("Example.ORG", "example.org"),
        ("example.org.:80", "example.org"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("[::1", "["),
        (":80", ""),
        ("", ""),
    ],
)
def test_hosts_are_normalised(said: str, bare: str) -> None:
    assert bare_host(said) == bare
