"""``httpmini get`` as people and scripts use it: requests, files, messages and exit statuses."""

from __future__ import annotations

import base64
import fcntl
import gzip
import hashlib
import json
import os
import pty
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from httpmini import errors
from httpmini.lint.cases.site_tree import BIG
from tests.conformance.scripted import serving, wait_for_end
from tests.conftest import StartServer
from tests.support.processes import WAIT_S, eventually, run_command
from tests.support.tools import tool
from tests.support.versions import wait_for_date

HOME = Path(__file__).parent.parent.parent
PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "httpmini", "get"]
MANY = 100  # exchanges; the server ends with the test
STALL = b"<stall>"  # instead of a piece: send nothing more until the client ends
Answer = Callable[[str, str], list[bytes]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working and home directories, both empty; no proxy except one that a test sets."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(HOME))
    monkeypatch.chdir(folder)
    return folder


def get(*arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> tuple[int, bytes, str]:
    if stdin or env:
        command, environment = [*PROGRAM, *arguments], {**os.environ, **(env or {})}
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=WAIT_S, check=False, env=environment)
        status, output, errors = done.returncode, done.stdout, done.stderr
    else:
        status, output, errors = run_command("get", *arguments)
    assert b"Traceback" not in errors
    return status, output, errors.decode()


class Requests(list[bytes]):
    """The requests that a server has received, and its URL."""

    url: str

    @property
    def methods(self) -> list[str]:
        return [request.split(b" ")[0].decode() for request in self]

    def fields(self, name: str) -> list[str]:
        """Return the values of a field in all requests."""
        return re.findall(rf"(?im)^{name}: *(.*?)\r$", b"".join(self).decode("iso-8859-1"))


@contextmanager
def answering(answer: Answer) -> Iterator[Requests]:
    """Run a server that sends ``answer(method, target)`` to each client, and closes."""
    requests = Requests()

    def converse(sock: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (data := sock.recv(65536)):
            request += data
        if not request:
            return
        length = re.search(rb"(?i)content-length: (\d+)", request)
        body = request.partition(b"\r\n\r\n")[2]
        while length and len(body) < int(length[1]):
            body += sock.recv(65536)
        requests.append(request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body)
        method, target = request.decode("iso-8859-1").split(" ")[:2]
        for piece in answer(method, target):
            if piece is STALL:
                wait_for_end(sock)
                return
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        wait_for_end(sock)

    with serving(converse, MANY) as url:
        requests.url = url
        yield requests


def said(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """Build a complete response."""
    lines = [f"HTTP/1.0 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("iso-8859-1") + body


def always(body: bytes, *fields: str, status: str = "200 OK") -> Answer:
    """Send one response to everything, without its body to HEAD."""
    whole = said(body, *fields, status=status)
    return lambda method, _target: [whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else whole]


# Several URLs, and the forms they may have.


def test_several_urls_one_after_another(site: Path, start: StartServer) -> None:
    server = start(site)
    status, out, errors = get(
        server.url + "ten.txt", server.url + "missing", server.url + "sub/file.txt", "http://h:0/"
    )
    assert out.startswith(b"0123456789<!DOCTYPE html>")
    assert out.endswith(b"in sub\n")
    assert errors.splitlines() == [
        f"httpmini: {server.url}missing: 404 Not Found",
        "httpmini: http://h:0/: has no host or port; write http://host:port/path",
    ]
    assert status == 11, "the first that failed"


@pytest.mark.parametrize("text", [":{port}/ten.txt", "127.0.0.1:{port}/ten.txt", "localhost:{port}/ten.txt#x"])
def test_shorthand(site: Path, start: StartServer, text: str) -> None:
    server = start(site)
    assert get(text.format(port=server.port)) == (0, b"0123456789", "")


# Files: their names, and what they replace.

NAMES = [
    ("a.txt", (), "a.txt"),
    ("a%20b.txt?c=/d", (), "a b.txt"),
    ("", (), "download"),
    ("x", ('Content-Disposition: attachment; filename="b.txt"',), "b.txt"),
    ("x", ("Content-Disposition: attachment; filename*=UTF-8''%e2%82%ac.txt",), "\u20ac.txt"),
    ("x", ('Content-Disposition: attachment; filename="../../c.txt"',), "c.txt"),
    ("x", ("Content-Disposition: attachment; filename=.bashrc",), "bashrc"),
    ("%2e%2e%2fd.txt", (), "d.txt"),
    (".hidden", (), "hidden"),
    ("%1b%5b31m.txt", (), "_[31m.txt"),
]


@pytest.mark.parametrize(("target", "fields", "name"), NAMES)
def test_named_by_the_server(here: Path, target: str, fields: tuple[str, ...], name: str) -> None:
    with answering(always(b"body", *fields)) as requests:
        assert get("-O", requests.url + target) == (0, b"", "")
    assert os.listdir(here) == [name]
    assert (here / name).read_bytes() == b"body"
    assert os.listdir(here.parent) == ["here"]
    assert requests.methods == ["HEAD", "GET"]


def test_a_redirection_does_not_choose_the_name(here: Path) -> None:
    def answer(method: str, target: str) -> list[bytes]:
        moved = said(b"", "Location: /.bashrc", status="302 Found")
        return [moved] if target == "/a.txt" else always(b"body")(method, target)

    with answering(answer) as requests:
        assert get("-O", requests.url + "a.txt") == (0, b"", "")
    assert os.listdir(here) == ["a.txt"]


@pytest.mark.parametrize("head", ["HTTP/1.0 501 Not Implemented\r\n\r\n", "what?\r\n\r\n"])
def test_a_server_that_does_not_know_head(here: Path, head: str) -> None:
    with answering(lambda method, _: [head.encode()] if method == "HEAD" else [said(b"body")]) as requests:
        assert get("-O", requests.url + "a.txt") == (0, b"", "")
    assert (here / "a.txt").read_bytes() == b"body"


def _as_file(path: Path) -> None:
    path.write_text("old")


def _as_link(path: Path) -> None:
    (path.parent / "target").write_text("old")
    path.symlink_to("target")


def _as_dangling_link(path: Path) -> None:
    path.symlink_to("target")


@pytest.mark.parametrize("more", [(), ("--data", "x")], ids=["download", "answer"])
@pytest.mark.parametrize("make", [_as_file, _as_link, _as_dangling_link])
@pytest.mark.parametrize("flag", ["-O", "-o"])
def test_what_is_there_already(here: Path, flag: str, make: Callable[[Path], None], more: tuple[str, ...]) -> None:
    """-O replaces nothing without -f; -o replaces a file but not a symlink. Neither writes through one."""
    make(here / "a.txt")
    before = {name: os.lstat(name) for name in os.listdir(here)}
    place = ("-O",) if flag == "-O" else ("-o", "a.txt")
    with answering(always(b"new")) as requests:
        url = requests.url + "a.txt"
        status, out, errors = get(*place, *more, url)
        if flag == "-o" and make is _as_file:
            assert (status, out, errors) == (0, b"", "")
            assert (here / "a.txt").read_bytes() == b"new"
            return
        assert (status, out) == (1, b"")
        assert re.fullmatch(r"httpmini: a\.txt (exists already; -f replaces it|is a symlink, .*)\n", errors)
        assert {name: os.lstat(name).st_ino for name in os.listdir(here)} == {
            name: found.st_ino for name, found in before.items()
        }
        assert "GET" not in requests.methods
        assert get(*place, "-f", *more, url) == (0, b"", "")
    assert stat.S_ISREG(os.lstat(here / "a.txt").st_mode)
    assert (here / "a.txt").read_bytes() == b"new"
    if make is _as_link:
        assert (here / "target").read_text() == "old"
    assert set(os.listdir(here)) == set(before)


@pytest.mark.parametrize(
    ("path", "fragment"),
    [("no/where", "No such file"), ("", "No such file"), ("folder", "Is a directory"), ("a" * 300, "too long")],
)
def test_nothing_is_asked_for_a_file_that_cannot_be(here: Path, path: str, fragment: str) -> None:
    (here / "folder").mkdir()
    with answering(always(b"new")) as requests:
        for more in ((), ("--data", "x")):
            status, out, errors = get("-o", path, *more, requests.url)
            assert (status, out) == (1, b"")
            assert errors.startswith(f"httpmini: cannot write {path}: ")
            assert fragment in errors
    assert requests == []
    assert os.listdir(here) == ["folder"]


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1"])
def test_devices_are_written_to_as_they_are(here: Path, path: str) -> None:
    with answering(always(b"body")) as requests:
        assert get("-o", path, requests.url) == (0, b"body", "")
        assert get("-o", "/dev/null", requests.url) == (0, b"", "")
        with open("out", "wb") as out:
            subprocess.run([*PROGRAM, "-o", path, requests.url], stdout=out, timeout=WAIT_S, check=True)
    assert (here / "out").read_bytes() == b"body"
    assert os.listdir(here) == ["out"]


def test_an_answer_that_breaks_off_leaves_no_file(here: Path) -> None:
    with answering(lambda *_: [said(b"body")[:-1]]) as requests:
        status, _, errors = get("-o", "out", "--data", "x", requests.url)
    assert status == 8
    assert errors == f"httpmini: {requests.url}: the response ended after 3 of 4 bytes\n"
    assert os.listdir(here) == []


# Requests.


def test_methods_and_heads(site: Path, start: StartServer, here: Path) -> None:
    server = start(site)
    status, out, errors = get("-X", "OPTIONS", "-i", server.url)
    assert (status, errors) == (0, "")
    assert b"\r\nAllow: " in out
    status, out, errors = get("-I", "-o", "head", server.url + "ten.txt")
    assert (status, out, errors) == (0, b"", "")
    assert (here / "head").read_bytes().startswith(b"HTTP/1.0 200 OK\r\n")
    assert (here / "head").read_bytes().endswith(b"\r\n\r\n")
    assert get("-X", "POST", server.url + "ten.txt")[0] == 11


def test_fields_replace_ours_or_take_them_out() -> None:
    with answering(always(b"")) as requests:
        assert get("-H", "User-Agent: me", "-H", "Accept:", "-H", "A: 1", "-H", "A: 2", requests.url)[0] == 0
    assert requests.fields("User-Agent") == ["me"]
    assert requests.fields("Accept") == []
    assert requests.fields("A") == ["1", "2"]


FORM = "application/x-www-form-urlencoded"
DATA: list[tuple[tuple[str, ...], bytes, bytes, str]] = [
    (("--data", "a=b"), b"", b"a=b", FORM),
    (("--data", ""), b"", b"", FORM),
    (("--data", "a", "--data", "b"), b"", b"a&b", FORM),
    (("--data", "@file"), b"", b"\x00\r\n\xff", FORM),
    (("--data", "@-"), b"from stdin\n", b"from stdin\n", FORM),
    (("--data", "{}", "-H", "content-type: application/json"), b"", b"{}", "application/json"),
    (("--data", "\u20ac\udcff"), b"", b"\xe2\x82\xac\xff", FORM),
]


@pytest.mark.parametrize(("arguments", "stdin", "body", "media_type"), DATA)
def test_data(here: Path, arguments: tuple[str, ...], stdin: bytes, body: bytes, media_type: str) -> None:
    (here / "file").write_bytes(b"\x00\r\n\xff")
    with answering(always(b"ok")) as requests:
        assert get(*arguments, requests.url, stdin=stdin) == (0, b"ok", "")
        assert get(*arguments, "-X", "PUT", requests.url, stdin=stdin) == (0, b"ok", "")
    assert [request.partition(b"\r\n\r\n")[2] for request in requests] == [body, body]
    assert requests.methods == ["POST", "PUT"]
    assert requests.fields("Content-Length") == [str(len(body))] * 2
    assert requests.fields("Content-Type") == [media_type] * 2


def credentials(requests: Requests) -> list[str]:
    return [base64.b64decode(value.split()[1]).decode() for value in requests.fields("Authorization")]


def test_credentials(here: Path) -> None:
    with answering(always(b"")) as requests:
        port = requests.url.rstrip("/").rpartition(":")[2]
        (here.parent / ".netrc").write_text("machine 127.0.0.1 login net password rc\n")
        (here.parent / ".netrc").chmod(0o600)
        get("-u", "ada:l:ove", requests.url)
        get("-u", "ada:", requests.url)
        get(f"http://bob:s%20b@127.0.0.1:{port}/")
        get("-O", f"http://bob:s%20b@127.0.0.1:{port}/name")
        get("--netrc", requests.url)
        get(requests.url)
    assert credentials(requests) == ["ada:l:ove", "ada:", "bob:s b", "bob:s b", "bob:s b", "net:rc"]


@pytest.mark.parametrize(
    ("content", "mode", "fragment"),
    [
        (None, 0, "cannot read ~/.netrc: No such file"),
        (b"machine 127.0.0.1 login u password p\n", 0o644, "cannot be used: others than its owner have access"),
        (b"this is none\n", 0o600, "cannot be used: bad toplevel token in line 1"),
        (b"machine h\nlogin u password my secret\n", 0o600, "cannot be used: bad follower token in line 2"),
        (b"machine h login u password", 0o600, "cannot be used: it ends in the middle of an entry"),
        (b"machine 127.0.0.1 login \xff password p\n", 0o600, "cannot be used: it is not text"),
    ],
)
def test_a_netrc_file_that_is_no_use(tmp_path: Path, content: bytes | None, mode: int, fragment: str) -> None:
    if content is not None:
        (tmp_path / ".netrc").write_bytes(content)
        (tmp_path / ".netrc").chmod(mode)
    status, out, errors = get("--netrc", "http://127.0.0.1:9/")
    assert (status, out, errors.count("\n")) == (2, b"", 1)
    assert fragment in errors
    assert "secret" not in errors


def test_passwords_are_not_said(here: Path) -> None:
    with answering(lambda *_: [b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n"]) as requests:
        url = requests.url.replace("//", "//bob:secret@")
        for arguments in ((), ("-O",), ("-o", "file"), ("--json",), ("-v",), ("-u", "ada:secret")):
            _, out, errors = get(*arguments, url)
            assert "secret" not in errors + out.decode()
            assert base64.b64encode(b"bob:secret").decode() not in errors
        _, out, errors = get("--json", "http://bob:secret@h:x/")
    assert "secret" not in errors + out.decode()


@pytest.mark.parametrize("mark", "#/?")
@pytest.mark.parametrize("arguments", [(), ("--json",), ("-v", "-O"), ("--json", "-o", "file")])
def test_a_password_that_makes_it_no_url_is_not_said(here: Path, mark: str, arguments: tuple[str, ...]) -> None:
    for url in (f"http://bob:sec{mark}ret@h/", f"bob:sec{mark}ret@h:81/x"):
        status, out, errors = get(*arguments, url)
        assert status == 2
        assert not re.search("sec|ret@|bob", errors + out.decode().replace("secrets", ""))
        if "--json" in arguments:
            assert json.loads(out)["url"].removeprefix("http://").startswith("***@h")
    for proxy in (("--proxy", f"http://bob:sec{mark}ret@h:81"), ()):
        status, out, errors = get(*arguments, *proxy, "http://h/", env={"http_proxy": f"bob:sec{mark}ret@h:81"})
        assert status == 2
        assert not re.search("sec|ret@|bob", errors + out.decode().replace("secrets", ""))
    status, said, errors = mirror(f"http://bob:sec{mark}ret@h/", "copy")
    assert status == 2
    assert not re.search("sec|ret@|bob", errors + said)


@pytest.mark.parametrize(
    "field",
    [
        "Authorization: Bearer sec\nret",
        "Authorization Bearer secret",
        "X-Key: secret€",
        "secret",
        "Content-Length: secret",
    ],
)
def test_a_field_that_cannot_be_sent_is_not_said(field: str) -> None:
    status, out, errors = get("-H", field, "http://127.0.0.1:1/")
    assert (status, out) == (2, b"")
    assert not re.search("sec|ret", errors)


def test_verbose_hides_what_is_a_key(here: Path) -> None:
    names = ("Authorization", "Cookie", "X-Api-Key", "X-Auth-Token", "X-Session-Id", "Proxy-Authorization")
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=secret\r\nWWW-Authenticate: Basic\r\n\r\n"
    with answering(lambda *_: [head]) as requests:
        _, _, errors = get("-v", *(part for name in names for part in ("-H", f"{name}: secret")), requests.url)
    assert [requests.fields(name) for name in names] == [["secret"]] * len(names)
    assert "secret" not in errors
    for name in (*names, "Set-Cookie"):
        assert f"{name}: (not shown)" in errors
    assert "< WWW-Authenticate: Basic" in errors


def test_the_entry_of_the_user_in_the_url(here: Path) -> None:
    (here.parent / ".netrc").write_text(
        "machine 127.0.0.1 login ada password a\nmachine 127.0.0.1 login bob password b\n"
    )
    (here.parent / ".netrc").chmod(0o600)
    with answering(always(b"")) as requests:
        url = requests.url.replace("//", "//ada@")
        for arguments in ((), ("-O",), ("-o", "file"), ("-X", "GET", "-o", "other")):
            get("--netrc", *arguments, f"{url}name")
        get(f"{url}name")
        mirror("--netrc", url, "copy")
    *with_entry, without, of_mirror = credentials(requests)
    assert {*with_entry, of_mirror} == {"ada:a"}
    assert without == "ada:"


def test_a_head_whose_body_comes_late(here: Path) -> None:
    """The body of one response is never the next one, whatever it looks like."""
    evil = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nevil!"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(evil)

    def answer(method: str, _: str) -> list[bytes]:
        return [head, evil]

    with answering(answer) as requests:
        assert get("-O", f"{requests.url}a.txt")[0] == 0
    assert (here / "a.txt").read_bytes() == evil
    assert requests.methods == ["HEAD", "GET"]


def test_redirections(site: Path, start: StartServer) -> None:
    server = start(site)
    assert get(server.url + "indexed") == (0, b"an index\n", "")
    status, out, errors = get("--no-follow", server.url + "indexed")
    message = f"httpmini: {server.url}indexed: 301 Moved Permanently; it is at {server.url}indexed/\n"
    assert (status, errors) == (11, message)
    assert b"<html" in out
    status, out, errors = get("--no-follow", "-o", "file", server.url + "indexed")
    assert (status, out, errors) == (11, b"", message)


def test_a_part_that_nobody_asked_for_is_refused() -> None:
    with answering(always(b"part", "Content-Range: bytes 0-3/9", status="206 Partial Content")) as requests:
        assert get(requests.url)[0] == 7
        assert get("-H", "Range: bytes=0-3", requests.url) == (0, b"part", "")
        assert get("-H", "Range: bytes=0-3", "-o", "file", requests.url) == (0, b"", "")


def test_codings_are_asked_for_when_told(here: Path) -> None:
    packed = gzip.compress(b"text" * 100)
    with answering(always(packed, "Content-Encoding: gzip")) as requests:
        assert get(requests.url) == (0, packed, "")
        assert requests.fields("Accept-Encoding") == []
        assert get("--compressed", requests.url) == (0, b"text" * 100, "")
        assert "gzip" in requests.fields("Accept-Encoding")[0]
        assert get("--compressed", "-o", "file", requests.url) == (0, b"", "")
        sizes = json.loads(get("--compressed", "--json", requests.url)[1])["sizes"]
    assert (here / "file").read_bytes() == b"text" * 100
    assert sizes == {"wire": len(packed), "decoded": 400}


# Routes.


def test_routes(here: Path, site: Path, start: StartServer) -> None:
    server = start(site)
    name = f"http://example.org:{server.port}/ten.txt"
    assert get("--resolve", f"example.org:{server.port}:127.0.0.1", name) == (0, b"0123456789", "")
    assert get("-4", server.url + "ten.txt") == (0, b"0123456789", "")
    status, _, errors = get("-6", server.url + "ten.txt")
    assert status in (3, 4)
    assert errors.startswith(f"httpmini: {server.url}ten.txt: ")


def test_a_unix_socket(here: Path) -> None:
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(WAIT_S)
                sock.recv(65536)
                sock.sendall(said(b"local"))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert get("--unix-socket", "socket", "http://anything/x") == (0, b"local", "")
        finally:
            thread.join(WAIT_S)


def test_a_proxy() -> None:
    with answering(always(b"by proxy")) as requests:
        env = {"http_proxy": requests.url}
        url = "http://example.invalid/x"
        assert get("--proxy", requests.url, url) == (0, b"by proxy", "")
        assert get(url, env=env) == (0, b"by proxy", "")
        assert [request.split(b"\r\n")[0] for request in requests] == [f"GET {url} HTTP/1.0".encode()] * 2
        assert get("--no-proxy", url, env=env)[0] == 3
        assert len(requests) == 2


def test_a_tunnel_is_shown_without_its_password() -> None:
    with answering(always(b"", status="403 No\x9b31m")) as requests:
        proxy = requests.url.replace("//", "//ada:love@")
        status, out, errors = get("-v", "--proxy", proxy, "https://example.invalid/x")
    assert (status, out) == (4, b"")
    assert errors.splitlines()[:4] == [
        "> CONNECT example.invalid:443 HTTP/1.0",
        "> Host: example.invalid:443",
        "> Proxy-Authorization: (not shown)",
        "< HTTP/1.0 403 No\\x9b31m",
    ]


# Exit statuses: one for each cause.


@contextmanager
def full_listener() -> Iterator[str]:
    """A port with a full backlog, so that no connection to it succeeds."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.socket() as first,
        socket.socket() as second,
    ):
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


BODY = b"0123456789" * 100
CAUSES: dict[str, tuple[Answer, tuple[str, ...], int, str]] = {
    "silent": (lambda *_: [STALL], ("--first-byte-timeout", "0.1"), 6, "first byte"),
    "silent in its head": (lambda *_: [b"HTTP/1.0", STALL], ("--silence-timeout", "0.1"), 6, "silence"),
    "silent in its body": (lambda *_: [said(BODY)[:-5], STALL], ("--silence-timeout", "0.1"), 6, "silence"),
    "slow": (lambda *_: [said(BODY)[:-5], STALL], ("--max-time", "0.1"), 6, "total"),
    "no HTTP": (lambda *_: [b"220 mail ready\r\n\r\n"], (), 7, "is not valid HTTP"),
    "two lengths": (always(b"x", "Content-Length: 2"), (), 7, "is not valid HTTP"),
    "short": (lambda *_: [said(BODY)[:-5]], ("--retries", "0"), 8, "ended after 995 of 1000 bytes"),
    "short head": (lambda *_: [b"HTTP/1.0 200"], ("--retries", "0"), 8, "in the middle of the head"),
    "no answer": (lambda *_: [], ("--retries", "0"), 4, "without a response"),
    "busy": (always(b"", status="503 Service Unavailable"), ("--retries", "0"), 11, "503 Service Unavailable"),
    "circle": (always(b"", "Location: /", status="302 Found"), (), 9, "in a circle"),
    "too often": (always(b"", "Location: /x", status="302 Found"), ("--max-redirs", "0"), 9, "more than 0 times"),
    "elsewhere": (always(b"", "Location: file:///etc/passwd", status="302 Found"), (), 9, "cannot be followed"),
    "too large": (always(BODY), ("--max-size", "999"), 10, "more than 999 bytes"),
    "bomb": (
        always(gzip.compress(bytes(100_000)), "Content-Encoding: gzip"),
        ("--compressed", "--max-size", "50K"),
        10,
        "decodes to more than 51200 bytes",
    ),
    "missing": (always(b"", status="404 Not Found"), (), 11, "404 Not Found"),
    "not what it should be": (always(BODY), ("--sha256", "0" * 64), 12, hashlib.sha256(BODY).hexdigest()),
}


@pytest.mark.parametrize("place", ["stdout", "file"])
@pytest.mark.parametrize(("answer", "arguments", "status", "fragment"), CAUSES.values(), ids=CAUSES)
def test_exit_statuses(
    here: Path, answer: Answer, arguments: tuple[str, ...], status: int, fragment: str, place: str
) -> None:
    with answering(answer) as requests:
        where = ("-o", "file") if place == "file" else ()
        code, out, errors = get(*arguments, *where, requests.url)
    assert (code, errors.count("\n")) == (status, 1), errors
    assert errors.startswith((f"httpmini: {requests.url}: ", f"httpmini: {requests.url} "))
    assert fragment in errors
    if place == "file":
        assert out == b""
        assert "file" not in os.listdir(here)


def test_exit_statuses_before_there_is_an_answer(site: Path, start: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert get("--retries", "0", f"http://127.0.0.1:{port}/")[0] == 4
    assert get("http://nobody.invalid/")[0] == 3
    assert get("ftp://nobody.invalid/")[0] == 2
    assert get(start(site).url.replace("http:", "https:"))[0] == 5
    with full_listener() as url:
        status, _, errors = get("--retries", "0", "--connect-timeout", "0.1", url)
    assert (status, "connect" in errors) == (6, True)


def _kinds(kind: type[errors.FetchError]) -> Iterator[type[errors.FetchError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


def test_the_help_names_every_exit_status() -> None:
    status, out, _ = get("--help")
    table = re.findall(r"(?m)^ +(\d+)  \w", out.decode().partition("Exit status:")[2])
    assert status == 0
    assert [int(number) for number in table] == [
        0,
        1,
        *sorted({kind.exit_status for kind in _kinds(errors.FetchError)}),
        130,
    ]


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("-o", "a", "-O", "http://h/"), "-o and -O"),
    (("-o", "a", "http://h/", "http://i/"), "-o takes one URL"),
    (("--sha256", "0" * 64, "http://h/", "http://i/"), "--sha256 takes one URL"),
    (("-I", "--data", "x", "http://h/"), "-I"),
    (("-I", "-X", "GET", "http://h/"), "-I"),
    (("--json", "-o", "-", "http://h/"), "--json"),
    (("--json", "-i", "http://h/"), "--json"),
    (("--segments", "2", "http://h/"), "--segments"),
    (("--segments", "2", "-o", "a", "--compressed", "http://h/"), "--segments"),
    (("--segments", "0", "-o", "a", "http://h/"), "from 1 to 32"),
    (("--segments", "33", "-o", "a", "http://h/"), "from 1 to 32"),
    (("--rate", "0", "http://h/"), "'--rate': '0' is not a size"),
    (("--rate", "5Q", "http://h/"), "'--rate': '5Q' is not a size"),
    (("--rate", "-1", "http://h/"), "is not a size"),
    (("--max-size", "\u0665", "http://h/"), "is not a size"),
    (("--sha256", "12", "http://h/"), "64 hexadecimal digits"),
    (("--max-redirs", "-1", "http://h/"), "from 0 to 1000"),
    (("--retries", "many", "http://h/"), "from 0 to 1000"),
    (("--max-time", "0", "http://h/"), "is not a time"),
    (("--max-time", "nan", "http://h/"), "is not a time"),
    (("--connect-timeout", "inf", "http://h/"), "is not a time"),
    (("--silence-timeout", "x", "http://h/"), "is not a time"),
    (("--resolve", "h:80", "http://h/"), "HOST:PORT:ADDRESS"),
    (("--resolve", "h:80:name", "http://h/"), "is not an IP address"),
    (("-4", "-6", "http://h/"), "-4 and -6"),
    (("--proxy", "http://p/", "--no-proxy", "http://h/"), "--proxy and --no-proxy"),
    (("--proxy", "socks5://p/", "http://h/"), "SOCKS"),
    (("-X", "GET / HTTP/1.0\r\nA: b", "http://h/"), "write a method"),
    (("-X", "", "http://h/"), "write a method"),
    (("-X", "CONNECT", "http://h/"), "write a method"),
    (("-H", "Content-Length: 5", "http://h/"), "--data"),
    (("-H", "transfer-encoding: chunked", "http://h/"), "--data"),
    (("--data", "@missing", "http://h/"), "cannot be read"),
    (("-u", "\udcff:x", "http://h/"), "UTF-8"),
    (("-k", "https://h/"), "-k"),
]


@pytest.mark.parametrize(("arguments", "fragment"), WRONG)
def test_wrong_usage(here: Path, arguments: tuple[str, ...], fragment: str) -> None:
    status, out, errors = get(*arguments)
    assert (status, out) == (2, b""), errors
    assert fragment in errors
    assert all(line.isprintable() for line in errors.splitlines())
    assert os.listdir(here) == []


# Output for scripts.

KEYS = [
    "url", "final_url", "status", "reason", "version", "redirects", "headers", "sizes", "sha256", "timings", "file",
    "resumed_from", "error",
]  # fmt: skip


def objects(out: bytes) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in out.splitlines()]
    assert all(list(thing) == KEYS for thing in found)
    return found


def test_json(site: Path, start: StartServer, here: Path) -> None:
    server = start(site)
    status, out, errors = get(
        "--json", server.url + "indexed", server.url + "missing", "http://nobody.invalid/x", "http://h:x/"
    )
    assert (status, errors.count("\n")) == (11, 3)
    followed, missing, unresolved, bad = objects(out)
    assert followed["url"] == server.url + "indexed"
    assert followed["final_url"] == server.url + "indexed/"
    assert followed["redirects"] == [{"status": 301, "url": server.url + "indexed"}]
    assert (followed["status"], followed["reason"], followed["version"]) == (200, "OK", "1.0")
    assert ["Content-Length", "9"] in followed["headers"]
    assert followed["sizes"] == {"wire": 9, "decoded": 9}
    assert followed["sha256"] == hashlib.sha256(b"an index\n").hexdigest()
    assert 0 <= followed["timings"]["first_byte_s"] <= followed["timings"]["total_s"]
    assert (followed["file"], followed["resumed_from"], followed["error"]) == (None, 0, None)
    assert (missing["status"], missing["error"]["kind"], missing["error"]["exit_status"]) == (404, "BadStatus", 11)
    assert (unresolved["status"], unresolved["error"]["kind"]) == (None, "NotResolved")
    assert (bad["url"], bad["error"]["kind"], bad["error"]["exit_status"]) == ("http://h:x/", "BadUrl", 2)


def test_json_of_downloads(site: Path, start: StartServer, here: Path) -> None:
    server = start(site)
    digest = hashlib.sha256(BIG).hexdigest()
    for number, more in enumerate([(), ("--segments", "4"), ("--sha256", digest.upper())]):
        status, out, errors = get("--json", "-o", f"big{number}", *more, server.url + "big.bin")
        assert (status, errors) == (0, "")
        (found,) = objects(out)
        assert (found["status"], found["reason"], found["file"]) == (200, "OK", f"big{number}")
        assert found["sizes"] == {"wire": len(BIG), "decoded": len(BIG)}
        assert found["sha256"] == digest
        assert (here / f"big{number}").read_bytes() == BIG
    (found,) = objects(get("--json", "-O", server.url + "missing")[1])
    assert (found["status"], found["file"], found["error"]["status"]) == (404, "missing", 404)
    server.wait_for_line(r'"GET /big\.bin HTTP/1\.0" 206 ')


def test_json_says_which_timeout_and_which_rule() -> None:
    with answering(lambda *_: [STALL]) as requests:
        (found,) = objects(get("--json", "--first-byte-timeout", "0.1", requests.url)[1])
    assert found["error"]["kind"] == "TimedOut"
    assert (found["error"]["phase"], found["error"]["limit_s"]) == ("first byte", 0.1)
    with answering(lambda *_: [b"HTTP/1.0 200 OK\r\nA b: c\r\n\r\n"]) as requests:
        (found,) = objects(get("--json", requests.url)[1])
    assert (found["error"]["kind"], found["error"]["rule"]) == ("BrokenResponse", "field-name")
    assert found["error"]["offset"] >= 17


# Output on standard error.


def test_the_wire_with_control_characters_made_visible() -> None:
    hostile = b"HTTP/1.0 200 \x1b]0;title\x07\r\nA: b\xff\r\nContent-Length: 0\r\n\r\n"
    with answering(lambda *_: [hostile]) as requests:
        _, _, errors = get("-v", "-u", "ada:love", requests.url)
        lines = errors.splitlines()
    assert lines[0] == "> GET / HTTP/1.0"
    assert "> Authorization: (not shown)" in lines
    assert all(line.isprintable() for line in lines)
    if "< HTTP/1.0 200 \\x1b]0;title\\x07" not in lines:  # or rejected before it was shown
        assert "is not valid HTTP" in lines[-1]


def test_what_a_server_says_does_not_drive_the_terminal() -> None:
    with answering(always(b"", "Location: http://\x9b31m/", status="404 Not \x9b31mFound")) as requests:
        _, _, errors = get(requests.url)
    assert "\\x9b31mFound" in errors
    assert all(line.isprintable() for line in errors.splitlines())


@pytest.mark.parametrize("arguments", [(), ("-i",), ("--json",)])
def test_nobody_reads_standard_output(site: Path, start: StartServer, arguments: tuple[str, ...]) -> None:
    server = start(site)
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*PROGRAM, *arguments, server.url + "big.bin", server.url + "ten.txt"],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=WAIT_S,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
    server.wait_for_line(r'"GET /big\.bin ')
    server.stop()  # then all of its lines have come
    assert not any("ten.txt" in line for line in server.lines)


@pytest.mark.parametrize("redirection", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_descriptors(site: Path, start: StartServer, here: Path, redirection: str) -> None:
    """A file opened as descriptor 2 would receive the messages."""
    server = start(site)
    command = f'exec "$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *PROGRAM, "-o", "file", server.url + "big.bin", "-v"], timeout=WAIT_S, check=False
    )
    assert done.returncode == 0
    assert (here / "file").read_bytes() == BIG


def test_rate() -> None:
    with answering(always(bytes(64 * 1024))) as requests:
        for where in ((), ("-o", "file")):
            begun = time.monotonic()
            assert get("--rate", "64K", *where, requests.url)[0] == 0
            assert time.monotonic() - begun >= 0.5, "a limit from below: it may take longer, never less"


# Interruption.


class Versions:
    """A server of one file, of which it sends only the first ``enough`` bytes until ``whole`` is set."""

    def __init__(self, enough: int) -> None:
        self.enough = enough
        self.whole = False
        self.says_ranges = True
        self.stalls_at = ""  # requests that contain this get no response
        self.refuses_at = ""
        self.requests: list[str] = []

    def converse(self, sock: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (data := sock.recv(65536)):
            request += data
        text = request.decode("iso-8859-1")
        self.requests.append(text)
        if self.stalls_at and self.stalls_at in text:
            wait_for_end(sock)
            return
        if self.refuses_at and self.refuses_at in text:
            sock.sendall(said(b"", "Retry-After: 25", status="503 Later"))
            wait_for_end(sock)
            return
        asked = re.search(r"Range: bytes=(\d+)-", text)
        first = int(asked[1]) if asked else 0
        body = BIG[first:]
        status = f"206 Partial Content\r\nContent-Range: bytes {first}-{len(BIG) - 1}/{len(BIG)}" if asked else "200 OK"
        more = "Accept-Ranges: bytes\r\n" if self.says_ranges else ""
        head = f'HTTP/1.0 {status}\r\nContent-Length: {len(body)}\r\nETag: "1"\r\n{more}\r\n'
        sock.sendall(head.encode())
        if text.startswith("GET "):
            sock.sendall(body if self.whole else body[: self.enough])
        if not self.whole:
            wait_for_end(sock)


@pytest.mark.parametrize("says_ranges", [True, False])
def test_ctrl_c_keeps_the_part_and_says_how_to_go_on(here: Path, says_ranges: bool) -> None:
    server = Versions(enough=1_000_000)
    server.says_ranges = says_ranges
    how = "" if says_ranges else ", if the server supports ranges (it does not announce them)"
    with serving(server.converse, MANY) as url:
        command = [*PROGRAM, "--json", "-o", "file", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            eventually(lambda: os.path.exists("file.part") and os.path.getsize("file.part") == 1_000_000, "a part")
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 130
        assert errors.decode() == (
            f"httpmini: {url}: interrupted; file.part is kept, and the same command resumes it{how}\n"
        )
        assert objects(out)[0]["error"]["kind"] == "Interrupted"
        assert not (here / "file").exists()
        server.whole = True
        status, out, _ = get("--json", "-o", "file", url)
    assert status == 0
    assert objects(out)[0]["resumed_from"] == 1_000_000
    assert (here / "file").read_bytes() == BIG
    assert os.listdir(here) == ["file"]


@pytest.mark.parametrize("stage", ["asking for the rest", "waiting to ask again", "asking at the end", "at its name"])
def test_ctrl_c_at_every_stage(here: Path, stage: str) -> None:
    """A part exists, and none or all of the rest has come."""
    name = ["-O"] if stage == "at its name" else ["-o", "file"]
    server = Versions(enough=1_000_000)
    with serving(server.converse, MANY) as url:
        command = [*PROGRAM, *name, url + "file"]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            eventually(lambda: os.path.exists("file.part") and os.path.getsize("file.part") == 1_000_000, "a part")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=WAIT_S)
        server.whole = True
        count = len(server.requests)
        if stage == "waiting to ask again":
            server.refuses_at = "Range:"
        else:
            server.stalls_at = "Range:" if stage == "asking for the rest" else "HEAD "
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            sought = server.refuses_at or server.stalls_at
            eventually(lambda: any(sought in text for text in server.requests[count:]), "it asks")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == 130
        kept = "file.part is kept, and the same command resumes it"
        assert errors.decode() == f"httpmini: {url}file: interrupted; {kept}\n"
        server.stalls_at = server.refuses_at = ""
        status, out, _ = get("--json", *name, f"{url}file")
    assert status == 0
    assert objects(out)[0]["resumed_from"] == (len(BIG) if stage == "asking at the end" else 1_000_000)
    assert (here / "file").read_bytes() == BIG


def test_ctrl_c_to_standard_output(here: Path) -> None:
    with (
        answering(lambda *_: [said(BODY)[:-5], STALL]) as requests,
        subprocess.Popen([*PROGRAM, requests.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.read(900) == BODY[:900]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, errors.decode()) == (130, f"httpmini: {requests.url}: interrupted\n")


# At a terminal.


class AtTerminal:
    """The command at a terminal of its own, which is standard input and whatever is not redirected."""

    def __init__(
        self,
        *arguments: str,
        stdout: int | None = None,
        stderr: int | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.shown = b""
        try:
            self.process = subprocess.Popen(
                [tool("setsid", "util-linux"), "--ctty", *program, *arguments],
                stdin=slave,
                stdout=slave if stdout is None else stdout,
                stderr=slave if stderr is None else stderr,
                env={**os.environ, "TERM": "xterm"},
            )
        finally:
            os.close(slave)

    def wait_for(self, text: bytes) -> None:
        """Read until ``text`` is shown."""
        while text not in self.shown:
            data = self._read()
            assert data, f"never shown: {text!r} in {self.shown!r}"

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def finish(self) -> tuple[int, str]:
        """Return the exit status and the output, without colours and cursor movements."""
        try:
            while self._read():
                pass
            if self.process.stdout:
                self.process.stdout.read()
            status = self.process.wait(WAIT_S)
        finally:
            os.close(self.master)
        return status, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown.decode())

    def _read(self) -> bytes:
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: no process has it open any more
            return b""
        self.shown += data
        return data


def test_a_line_for_each_file(site: Path, start: StartServer, here: Path) -> None:
    server = start(site)
    status, shown = AtTerminal("-O", server.url + "big.bin", server.url + "missing", server.url + "ten.txt").finish()
    assert status == 11
    lines = [line.strip() for line in re.split(r"[\r\n]+", shown) if line.strip()]
    done = [line for line in lines if "100%" in line]
    assert re.match(r"big\.bin +\S+ +100% 3\.1/3\.1 MB .*(/s|\?)", done[-2]), done
    assert re.match(r"ten\.txt +\S+ +100% 10/10 bytes .*", done[-1]), done
    assert f"httpmini: {server.url}missing: 404 Not Found" in lines
    assert (here / "big.bin").read_bytes() == BIG


def test_how_far_it_is_and_how_long_it_takes(here: Path) -> None:
    server = Versions(enough=1_500_000)
    with serving(server.converse, MANY) as url:
        terminal = AtTerminal("-o", "file", "--silence-timeout", "1", "--retries", "0", url)
        terminal.wait_for(b"48%")
        terminal.wait_for(b"1.5/3.1 MB")
        terminal.type(b"\x03")
        status, shown = terminal.finish()
    assert status == 130
    assert f"httpmini: {url}: interrupted; file.part is kept, and the same command resumes it" in shown
    assert "\x1b[?25h" in terminal.shown.decode(), "the cursor is back"


@pytest.mark.parametrize(("ending", "code"), [([], 0), ([b"HTTP"], 7)])
def test_nobody_knows_how_long_it_takes(here: Path, ending: list[bytes], code: int) -> None:
    """There is no percentage, neither during the transfer nor after a failure."""
    chunks = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n", bytes(1024), b"\r\n"]
    with answering(lambda *_: [*chunks, *(ending or [b"0\r\n"]), b"\r\n"]) as requests:
        status, shown = AtTerminal("-o", "file", requests.url + "name").finish()
    assert status == code
    assert ("1.0/? kB" if code == 0 else "file") in shown
    assert "%" not in shown


@pytest.mark.parametrize("arguments", [("-q", "-o", "file"), ("-o", "-"), ()])
def test_no_progress_at_a_terminal(site: Path, start: StartServer, arguments: tuple[str, ...]) -> None:
    """Nothing is drawn with -q, or when the body itself is shown."""
    server = start(site)
    status, shown = AtTerminal(*arguments, server.url + "ten.txt").finish()
    assert (status, shown) == (0, "" if "-q" in arguments else "0123456789")


def test_progress_is_for_terminals_only(site: Path, start: StartServer) -> None:
    """Without a terminal nothing is drawn, and rich is not even imported."""
    server = start(site)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *PROGRAM[5:], "-o", "file", server.url + "big.bin"],
        stderr=subprocess.PIPE,
        timeout=WAIT_S,
        check=True,
    )
    lines = done.stderr.decode().splitlines()
    assert all(line.startswith("import time:") for line in lines)
    assert not any(re.search(r"\| +rich\b", line) for line in lines)


def test_a_hostile_name_in_the_progress(here: Path) -> None:
    terminal_safe = "a_[31m[bold]b"
    field = "Content-Disposition: attachment; filename*=UTF-8''a%1b%5b31m[bold]b"
    with answering(always(b"body", field)) as requests:
        status, shown = AtTerminal("-O", requests.url).finish()
    assert status == 0
    assert terminal_safe in shown
    assert os.listdir(here) == [terminal_safe]


SHOWN = [
    (b"plain\n", "plain\r\n"),
    ("\u00fc\u20ac\u3000\n".encode(), "\u00fc\u20ac\u3000\r\n"),
    (b"a\r\nb\n", "a\r\nb\r\n"),
    (b"a\rb\n", "a\\x0db\r\n"),
    (b"\x1b[31m\x07\x9b\xff", "\\x1b[31m\\x07\\x9b\\xff"),
    ("\u202egnp.exe\x9b".encode(), "\\u202egnp.exe\\x9b"),
    (b"end\r", "end\\x0d"),
    (b"end\xe2\x82", "end\\xe2\\x82"),
]


@pytest.mark.parametrize(("body", "shown"), SHOWN)
def test_what_is_shown_does_not_drive_the_terminal(body: bytes, shown: str) -> None:
    with answering(lambda *_: [said(body)[: -len(body)], *(body[i : i + 1] for i in range(len(body)))]) as requests:
        assert AtTerminal(requests.url).finish() == (0, shown)


def test_what_is_no_text_is_not_shown() -> None:
    with answering(always(b"\x7fELF\0\0")) as requests:
        status, shown = AtTerminal(requests.url).finish()
        assert (status, shown.count("\n")) == (1, 1)
        assert "this is not text; write it to a file with -o or -O" in shown
        assert AtTerminal("-o", "-", requests.url).finish() == (0, "\x7fELF\0\0")


def test_a_password_is_asked_for() -> None:
    with answering(always(b"body")) as requests:
        for keys in (b"l:ove\r", b"\r"):
            terminal = AtTerminal("-u", "ada", "-o", "/dev/null", "-q", requests.url, stderr=subprocess.DEVNULL)
            terminal.wait_for(b"Password for ada: ")
            terminal.type(keys)
            assert terminal.finish() == (0, "Password for ada: \r\n"), "it is not shown"
    assert credentials(requests) == ["ada:l:ove", "ada:"]


@pytest.mark.parametrize(("key", "status"), [(b"\x03", 130), (b"\x04", 2)])
def test_a_password_that_is_not_given(key: bytes, status: int) -> None:
    with answering(always(b"body")) as requests:
        terminal = AtTerminal("-u", "ada", requests.url)
        terminal.wait_for(b"Password for ada: ")
        terminal.type(key)
        code, shown = terminal.finish()
    assert (code, "Traceback" in shown, requests) == (status, False, [])


def test_nobody_to_ask_for_a_password() -> None:
    done = subprocess.run(
        [*PROGRAM, "-u", "ada", "http://127.0.0.1:1/"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"there is no terminal to ask for the password" in done.stderr


# The messages of ``mirror``; what it does is tested in test_mirror.py.


def mirror(*arguments: str) -> tuple[int, str, str]:
    status, output, errors = run_command("mirror", *arguments)
    assert b"Traceback" not in errors
    return status, output.decode(), errors.decode()


def test_mirror(tmp_path: Path, start: StartServer, here: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "sub" / "b.txt").write_text("bb")
    server = start(root)
    for name in ("a.txt", "sub/b.txt"):  # a file written just now could change again within the same second
        wait_for_date(server.url + name)
    url = f"localhost:{server.port}"
    would = "would fetch a.txt (1 bytes)\nwould fetch sub/b.txt (2 bytes)\n"
    done = "2 fetched (3 bytes), 0 unchanged, 0 deleted, 0 skipped\n"
    status, out, errors = mirror("--dry-run", url, "copy")
    assert (status, sorted(out.splitlines()), errors) == (0, sorted((would + "would be: " + done).splitlines()), "")
    assert os.listdir(here) == []
    status, out, errors = mirror(url, "copy")
    assert (status, errors) == (0, "")
    assert sorted(out.splitlines()) == sorted((would.replace("would fetch", "fetched") + done).splitlines())
    assert (here / "copy" / "sub" / "b.txt").read_text() == "bb"
    (root / "a.txt").unlink()
    assert mirror(url, "copy")[1] == "0 fetched (0 bytes), 1 unchanged, 0 deleted, 0 skipped\n"
    assert (here / "copy" / "a.txt").exists()
    assert mirror("-q", "--delete", url, "copy") == (0, "", "")
    assert not (here / "copy" / "a.txt").exists()


def test_mirror_says_what_it_skips(tmp_path: Path, start: StartServer, here: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.txt").write_text("a")
    (here / "copy").mkdir()
    (here / "copy" / "a.txt").symlink_to("elsewhere")
    status, out, errors = mirror("-q", start(root).url, "copy")
    assert (status, out) == (1, "")
    assert re.fullmatch(r"httpmini: skipped a\.txt: .*\n", errors)
    assert os.listdir(here) == ["copy"]


def test_mirror_that_fails(here: Path) -> None:
    with answering(always(b"", status="404 Not Found")) as requests:
        status, out, errors = mirror(requests.url, "copy")
        assert (status, out) == (11, "")
        assert errors == f"httpmini: {requests.url}: 404 Not Found\n"
        assert mirror(f"{requests.url}gone", "copy")[2] == f"httpmini: {requests.url}gone/: 404 Not Found\n"
        status, out, errors = mirror("-u", "ada:love", requests.url + "x?y", "copy")
        assert (status, out, errors.count("\n")) == (2, "", 1)
        mirror(requests.url.replace("//", "//bob:s%20b@"), "copy")
    assert credentials(requests)[0] == "bob:s b"
    assert mirror("http://nobody.invalid/", "copy")[0] == 3
    assert mirror("-4", "-6", "http://nobody.invalid/", "copy")[0] == 2


EMPTY_LISTING = b"<title>Index of /</title></html>"


def page(body: bytes) -> bytes:
    """A page whose end only the end of the connection tells."""
    return b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + body


def test_mirror_of_a_listing_that_was_cut_off(here: Path) -> None:
    (here / "copy").mkdir()
    for name in ("old", "older"):
        (here / "copy" / name).write_text("mine")
    with answering(lambda *_: [page(EMPTY_LISTING[:-7])]) as requests:
        status, out, errors = mirror("--delete", "--max-delete", "100%", requests.url, "copy")
    assert (status, out) == (1, "0 fetched (0 bytes), 0 unchanged, 0 deleted, 2 skipped\n")
    assert errors == (
        "httpmini: skipped .: its listing was cut off, and what else is in it is unknown\n"
        "httpmini: skipped .: nothing is deleted, because the listing of . was cut off\n"
    )
    assert {"old", "older"} <= set(os.listdir(here / "copy"))


@pytest.mark.parametrize(
    ("options", "typed", "status", "kept"),
    [
        ((), None, 1, True),
        (("--max-delete", "99.9"), None, 1, True),
        (("--max-delete", "100"), None, 0, False),
        ((), b"n\r", 1, True),
        ((), b"\r", 1, True),
        ((), b"\x04", 1, True),
        ((), b"y\r", 0, False),
        ((), b"YES\r", 0, False),
    ],
)
def test_mirror_asks_before_it_deletes_much(
    here: Path, options: tuple[str, ...], typed: bytes | None, status: int, kept: bool
) -> None:
    (here / "copy").mkdir()
    (here / "copy" / "old").write_text("mine")
    with answering(lambda *_: [page(EMPTY_LISTING)]) as requests:
        arguments = ("--delete", *options, requests.url, "copy")
        if typed is None:
            done, _, shown = mirror(*arguments)
        else:
            terminal = AtTerminal(*arguments, program=(*PROGRAM[:-1], "mirror"))
            terminal.wait_for(b"[y/N] ")
            terminal.type(typed)
            done, shown = terminal.finish()
    assert (done, (here / "copy" / "old").exists()) == (status, kept)
    assert ("nothing is deleted, because 1 of 1 files are not on the server" in shown) == kept


def test_mirror_of_hidden_files_and_over_others(tmp_path: Path, start: StartServer, here: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in ("a", ".b"):
        (root / name).write_text("theirs")
    (here / "copy").mkdir()
    (here / "copy" / "a").write_text("mine")
    server = start(root, config="[site]\nhidden = true\n")
    status, _, errors = mirror(server.url, "copy")
    assert (status, sorted(errors.splitlines())) == (
        1,
        [
            "httpmini: skipped .b: the name is hidden; --hidden includes such files",
            "httpmini: skipped a: a file that is not the mirror's is in the way; --force replaces it",
        ],
    )
    assert {path.name for path in (here / "copy").iterdir()} == {"a", ".httpmini-mirror.json"}
    assert (here / "copy" / "a").read_text() == "mine"
    assert mirror("--hidden", "-f", server.url, "copy")[::2] == (0, "")
    assert {path.read_text() for path in (here / "copy").iterdir() if path.suffix != ".json"} == {"theirs"}


def test_mirror_is_interrupted() -> None:
    with answering(lambda *_: [STALL]) as requests:
        command = [*PROGRAM[:-1], "mirror", requests.url, "copy"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            eventually(lambda: len(requests) > 0, "it has asked")
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=WAIT_S)
    assert (process.returncode, out) == (130, b"")
    assert errors.decode() == f"httpmini: {requests.url}: interrupted; what was fetched is kept\n"
