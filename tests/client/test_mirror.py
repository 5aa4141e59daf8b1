"""A mirrored folder: all of it, nothing outside it, and only what has changed."""

from __future__ import annotations

import base64
import errno
import fcntl
import gzip
import http.server
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from httpmini.client.client import Client
from httpmini.client.mirror.listings import Entry, follow, read_json, read_page, unsafe
from httpmini.client.mirror.mirror import mirror
from httpmini.client.mirror.report import Mirrored
from httpmini.client.mirror.tree import MAX_DEPTH, PART, STATE, Tree
from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.client.transport.routing import Routing
from httpmini.client.url import parse_url
from httpmini.errors import (
    BadRedirect,
    BadStatus,
    BadUrl,
    BrokenResponse,
    CannotRun,
    FetchError,
    NotConnected,
    Truncated,
    visible,
)
from httpmini.lint.cases.site_tree import MTIME
from httpmini.protocol.dates import format_date, parse_date
from httpmini.protocol.framing import Data
from httpmini.server.modes import MODES
from tests.conftest import StartServer
from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.small_site import write_tree
from tests.support.tools import tool

OTHERS = ("http.server", "nginx", "lighttpd")
DATE = format_date(MTIME)
FILES = {
    "a.txt": b"one",
    "empty": b"",
    "a b+c;d.txt": b"blank, plus, semicolon",
    "q?x": b"question",
    "h#1": b"hash",
    "50%": b"percent",
    "%41": b"percent four one",
    "A": b"capital",
    "a:b": b"colon",
    "http:": b"almost a scheme",
    "ap'os\"<b>&amp;": b"markup",
    "back\\slash": b"backslash",
    "\xfc-\u65e5": b"utf-8",
    "sub/deep/er/x.bin": bytes(range(256)) * 4000,
    "sub/a.txt": b"another a",
    "sub space/[b]~": b"brackets",
    "x" * 255: b"long name",
}


@dataclass
class Remote:
    """A folder and the server that lists it."""

    url: str
    root: Path
    routing: Routing = field(default_factory=Routing)


def new_client(remote: Remote | None = None, *, follow: bool = False) -> Client:
    return Client(
        follow=follow,
        decode=False,
        routing=remote.routing if remote else None,
        retries=Retries(times=0),
        timeouts=Timeouts(10, 10, 10),
    )


@dataclass
class Run:
    """The result of a run, and its messages."""

    result: Mirrored
    said: list[str]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.result.fetched, self.result.unchanged, self.result.deleted, self.result.skipped


def run(remote: Remote, folder: Path, *, client: Client | None = None, follow: bool = False, **options: Any) -> Run:
    said: list[str] = []
    with client or new_client(remote, follow=follow) as client:
        result = mirror(client, remote.url, str(folder), say=said.append, **options)
    return Run(result, said)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file by its path, without the saved state; an empty folder ends in a slash."""
    found = {}
    for path, folders, names in os.walk(folder):
        here = os.path.relpath(path, folder)
        if not folders and not names:
            found[here + "/"] = b""
        for name in names:
            found[os.path.normpath(os.path.join(here, name))] = (Path(path) / name).read_bytes()
    found.pop(os.fsdecode(STATE), None)
    return found


def age(root: Path, seconds: int = MTIME) -> None:
    for path, _, names in os.walk(root):
        for name in names:
            os.utime(os.path.join(path, name), (seconds, seconds), follow_symlinks=False)


def told_date(remote: Remote, name: str) -> int | None:
    """Return the date that the server gives a file; None while it gives none."""
    with new_client(remote) as client, client.fetch(remote.url + quote(name), method="HEAD") as response:
        return parse_date(response.headers.get("Last-Modified") or "", time.time())


# Every server to copy from.


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=WAIT_S)


def listens(path: str) -> bool:
    with new_client(Remote("", Path(), Routing(unix_socket=path))) as client:
        try:
            client.fetch("http://localhost/").close()
        except NotConnected:
            return False
    return True


@contextmanager
def python_server(root: Path, _: Path) -> Iterator[Remote]:
    command = (sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(root))
    with process(*command) as running:
        assert running.stdout is not None
        port = re.search(r" port (\d+) ", running.stdout.readline())
        assert port is not None
        yield Remote(f"http://127.0.0.1:{port[1]}/", root)


@contextmanager
def nginx(root: Path, work: Path) -> Iterator[Remote]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {work}/{kind};\n" for kind in kinds)
    (work / "nginx.conf").write_text(
        f"daemon off; master_process off; user root; pid {work}/pid; error_log {work}/errors;\n"
        f"events {{}}\nhttp {{ access_log off; default_type text/plain;\n{temporary}"
        f"server {{ listen unix:{work}/socket; root {root}; autoindex on; }} }}\n"
    )
    with process(tool("nginx", "nginx"), "-c", f"{work}/nginx.conf", "-e", f"{work}/errors"):
        eventually(lambda: listens(f"{work}/socket"), "nginx listens")
        yield Remote("http://localhost/", root, Routing(unix_socket=f"{work}/socket"))


@contextmanager
def lighttpd(root: Path, work: Path) -> Iterator[Remote]:
    (work / "lighttpd.conf").write_text(
        f'server.document-root = "{root}"\nserver.bind = "{work}/socket"\ndir-listing.activate = "enable"\n'
        'server.stat-cache-engine = "disable"\nmimetype.assign = ( "" => "text/plain" )\n'
    )
    with process(tool("lighttpd", "lighttpd"), "-D", "-f", f"{work}/lighttpd.conf"):
        eventually(lambda: listens(f"{work}/socket"), "lighttpd listens")
        yield Remote("http://localhost/", root, Routing(unix_socket=f"{work}/socket"))


@contextmanager
def ours(root: Path, mode: str) -> Iterator[Remote]:
    server = ServerProcess([str(root), "--port", "0", "--mode", mode])
    try:
        yield Remote(server.url, root)
        server.assert_clean_end()
    finally:
        server.kill()


@pytest.fixture
def work() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())  # the path of a Unix socket is limited to 107 bytes
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=[*sorted(MODES), *OTHERS])
def remote(request: pytest.FixtureRequest, tmp_path: Path, work: Path) -> Iterator[Remote]:
    root = tmp_path / "www"
    root.mkdir()
    starters = {"http.server": python_server, "nginx": nginx, "lighttpd": lighttpd}
    kind = str(request.param)
    with starters[kind](root, work) if kind in OTHERS else ours(root, kind) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copy"


def test_all_of_it_and_then_only_what_changed(remote: Remote, target: Path) -> None:
    write_tree(remote.root, FILES)
    (remote.root / "hollow").mkdir()
    age(remote.root)
    settled = [(told_date(remote, name) or time.time()) + 2 for name in FILES]
    eventually(lambda: time.time() > max(settled), "the dates are told, and tell versions apart")
    first = run(remote, target)
    assert first.said == [line for line in first.said if line.startswith("fetched ")]
    assert first.counts == (len(FILES), 0, 0, 0)
    assert first.result.bytes == sum(map(len, FILES.values()))
    assert content(target) == {**FILES, "hollow/": b""}
    for name in FILES:
        assert (target / name).stat().st_mtime == told_date(remote, name)

    again = run(remote, target, delete=True)
    assert (again.counts, again.result.bytes, again.said) == ((0, len(FILES), 0, 0), 0, [])

    (remote.root / "sub" / "a.txt").write_bytes(b"new, and longer")
    (remote.root / "added").write_bytes(b"added")
    (remote.root / "q?x").unlink()
    shutil.rmtree(remote.root / "sub" / "deep")
    age(remote.root / "sub", MTIME + 1)
    wanted = content(remote.root)
    planned = run(remote, target, delete=True, dry_run=True)
    assert content(target) == {**FILES, "hollow/": b""}
    changed = run(remote, target, delete=True)
    assert content(target) == wanted
    assert changed.counts == (2, len(FILES) - 3, 4, 0)
    assert sorted(changed.said) == [
        "deleted q?x",
        "deleted sub/deep",
        "deleted sub/deep/er",
        "deleted sub/deep/er/x.bin",
        "fetched added (5 bytes)",
        "fetched sub/a.txt (15 bytes)",
    ]
    assert (planned.counts, planned.result.bytes) == (changed.counts, changed.result.bytes)
    plan = [
        re.sub("would (delete|fetch)", lambda said: said[1].removesuffix("e") + "ed", line) for line in planned.said
    ]
    assert plan == changed.said


def test_a_dry_run_makes_nothing(remote: Remote, target: Path) -> None:
    write_tree(remote.root, {"a": b"1", "sub/b": b"22"})
    done = run(remote, target, dry_run=True, delete=True)
    assert (done.counts, done.result.bytes) == ((2, 0, 0, 0), 3)
    assert not target.exists()


def test_a_folder_below_the_root(remote: Remote, target: Path) -> None:
    write_tree(remote.root, {"up.txt": b"no", "sub/a": b"1", "sub/b/c": b"2", "subs/x": b"no"})
    remote.url += "sub"
    assert run(remote, target).counts == (2, 0, 0, 0)
    assert content(target) == {"a": b"1", "b/c": b"2"}


@pytest.mark.parametrize("mode", ["select"])
def test_names_that_only_the_disk_knows(tmp_path: Path, target: Path, mode: str) -> None:
    names = [
        b"caf\xe9",
        b"\xff\xfe",
        b"new\nline",
        b"esc\x1b[31m",
        b"\x7f",
        "c1-\x9b".encode(),
        b"..almost",
        STATE,
        PART,
    ]
    root = tmp_path / "www"
    root.mkdir()
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_bytes(b"I am " + name)
    server = ServerProcess([str(root), "--port", "0", "-c", str(write_config(tmp_path))])
    try:
        done = run(Remote(server.url, root), target, hidden=True)
        server.assert_clean_end()
    finally:
        server.kill()
    assert {os.fsencode(name) for name in content(target)} == {b"caf\xe9", b"\xff\xfe", b"..almost"}
    assert done.counts == (3, 0, 0, 6)
    assert "skipped new\\x0aline: the name contains a control character" in done.said
    assert f"skipped {os.fsdecode(PART)}: the name is reserved for httpmini's own files" in done.said
    assert all(line.isprintable() for line in done.said)
    assert json.loads((target / os.fsdecode(STATE)).read_bytes())["url"] == server.url, "the notes are ours, not theirs"


def write_config(folder: Path) -> Path:
    file = folder / "httpmini.toml"
    file.write_text("[site]\nhidden = true\n")
    return file


def test_an_index_is_kept_as_such(site: Path, start: StartServer, target: Path) -> None:
    """Of a folder with an index, only the index and what it links to is known."""
    server = start(site)
    done = run(Remote(f"{server.url}indexed/", site), target, delete=True)
    assert content(target) == {"index.html": b"an index\n"}
    assert done.said[1:] == ["skipped .: nothing is deleted, because the page at . is not a listing"]
    assert run(Remote(f"{server.url}indexed/", site), target).counts == (0, 1, 0, 0)


def test_a_symlink_to_where_it_lies(tmp_path: Path, start: StartServer, target: Path) -> None:
    """The server follows it as often as the kernel does."""
    root = write_tree(tmp_path / "www", {"a": b"1"})
    (root / "loop").symlink_to(".")
    assert run(Remote(start(root).url, root), target, delete=True).counts == (41, 0, 0, 0)


# A scripted server.


@dataclass(frozen=True)
class Says:
    """A response.

    ``length`` sets a false Content-Length, or none (-1). Status 0 means no response but the end of the connection, and
    status -1 none at all.
    """

    body: bytes = b""
    status: int = 200
    kind: str = "text/plain"
    fields: tuple[tuple[str, str], ...] = (("Last-Modified", DATE),)
    length: int | None = None


class Script:
    """Responses by path, and the requests that came."""

    def __init__(self) -> None:
        self.answers: dict[str, Says | Callable[[dict[str, str]], Says]] = {}
        self.otherwise: Callable[[str], Says] = lambda _: Says(status=404)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                named = {name.lower(): value for name, value in self.headers.items()}
                script.requests.append((self.command, self.path, named))
                answer = script.answers.get(self.path) or script.otherwise(self.path)
                answer = answer(named) if callable(answer) else answer
                if answer.status < 0:
                    script.over.wait(WAIT_S)
                if answer.status <= 0:
                    return
                self.send_response(answer.status)
                for name, value in answer.fields:
                    self.send_header(name, value)
                self.send_header("Content-Type", answer.kind)
                if answer.length != -1:
                    length = len(answer.body) if answer.length is None else answer.length
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(answer.body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.over = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # server_close() waits for them
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _ in self.requests]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def lists(self, path: str, *links: str, whole: bool = True, **more: str) -> None:
        """Serve a listing at ``path``."""
        rows = "".join(f'<li><a href="{link}">a link</a>\n' for link in links)
        end = "</ul></body></html>\n" if whole else ""
        page = f"<html><head><title>Index of {path}</title></head>\n<body><ul>{rows}{end}"
        self.answers[path] = Says(page.encode(), kind="text/html", **more)  # type: ignore[arg-type]

    def run(self, folder: Path, **options: Any) -> Run:
        return run(Remote(f"{self.origin}/pub/", folder), folder, **options)


@pytest.fixture
def script() -> Iterator[Script]:
    running = Script()
    yield running
    running.close()


OUTSIDE = [
    "../",
    "..",
    "../x",
    "/",
    "/x",
    "/pub",
    "/pubs/x",
    "/PUB/x",
    "./",
    "",
    "#top",
    "?C=N;O=D",
    "a.txt?v=2",
    "./?",
    "//127.0.0.2/pub/x",
    "http://127.0.0.2/pub/x",
    "http://127.0.0.1:1/pub/x",
    "https://127.0.0.1/pub/x",
    "ftp://127.0.0.1/pub/x",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "mailto:a@b",
    "http://[::1/x",
    "sub/../../x",
    "./../pub/../x",
    "%2e%2e/x",
    ".%2E/x",
    "http:///x",
    "%2e%2e%2fx",
    "..%2fx",
    "sub%2f..%2f..%2fx",
    "%2e",
    "sub/%2e%2e/%2e%2e/x",
    "a//b",
    "%00",
    "x%0ay",
    "%1b[2J",
    "%c2%9b2J",
    "y" * 256,
    "%c3%bc" * 128,
    os.fsdecode(STATE),
    os.fsdecode(PART) + "/x",
]


@pytest.mark.parametrize("link", OUTSIDE)
def test_nothing_outside_is_asked_for(script: Script, tmp_path: Path, link: str) -> None:
    script.lists("/pub/", link, "a.txt")
    script.answers["/pub/a.txt"] = Says(b"inside")
    target = tmp_path / "in" / "copy"
    done = script.run(target)
    assert script.paths == ["/pub/", "/pub/a.txt"]
    assert content(tmp_path) == {"in/copy/a.txt": b"inside", f"in/copy/{os.fsdecode(STATE)}": done_notes(target)}
    assert done.counts[:3] == (1, 0, 0)


def done_notes(target: Path) -> bytes:
    return (target / os.fsdecode(STATE)).read_bytes()


@pytest.mark.parametrize(
    ("link", "asked", "name"),
    [
        ("a%20b", "a%20b", b"a b"),
        ("a b", "a%20b", b"a b"),
        ("./x", "x", b"x"),
        ("/pub/x", "x", b"x"),
        ("http://HOST/pub/x", "x", b"x"),
        ("//HOST/pub/x", "x", b"x"),
        ("/p%75b/x", "x", b"x"),
        ("sub/../x", "x", b"x"),
        ("x#part", "x", b"x"),
        (" \t x\n ", "x", b"x"),
        ("lo\nng", "long", b"long"),
        ("%2541", "%2541", b"%41"),
        ("%41", "%41", b"A"),
        ("x%3Fy", "x%3Fy", b"x?y"),
        ("a;b", "a;b", b"a;b"),
        ("&amp;&#x41;", "&A", b"&A"),
        ("\xfc", "%C3%BC", b"\xc3\xbc"),
        ("%e9", "%e9", b"\xe9"),
        ("...", "...", b"..."),
        ("\\\\127.0.0.2\\x", "%5C%5C127.0.0.2%5Cx", b"\\\\127.0.0.2\\x"),
        ("./c:%5cx", "c:%5cx", b"c:\\x"),
        ("%7e", "%7e", b"~"),
    ],
)
def test_names_are_decoded_once_and_asked_for_as_written(
    script: Script, target: Path, link: str, asked: str, name: bytes
) -> None:
    script.lists("/pub/", link.replace("HOST", script.origin.removeprefix("http://")))
    script.answers[f"/pub/{asked}"] = Says(b"it")
    script.run(target, hidden=True)
    assert script.paths[1:] == [f"/pub/{asked}"]
    assert content(target) == {os.fsdecode(name): b"it"}


def test_deeper_links_and_twins(script: Script, target: Path) -> None:
    script.lists("/pub/", "sub/deep/x", "sub", "sub/", "A", "%41", "A", "sub/")
    script.lists("/pub/sub/", "y")
    for name in ("sub/deep/x", "sub/y", "A"):
        script.answers[f"/pub/{name}"] = Says(name.encode())
    done = script.run(target, delete=True)
    assert content(target) == {"sub/deep/x": b"sub/deep/x", "sub/y": b"sub/y", "A": b"A"}
    assert "skipped A: /pub/A has the same local name" in done.said
    assert script.paths.count("/pub/sub/") == 1
    assert "/pub/sub" not in script.paths, "the one with the slash is meant"
    assert done.counts == (3, 0, 0, 1)


def test_a_folder_whose_link_has_no_slash(script: Script, target: Path) -> None:
    script.lists("/pub/", "sub")
    script.lists("/pub/sub/", "y")
    script.answers |= {
        "/pub/sub": Says(status=301, fields=(("Location", "/pub/sub/"),)),
        "/pub/sub/y": Says(b"1"),
    }
    for _ in range(2):
        for dry_run in (True, False):
            assert script.run(target, delete=True, dry_run=dry_run).counts == (1, 0, 0, 0)
    assert content(target) == {"sub/y": b"1"}


APACHE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of /pub</title>
 </head>
 <body>
<h1>Index of /pub</h1>
  <table>
   <tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a href="/">Parent Directory</a></td></tr>
<tr><td valign="top"><img src="/icons/folder.gif" alt="[DIR]"></td><td><a href="sub/">sub/</a></td></tr>
<tr><td valign="top"><img src="/icons/text.gif" alt="[TXT]"></td><td><a href="x&amp;y.txt">x&amp;y.txt</a></td></tr>
</table>
<address>Apache/2.4.57 (Debian) Server at localhost Port 80</address>
</body></html>
"""
HUNG = "<a " * 100_000  # html.parser would take longer than any test may
HTML = "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("page", "is_page", "is_whole", "names"),
    [
        (APACHE, False, True, [b"sub", b"x&y.txt"]),
        (APACHE.replace("</html>", ""), False, False, [b"sub", b"x&y.txt"]),
        (APACHE.replace("Index of", "Directory listing for"), False, True, [b"sub", b"x&y.txt"]),
        (APACHE.replace("Index of /pub", "/pub/"), False, True, [b"sub", b"x&y.txt"]),
        (APACHE.replace("Index of /pub", "My pages"), True, False, [b"sub", b"x&y.txt"]),
        (APACHE.replace("Index of /pub", ""), True, False, [b"sub", b"x&y.txt"]),
        (APACHE.replace("Index of /pub", "My pages").replace("</html>", ""), True, False, [b"sub", b"x&y.txt"]),
        ("", True, False, []),
        ("<A HREF=x>", True, False, [b"x"]),
        ("<a\nhref = 'x'>", True, False, [b"x"]),
        ('<a title="a > b" href="x">', True, False, [b"x"]),
        ('<a href="x" href="y">', True, False, [b"x"]),
        ("<a name=x>", True, False, []),
        ("<a href>", True, False, []),
        ("<abbr href=x>", True, False, []),
        ("<base href='sub/'><a href=x>", True, False, [b"sub/x"]),
        ("<base href='//other/pub/'><a href=x>", True, False, []),
        (f"{HUNG}<a href=x>{HUNG}", True, False, [b"x"]),
        ("<!--" * 100_000 + "<a href=x>", True, False, [b"x"]),
        ("<a href=x " + "y" * 20_000 + ">", True, False, []),
    ],
)
def test_pages(page: str, is_page: bool, is_whole: bool, names: list[bytes]) -> None:
    folder = Entry((), parse_url("http://host/pub/"), is_folder=True)
    listing = read_page(page.encode(), folder.url)
    found = [follow(link, listing.base, folder) for link in listing.links]
    assert [b"/".join(place.names) for place in found if place] == names
    assert (listing.is_page, listing.is_whole) == (is_page, is_whole)


@pytest.mark.parametrize(
    ("body", "links"),
    [
        (b'{"path": "/", "entries": []}', ()),
        (b'{"entries": [{"href": "./a", "more": 1}, {"href": "./b/"}]}', ("./a", "./b/")),
        (b"[]", None),
        (b'[{"name": "a", "url": "./a"}]', None),
        (b'{"entries": [{"href": 1}]}', None),
        (b'{"entries": [{"name": "a"}]}', None),
        (b'{"entries": "all"}', None),
        (b'{"entries": [', None),
        (b"", None),
        (b'{"entries": ' + b"[" * 100_000, None),
        (b'{"entries": [{"href": "\xff"}]}', None),
    ],
)
def test_json(body: bytes, links: tuple[str, ...] | None) -> None:
    listing = read_json(body, parse_url("http://host/"))
    assert (listing.links if listing else None) == links


SAFE = (b"a", b"...", b"x" * 255, b"\xff", "\xa0".encode(), b".bashrc", b"CON")
UNSAFE = (b"", b".", b"..", b"a/b", b"\0", b"x" * 256, b"\x1f", b"\x7f", b"\xc2\x85")


@pytest.mark.parametrize(("name", "safe"), [*((name, True) for name in SAFE), *((name, False) for name in UNSAFE)])
def test_unsafe_names(name: bytes, safe: bool) -> None:
    assert (unsafe(name) == "") == safe


def test_a_folder_that_lies_in_itself(script: Script, target: Path) -> None:
    def answer(path: str) -> Says:
        return Says(
            b"<title>Index of /</title><a href=a>a</a><a href=in/>in</a></html>" if path[-1] == "/" else b"1",
            kind="text/html",
        )

    script.otherwise = answer
    done = script.run(target, delete=True)
    assert done.counts == (MAX_DEPTH, 0, 0, 3)
    assert len(content(target)) == MAX_DEPTH + 1, "and the last folder is empty"
    assert re.fullmatch(r"skipped (in/){64}a: nested more than 63 folders deep, perhaps in a loop", done.said[-3])
    assert done.said[-1].startswith("skipped .: nothing is deleted, because the contents of in/in/")
    few = script.run(target, entries=10, delete=True)
    assert few.result.skipped == 2
    assert few.said[-2] == "skipped in/in/in/in/in: more than 10 files and folders; the rest is skipped"
    assert len(content(target)) == MAX_DEPTH + 1


def test_json_of_others_is_not_taken(script: Script, target: Path) -> None:
    def answer(fields: dict[str, str]) -> Says:
        if "json" in fields["accept"]:
            return Says(b'[{"name": "a", "url": "./a", "is_dir": false}]', kind="application/json")
        return Says(b"<title>/pub/</title><a href='./a'>a</a></html>", kind="text/html")

    script.answers = {"/pub/": answer, "/pub/a": Says(b"1")}
    assert script.run(target, delete=True).counts == (1, 0, 0, 0)
    assert [fields["accept"] for _, _, fields in script.requests] == [
        "application/json, text/html;q=0.5",
        "text/html",
        "*/*",
    ]
    assert {fields["accept-encoding"] for _, _, fields in script.requests} == {"identity"}


@pytest.mark.parametrize("follow", [False, True], ids=["mirror follows", "client follows"])
@pytest.mark.parametrize(
    ("location", "taken"),
    [
        ("b", True),
        ("/pub/b", True),
        ("/pub/sub/../b", True),
        ("c", True),
        ("a/", True),
        ("sub/", False),
        ("/pub/", False),
        ("/other", False),
        ("../other", False),
        ("%2e%2e/other", False),
        ("http://localhost:PORT/pub/b", False),
        ("file:///etc/passwd", False),
        ("a", False),
        ("round", False),
    ],
)
def test_redirected_files(script: Script, target: Path, location: str, taken: bool, follow: bool) -> None:
    location = location.replace("PORT", script.origin.rpartition(":")[2])
    script.lists("/pub/", "a", "z")
    script.lists("/pub/a/", "in-a")
    script.answers |= {
        "/pub/a": Says(status=302, fields=(("Location", location),)),
        "/pub/c": Says(status=308, fields=(("Location", "b"),)),
        "/pub/round": Says(status=302, fields=(("Location", "a"),)),
        "/pub/b": Says(b"it"),
        "/pub/a/in-a": Says(b"it"),
        "/pub/sub/": Says(b"no"),
        "/other": Says(b"no"),
        "/pub/%2e%2e/other": Says(b"no"),
        "/pub/z": Says(b"last"),
    }
    done = script.run(target, follow=follow)
    got = {"a/in-a" if location == "a/" else "a": b"it"} if taken else {}
    assert content(target) == {"z": b"last", **got}
    assert done.result.skipped == (0 if taken else 1), done.said
    if not follow:
        assert all(path.startswith("/pub/") and "%2e" not in path for path in script.paths)


@pytest.mark.parametrize("location", ["/elsewhere/", "http://127.0.0.1:1/pub/", "/pub/sub/"])
def test_a_redirected_folder_is_not_the_one_that_was_asked_for(script: Script, target: Path, location: str) -> None:
    away = Says(status=301, fields=(("Location", location),))
    script.lists("/pub/", "x/")
    script.answers["/pub/x/"] = away
    target.mkdir()
    (target / "old").write_text("stays")
    done = script.run(target, delete=True)
    assert done.said[-1] == "skipped .: nothing is deleted, because the contents of x are unknown"
    assert (target / "old").exists()
    script.answers["/pub/"] = away
    with pytest.raises(BadRedirect, match="mirror that URL instead"):
        script.run(target, delete=True)
    assert script.paths == ["/pub/", "/pub/x/", "/pub/"]


def broken_listing(script: Script, how: str) -> None:
    path = "/pub/sub/"
    script.lists(path, "kept", whole=how != "cut")
    listing = script.answers[path]
    assert isinstance(listing, Says)
    script.answers[path] = {
        "cut": listing,
        "truncated": Says(listing.body, kind="text/html", length=len(listing.body) + 1),
        "missing": Says(status=404),
        "forbidden": Says(status=403),
        "failing": Says(status=500),
        "a part": Says(listing.body, status=206, kind="text/html"),
        "a page": Says(b"<title>Welcome</title></html>", kind="text/html"),
        "no page": Says(b"text"),
        "no JSON": Says(b'{"entries": [', kind="application/json"),
        "large": Says(listing.body.replace(b"<ul>", b" " * 34_000_000), kind="text/html"),
    }[how]


@pytest.mark.parametrize(
    "how",
    ["cut", "truncated", "missing", "forbidden", "failing", "a part", "a page", "no page", "no JSON", "large"],
)
def test_nothing_is_deleted_when_a_listing_is_not_whole(script: Script, target: Path, how: str) -> None:
    script.lists("/pub/", "sub/", "a")
    script.answers |= {"/pub/a": Says(b"1"), "/pub/sub/kept": Says(b"2")}
    broken_listing(script, how)
    mine = {"sub/kept": b"2", "sub/mine": b"", "mine": b""}
    write_tree(target, mine)
    done = script.run(target, delete=True)
    assert {name: body for name, body in content(target).items() if name in mine} == mine
    assert (target / "a").read_bytes() == b"1", "the rest is fetched"
    assert done.result.deleted == 0
    assert "nothing is deleted" in done.said[-1]
    assert done.result.skipped >= 1


def test_what_is_deleted(script: Script, target: Path, tmp_path: Path) -> None:
    outside = write_tree(tmp_path / "outside", {"precious": b"1"})
    script.lists("/pub/", "a", "sub/", "bad%0aname")
    script.lists("/pub/sub/")
    script.answers["/pub/a"] = Says(b"1")
    write_tree(target, {"old": b"", "sub/old": b"", "gone/x/y": b"", "gone/z": b"", "mixed/x": b""})
    (target / "gone" / "hollow").mkdir()
    (target / "mixed" / "link").symlink_to(outside)
    (target / "link").symlink_to(outside)
    os.mkfifo(target / "fifo")
    planned = script.run(target, delete=True, max_delete=100, dry_run=True)
    assert [(method, path) for method, path, _ in script.requests if path == "/pub/a"] == [("HEAD", "/pub/a")]
    assert len(content_names(target)) == 8
    done = script.run(target, delete=True, max_delete=100)
    assert content_names(target) == {"a", "link", "mixed/link", "fifo", os.fsdecode(STATE)}
    assert (outside / "precious").exists()
    deleted = {line.removeprefix("deleted ") for line in done.said if line.startswith("deleted ")}
    assert deleted == {"old", "sub/old", "gone", "gone/x", "gone/x/y", "gone/z", "gone/hollow", "mixed/x"}
    assert [line for line in done.said if line.startswith("skipped ")] == [
        "skipped bad\\x0aname: the name contains a control character",
        "skipped fifo: not deleted: it is neither a file nor a folder",
        "skipped link: not deleted: it is neither a file nor a folder",
        "skipped mixed/link: not deleted: it is neither a file nor a folder",
        "skipped mixed: something in it was not deleted",
    ]
    assert (planned.counts, done.counts) == ((1, 0, 8, 5), (1, 0, 8, 5))


def content_names(folder: Path) -> set[str]:
    """Everything but folders, symlinks to folders included."""
    found = set()
    for path, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(path, name))]
        found |= {os.path.relpath(os.path.join(path, name), folder) for name in (*names, *links)}
    return found


@pytest.mark.parametrize("way", ["file", "folder", "deeper", "dangling", "hard link", "part", "notes"])
def test_no_symlink_is_followed(script: Script, target: Path, tmp_path: Path, way: str) -> None:
    outside = write_tree(tmp_path / "outside", {"x": b"precious", "deep/x": b"precious", "out": b"precious"})
    before = content(outside)
    script.lists("/pub/", "x", "sub/")
    script.lists("/pub/sub/", "x", "deep/")
    script.lists("/pub/sub/deep/", "x")
    for name in ("x", "sub/x", "sub/deep/x"):
        script.answers[f"/pub/{name}"] = Says(b"new")
    (target / "sub").mkdir(parents=True)
    link, skipped = {
        "file": ("x", "skipped x: something other than a file is in the way"),
        "folder": ("sub", "skipped sub: a file or a symlink is in the way"),
        "deeper": ("sub/deep", "skipped sub/deep: a file or a symlink is in the way"),
        "dangling": ("x", "skipped x: something other than a file is in the way"),
        "hard link": ("x", "skipped x: a file that is not the mirror's is in the way; --force replaces it"),
        "part": (os.fsdecode(PART), ""),
        "notes": (os.fsdecode(STATE), ""),
    }[way]
    if way == "folder":
        (target / "sub").rmdir()
    to = {"folder": outside, "deeper": outside / "deep", "dangling": tmp_path / "nothing"}.get(way, outside / "out")
    if way == "hard link":
        os.link(to, target / link)
    else:
        (target / link).symlink_to(to)
    done = script.run(target, delete=True)
    assert content(outside) == before
    assert not (tmp_path / "nothing").exists()
    assert (target / link).is_symlink() == (bool(skipped) and way != "hard link")
    assert ([line for line in done.said if "in the way" in line] or [""]) == [skipped]
    assert done.result.fetched == {"folder": 1, "part": 3, "notes": 3}.get(way, 2)
    if way == "hard link":
        assert script.run(target, force=True).result.skipped == 0
        assert (target / link).read_bytes() == b"new"
        assert content(outside) == before


@pytest.mark.parametrize(("here", "there"), [("x/y", "x"), ("x", "x/y")])
def test_a_folder_where_a_file_should_be(script: Script, target: Path, here: str, there: str) -> None:
    write_tree(target, {here: b"mine"})
    script.lists("/pub/", there)
    script.answers[f"/pub/{there}"] = Says(b"theirs")
    done = script.run(target)
    assert content(target) == {here: b"mine"}
    assert done.counts == (0, 0, 0, 1)
    assert "in the way" in done.said[0]


@pytest.mark.parametrize(
    "answer",
    [
        Says(b"half", length=8),
        Says(b"no", status=404),
        Says(b"no", status=500),
        Says(b"part", status=206),
        Says(status=304),
        Says(status=301, fields=()),
    ],
    ids=lambda answer: f"{answer.status} {answer.length}",
)
def test_a_file_that_does_not_come_leaves_the_old_one(script: Script, target: Path, answer: Says) -> None:
    script.lists("/pub/", "a", "b")
    script.answers |= {"/pub/a": answer, "/pub/b": Says(b"fine")}
    write_tree(target, {"a": b"old"})
    done = script.run(target, delete=True)
    assert content(target) == {"a": b"old", "b": b"fine"}
    assert done.counts == (1, 0, 0, 1)
    script.answers["/pub/a"] = Says(b"new")
    assert script.run(target, force=True).counts[0] >= 1
    assert content(target) == {"a": b"new", "b": b"fine"}


def test_a_server_that_goes_away_ends_it_and_what_came_stays(script: Script, target: Path) -> None:
    script.lists("/pub/", "a", "b")
    script.answers["/pub/a"] = Says(b"1", fields=(("ETag", '"1"'),))
    script.answers["/pub/b"] = lambda _: gone(script)
    with pytest.raises(NotConnected):
        script.run(target)
    assert content(target) == {"a": b"1"}
    script.lists("/pub/", "a", "b")
    script.answers |= {"/pub/a": conditional('"1"'), "/pub/b": Says(b"2")}
    assert script.run(target).counts == (1, 1, 0, 0)


def gone(script: Script) -> Says:
    """From now on the server responds to nothing."""
    script.answers = {}
    script.otherwise = lambda _: Says(status=0)
    return Says(status=0)


PATIENCE = Timeouts(10, 2, 2)  # for what never comes; enough for what does on a busy machine


def impatient() -> Client:
    return Client(follow=False, decode=False, retries=Retries(times=0), timeouts=PATIENCE)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Says(status=-1), "nothing came within 2 s"),
        (Says(status=0), "without a response"),
        (Says(b"half", kind="text/html", length=8), "after 4 of 8 bytes"),
    ],
    ids=["silence", "no response", "half"],
)
@pytest.mark.parametrize("bad", ["bad", "bad/"])
def test_one_that_never_answers_is_named_and_the_rest_is_fetched(
    script: Script, target: Path, answer: Says, reason: str, bad: str
) -> None:
    script.lists("/pub/", "a", bad, "z")
    script.answers |= {"/pub/a": Says(b"1"), f"/pub/{bad}": answer, "/pub/z": Says(b"2")}
    for fetched in (2, 0):
        done = script.run(target, client=impatient())
        assert content(target).keys() - {"bad/"} == {"a", "z"}
        assert (done.result.skipped, done.result.deleted) == (1, 0)
        assert [line for line in done.said if line.startswith("skipped bad: ") and reason in line]
        assert done.result.fetched >= fetched


def test_a_server_that_is_gone_is_named_after_the_file(script: Script, target: Path) -> None:
    script.lists("/pub/", "a", "sub/")
    script.answers |= {"/pub/a": Says(b"1"), "/pub/sub/": lambda _: gone(script)}
    said: list[str] = []
    with new_client() as client, pytest.raises(NotConnected):
        mirror(client, f"{script.origin}/pub/", str(target), say=said.append)
    assert said[1:] == ["skipped sub: the server closed the connection without a response"]
    assert script.paths[-1] == "/pub/"


def conditional(tag: str) -> Callable[[dict[str, str]], Says]:
    def answer(fields: dict[str, str]) -> Says:
        matches = fields.get("if-none-match") == tag
        return Says(status=304) if matches else Says(b"again", fields=(("ETag", tag),))

    return answer


LATE = format_date(4_000_000_000)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ((("ETag", '"x"'), ("Last-Modified", DATE)), {"if-none-match": '"x"', "if-modified-since": DATE}),
        ((("ETag", '"x"'),), {"if-none-match": '"x"'}),
        ((("ETag", 'W/"x"'), ("Last-Modified", DATE)), {"if-none-match": 'W/"x"', "if-modified-since": DATE}),
        ((("Last-Modified", DATE),), {"if-modified-since": DATE}),
        # Its second was not over when it was sent: another version may have the same.
        ((("ETag", 'W/"x"'),), {}),
        ((("ETag", 'W/"x"'), ("Last-Modified", LATE)), {}),
        ((("ETag", '"x"'), ("Last-Modified", LATE)), {}),
        ((("Last-Modified", LATE),), {}),
        ((("Last-Modified", "yesterday"),), {}),
        ((), {}),
    ],
)
def test_what_is_asked_the_second_time(
    script: Script, target: Path, fields: tuple[tuple[str, str], ...], asked: dict[str, str]
) -> None:
    script.lists("/pub/", "a")
    script.answers["/pub/a"] = Says(b"1", fields=fields)
    script.run(target)
    script.run(target)
    _, _, second = script.requests[-1]
    assert {name: value for name, value in second.items() if name.startswith("if-")} == asked


@pytest.mark.parametrize("what", ["size", "time", "gone", "notes gone", "notes broken", "other notes", "another place"])
def test_a_copy_that_is_not_as_we_left_it_is_fetched_anew(script: Script, target: Path, what: str) -> None:
    script.lists("/pub/", "a")
    script.lists("/pub/sub/", "a")
    script.answers |= {"/pub/a": conditional('"1"'), "/pub/sub/a": conditional('"1"')}
    script.run(target)
    assert script.run(target).counts == (0, 1, 0, 0)
    notes = target / os.fsdecode(STATE)
    if what == "size":
        before = (target / "a").stat().st_mtime_ns
        (target / "a").write_bytes(b"shorter")
        os.utime(target / "a", ns=(before, before))
    elif what == "time":
        (target / "a").write_bytes(b"AGAIN")
    elif what == "gone":
        (target / "a").unlink()
    elif what == "notes gone":
        notes.unlink()
    elif what == "notes broken":
        notes.write_bytes(notes.read_bytes()[:-1])
    elif what == "other notes":
        notes.write_text('{"files": []}')
    place = "/pub/sub" if what == "another place" else "/pub/"
    done = run(Remote(script.origin + place, target), target)
    assert done.counts == (1, 0, 0, 0)
    assert (target / "a").read_bytes() == b"again"


def test_the_notes_forget_what_is_gone(script: Script, target: Path) -> None:
    script.answers |= {"/pub/a": Says(b"1"), "/pub/b": Says(b"1")}
    script.lists("/pub/", "a", "b")
    script.run(target)
    assert set(json.loads(done_notes(target))["files"]) == {"a", "b"}
    script.lists("/pub/", "b")
    script.run(target)
    assert set(json.loads(done_notes(target))["files"]) == {"b"}


def test_what_a_killed_run_left_is_in_nobodys_way(script: Script, target: Path) -> None:
    write_tree(target, {os.fsdecode(PART): b"half", f"sub/{os.fsdecode(PART)}": b"half"})
    script.lists("/pub/", "a", "sub/")
    script.lists("/pub/sub/")
    script.answers["/pub/a"] = Says(b"1")
    assert script.run(target, delete=True).counts == (1, 0, 1, 0)
    assert content(target) == {"a": b"1", "sub/": b""}


def test_one_at_a_time(script: Script, target: Path) -> None:
    script.lists("/pub/")
    target.mkdir()
    fd = os.open(target, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(CannotRun, match="another mirror is running in it"):
            script.run(target)
    finally:
        os.close(fd)
    assert script.run(target).counts == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("first", "second", "excluded"),
    [("a", "a", True), ("a", "a/b", True), ("a/b", "a", True), ("a", "a/b/c", True), ("a/b", "a/c", False)],
)
def test_one_at_a_time_above_and_below(script: Script, tmp_path: Path, first: str, second: str, excluded: bool) -> None:
    """Two mirrors with folders inside each other would write the same files."""
    script.lists("/pub/")
    for name in (first, second):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    with closing(Tree(str(tmp_path / first))):
        if excluded:
            with pytest.raises(CannotRun, match="another mirror is running in it, or in a folder above or below"):
                script.run(tmp_path / second)
        else:
            script.run(tmp_path / second)
    assert script.run(tmp_path / second).counts == (0, 0, 0, 0)


def test_a_folder_that_cannot_be_locked(script: Script, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    script.lists("/pub/", "a")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(CannotRun, match="cannot be locked"):
        script.run(target)


@pytest.mark.parametrize("link", [False, True])
def test_the_folder_itself(script: Script, tmp_path: Path, link: bool) -> None:
    """It may be a symlink, since the user has named it, but not a file."""
    script.lists("/pub/", "a")
    script.answers["/pub/a"] = Says(b"1")
    (tmp_path / "real").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("real")
    if link:
        script.run(tmp_path / "link")
        assert content(tmp_path / "real") == {"a": b"1"}
    else:
        with pytest.raises(CannotRun, match=r"cannot use .* as a folder: Not a directory"):
            script.run(tmp_path / "file")
        assert script.requests == []


class CaselessTree(Tree):
    """A disk on which ``A`` and ``a`` are one name."""

    def look(self, names: tuple[bytes, ...]) -> os.stat_result | None:
        return super().look(tuple(name.lower() for name in names))

    def make_folder(self, names: tuple[bytes, ...]) -> os.stat_result:
        return super().make_folder(tuple(name.lower() for name in names))

    def write(
        self, names: tuple[bytes, ...], pieces: Iterable[Data], modified: int | None = None, *, overwrite: bool = True
    ) -> os.stat_result:
        return super().write(tuple(name.lower() for name in names), pieces, modified, overwrite=overwrite)


def test_a_disk_without_regard_to_case(script: Script, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpmini.client.mirror.mirror.Tree", CaselessTree)
    script.lists("/pub/", "a", "A", "Sub/", "sub/", "last")
    script.lists("/pub/Sub/", "x")
    script.lists("/pub/sub/", "y")
    for name in ("a", "A", "Sub/x", "sub/y", "last"):
        script.answers[f"/pub/{name}"] = Says(name.encode())
    for _ in range(2):
        done = script.run(target, delete=True)
        assert content(target) == {"a": b"a", "sub/x": b"Sub/x", "last": b"last"}
        assert [line for line in done.said if line.startswith("skipped ")] == [
            "skipped A: on this disk it is the same as a",
            "skipped sub: on this disk it is the same as Sub",
            "skipped .: nothing is deleted, because the contents of sub are unknown",
        ]


def test_what_another_name_means_is_not_deleted(script: Script, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpmini.client.mirror.mirror.Tree", CaselessTree)
    script.lists("/pub/", "A", "B", "Sub/", "Hollow/")
    script.lists("/pub/Sub/", "X")
    script.lists("/pub/Hollow/")
    script.answers |= {"/pub/A": Says(b"1"), "/pub/B": conditional('"1"'), "/pub/Sub/X": Says(b"2")}
    script.run(target)
    (target / "old").write_text("")
    for dry_run in (True, False):
        assert script.run(target, delete=True, dry_run=dry_run).counts == (2, 1, 1, 0)
    assert content(target) == {"a": b"1", "b": b"again", "sub/x": b"2", "hollow/": b""}


def test_hard_links_are_files_of_their_own(script: Script, target: Path) -> None:
    script.lists("/pub/", "a", "b")
    script.answers |= {"/pub/a": conditional('"1"'), "/pub/b": conditional('"1"')}
    script.run(target)
    (target / "b").unlink()
    os.link(target / "a", target / "b")
    script.answers["/pub/b"] = Says(b"new")
    assert script.run(target).counts == (1, 1, 0, 0)
    assert content(target) == {"a": b"again", "b": b"new"}


def test_the_password_goes_along(script: Script, target: Path) -> None:
    script.lists("/pub/", "sub/", "a")
    script.lists("/pub/sub/", "b")
    script.answers |= {
        "/pub/a": Says(status=302, fields=(("Location", "c"),)),
        "/pub/c": Says(b"1"),
        "/pub/sub/b": Says(b"2"),
    }
    url = script.origin.replace("http://", "http://ada:se%20cret@") + "/pub"
    done = run(Remote(url, target), target)
    token = base64.b64encode(b"ada:se cret").decode()
    assert len(script.requests) == 5
    assert {fields.get("authorization") for _, _, fields in script.requests} == {f"Basic {token}"}
    assert done.result.fetched == 2
    assert b"cret" not in done_notes(target)


@pytest.mark.parametrize(
    ("target_of_url", "error"),
    [
        ("/pub/?C=N", BadUrl),
        ("/a/%2e%2e/b/", BadUrl),
        ("/a%2fb/", BadUrl),
        ("/missing/", BadStatus),
        ("/text/", BadUrl),
        ("/cut/", Truncated),
        ("/json/", BadUrl),
    ],
)
def test_no_folder_to_begin_with(script: Script, target: Path, target_of_url: str, error: type[FetchError]) -> None:
    script.lists("/pub/", "a")
    script.answers |= {
        "/text/": Says(b"a text"),
        "/cut/": Says(b"", kind="text/html", length=5),
        "/json/": Says(b"[]", kind="application/json"),
    }
    with pytest.raises(error):
        run(Remote(script.origin + target_of_url, target), target)
    assert not target.exists()


@pytest.mark.parametrize(
    ("written", "asked"),
    [("/pub", "/pub/"), ("/pub/", "/pub/"), ("/x/../pub", "/pub/"), ("/pub/.", "/pub/"), ("", "/")],
)
def test_where_it_begins(script: Script, target: Path, written: str, asked: str) -> None:
    script.lists("/pub/", "a")
    script.lists("/", "a")
    script.answers |= {"/pub/a": Says(b"1"), "/a": Says(b"1")}
    run(Remote(script.origin + written, target), target)
    assert script.paths == [asked, f"{asked}a"]


def test_files_come_whole_or_not_at_all_when_the_client_has_limits(script: Script, target: Path) -> None:
    script.lists("/pub/", "large", "small")
    script.answers |= {"/pub/large": Says(b"x" * 10_000), "/pub/small": Says(b"x")}
    with Client(follow=False, decode=False, limits=Limits(body_bytes=5_000)) as client:
        result = mirror(client, f"{script.origin}/pub/", str(target))
    assert (result.fetched, result.skipped) == (1, 1)
    assert content(target) == {"small": b"x"}


def test_the_files_have_the_permissions_of_new_files(script: Script, target: Path) -> None:
    script.lists("/pub/", "a")
    script.answers["/pub/a"] = Says(b"1")
    before = os.umask(0o027)
    try:
        script.run(target)
    finally:
        os.umask(before)
    assert stat.S_IMODE((target / "a").stat().st_mode) == 0o640


# What a run must not do in silence, or to somebody else's files.

LISTING = b"<html><head><title>Index of /pub/</title></head><body><a href='a'>a</a> <a href='b'>b</a></body></html>"


@pytest.mark.parametrize("place", [".", "sub"])
@pytest.mark.parametrize(
    "page",
    [LISTING[:-30], LISTING[:-7], LISTING[:20], b"", LISTING.replace(b"Index of", b"About")[:-7]],
    ids=["in a link", "before its end", "in its title", "at once", "a page"],
)
@pytest.mark.parametrize("delete", [False, True])
def test_a_listing_that_was_cut_off(script: Script, target: Path, place: str, page: bytes, delete: bool) -> None:
    """Without a length, only the end of the page tells."""
    at = "/pub/" if place == "." else "/pub/sub/"
    script.lists("/pub/", "sub/")
    script.answers |= {"/pub/sub/a": Says(b"1"), "/pub/a": Says(b"1")}
    script.answers[at] = Says(page, kind="text/html", length=-1)
    write_tree(target, {"a": b"1", "old": b"mine", "old2": b"mine", "sub/old": b"mine"})
    done = script.run(target, delete=delete, max_delete=100)
    skipped = [line for line in done.said if line.startswith("skipped ")]
    assert skipped[0] == f"skipped {place}: its listing was cut off, and what else is in it is unknown"
    assert skipped[-1] == f"skipped .: nothing is deleted, because the listing of {place} was cut off" or not delete
    assert content(target).keys() >= {"a", "old", "old2", "sub/old"}
    script.answers[at] = Says(LISTING, kind="text/html", length=-1)
    script.answers |= {"/pub/b": Says(b"2"), "/pub/sub/b": Says(b"2")}
    assert script.run(target).result.skipped == 0


def zipped(body: bytes, kind: str = "text/plain", coding: str = "gzip") -> Says:
    packed = zlib.compress(body) if coding == "deflate" else gzip.compress(body, mtime=0) if "gzip" in coding else body
    return Says(packed, kind=kind, fields=(("Content-Encoding", coding), ("Last-Modified", DATE)))


@pytest.mark.parametrize("decode", [False, True], ids=["command", "client that decodes"])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_a_coding_that_nobody_requested(script: Script, target: Path, decode: bool, coding: str) -> None:
    """It is undone, in listings and files, unless the file is stored in it."""
    script.answers = {
        "/pub/": zipped(LISTING.replace(b"'b'", b"'b.tar.gz'"), "text/html", coding),
        "/pub/a": zipped(b"one", coding=coding),
        "/pub/b.tar.gz": zipped(b"an archive"),
    }
    done = script.run(target, client=Client(follow=False, decode=decode))
    assert content(target) == {"a": b"one", "b.tar.gz": gzip.compress(b"an archive", mtime=0)}
    assert done.counts == (2, 0, 0, 0)
    assert {fields["accept-encoding"] for _, _, fields in script.requests} == {"identity"}


@pytest.mark.parametrize("decode", [False, True])
def test_a_coding_that_cannot_be_undone_is_said(script: Script, target: Path, decode: bool) -> None:
    def said() -> list[str]:
        return script.run(target, client=Client(follow=False, decode=decode), delete=True, max_delete=100).said

    reason = "it came in the coding compress, which was not requested and cannot be decoded here"
    script.lists("/pub/", "a", "b.Z", "sub/")
    script.answers |= {
        "/pub/a": zipped(b"one", coding="compress"),
        "/pub/b.Z": zipped(b"two", coding="compress"),
        "/pub/sub/": zipped(LISTING, "text/html", "compress"),
    }
    write_tree(target, {"old": b"mine"})
    assert said() == [
        f"skipped a: {reason}",
        "fetched b.Z (3 bytes)",
        f"skipped sub: {reason}",
        "skipped .: nothing is deleted, because the contents of sub are unknown",
    ]
    assert content(target) == {"b.Z": b"two", "old": b"mine"}
    script.answers["/pub/"] = zipped(LISTING, "text/html", "compress")
    with pytest.raises(BrokenResponse, match=re.escape(reason)):
        said()


def test_a_coding_that_is_not_what_came(script: Script, target: Path) -> None:
    script.lists("/pub/", "a", "b")
    broken = Says(b"not gzip", fields=(("Content-Encoding", "gzip"),))
    bomb = zipped(bytes(8 * 1024**2))
    script.answers |= {"/pub/a": broken, "/pub/b": bomb}
    assert script.run(target).counts == (0, 0, 0, 2)
    assert content(target) == {"./": b""} or content(target) == {}


FILES_OF_TEN = {f"f{number}": b"1" for number in range(10)}


@pytest.mark.parametrize(
    ("left", "percent", "allowed"),
    [
        (0, None, False),
        (4, None, False),
        (5, None, True),
        (9, None, True),
        (9, 0, False),
        (0, 100, True),
        (7, 19, False),
    ],
)
def test_how_much_is_deleted_without_a_question(
    script: Script, target: Path, left: int, percent: int | None, allowed: bool
) -> None:
    options = {} if percent is None else {"max_delete": percent}
    script.lists("/pub/", *FILES_OF_TEN)
    script.answers |= {f"/pub/{name}": conditional('"1"') for name in FILES_OF_TEN}
    script.run(target)
    script.lists("/pub/", *list(FILES_OF_TEN)[:left], "new")  # what is new does not count
    script.answers["/pub/new"] = Says(b"1")
    shown = percent if percent is not None else 50
    reason = f"{10 - left} of 10 files are not on the server, more than the {shown} % of --max-delete"
    planned = script.run(target, delete=True, dry_run=True, **options)
    assert planned.result.deleted == 10 - left
    assert [line for line in planned.said if line.startswith("skipped ")] == (
        [] if allowed else [f"skipped .: not deleted without a question: {reason}"]
    )
    asked: list[str] = []

    def refuse(reason: str) -> bool:
        asked.append(reason)
        return False

    refused = script.run(target, delete=True, confirm=refuse, **options)
    assert asked == ([] if allowed else [reason])
    assert refused.result.deleted == (10 - left if allowed else 0)
    if not allowed:
        assert refused.said[-1] == f"skipped .: nothing is deleted, because {reason}"
        unasked = script.run(target, delete=True, **options)
        assert unasked.said[-1].startswith(f"skipped .: nothing is deleted, because {10 - left} of 11 files")
        assert content(target).keys() == {*FILES_OF_TEN, "new"}
        assert script.run(target, delete=True, confirm=lambda _: True, **options).counts[2:] == (10 - left, 0)
    assert content(target).keys() == {*list(FILES_OF_TEN)[:left], "new"}


def test_what_was_not_deleted_is_still_ours(script: Script, target: Path) -> None:
    """A listing that is empty once does not make the files somebody else's."""
    script.lists("/pub/", "a")
    script.answers["/pub/a"] = Says(b"1")
    script.run(target)
    script.lists("/pub/")
    assert script.run(target, delete=True).counts == (0, 0, 0, 1)
    assert script.run(target).counts == (0, 0, 0, 0)
    script.lists("/pub/", "a")
    script.answers["/pub/a"] = Says(b"2")
    assert script.run(target).counts == (1, 0, 0, 0)
    assert content(target) == {"a": b"2"}


DOTTED = (".bashrc", ".ssh/authorized_keys", "sub/.git/config", "%2ebashrc2", "%c2%ad.zshrc", "%E2%80%8b..x")


@pytest.mark.parametrize("hidden", [False, True])
def test_hidden_names(script: Script, target: Path, hidden: bool) -> None:
    script.lists("/pub/", "a", ".config/", *DOTTED)
    script.lists("/pub/.config/", "x")
    script.answers |= {f"/pub/{name}": Says(b"theirs") for name in ("a", ".config/x", *DOTTED)}
    mine = {".profile": b"mine", ".config/mine": b"mine", "sub/.mine": b"mine", "old/.mine": b"mine", "old/x": b"mine"}
    write_tree(target, mine)
    done = script.run(target, delete=True, max_delete=100, hidden=hidden)
    names = {unquote(name) for name in (".config/x", *DOTTED)}
    if hidden:
        assert content(target) == {**dict.fromkeys((*names, "a"), b"theirs"), "sub/.mine": b"mine"}, "sub is not listed"
        assert done.counts == (8, 0, 5, 0)
        return
    assert content(target) == {"a": b"theirs", **{name: b"mine" for name in mine if name != "old/x"}}
    skipped = [line for line in done.said if line.startswith("skipped ")]
    assert skipped[:-1] == [
        f"skipped {visible(name)}: the name is hidden; --hidden includes such files"
        for name in (".config", *map(unquote, DOTTED))
    ]
    assert skipped[-1] == "skipped old: it is not empty"
    assert [path for path in script.paths if path != "/pub/"] == ["/pub/a"]


FOREIGN = "a file that is not the mirror's is in the way; --force replaces it"


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_no_run_has_written_is_not_replaced(script: Script, target: Path, dry_run: bool) -> None:
    script.lists("/pub/", "new", "other", "same", "shorter", "longer", "sub/x")
    theirs = {"new": b"1", "other": b"1", "same": b"22", "shorter": b"333", "longer": b"333", "sub/x": b"1"}
    script.answers |= {f"/pub/{name}": Says(body) for name, body in theirs.items()}
    mine = {"other": b"m", "same": b"22", "shorter": b"33", "longer": b"3333", "sub/x": b"mine"}
    write_tree(target, mine)
    (target / "same").chmod(0o600)
    before = (target / "same").stat()
    done = script.run(target, dry_run=dry_run)
    assert content(target) == mine if dry_run else {**mine, "new": b"1"}
    assert [line for line in done.said if line.startswith("skipped ")] == [
        f"skipped {name}: {FOREIGN}" for name in ("other", "shorter", "longer", "sub/x")
    ]
    assert done.counts == (2, 0, 0, 4)
    assert stat.S_IMODE((target / "same").stat().st_mode) == 0o600
    assert (target / "same").stat().st_ino == before.st_ino
    if not dry_run:
        script.answers |= {f"/pub/{name}": Says(b"2") for name in theirs}
        assert script.run(target).counts == (2, 0, 0, 4), "what is the same is the mirror's from then on"
        assert script.run(target, force=True).counts == (6, 0, 0, 0)
        assert content(target) == dict.fromkeys(theirs, b"2")
        assert script.run(target).result.skipped == 0


def test_a_file_that_appears_meanwhile_is_not_replaced(script: Script, target: Path) -> None:
    def answer(_: dict[str, str]) -> Says:
        (target / "a").write_bytes(b"mine")
        return Says(b"theirs")

    script.lists("/pub/", "a")
    script.answers["/pub/a"] = answer
    assert script.run(target).said == ["skipped a: something is in the way"]
    assert content(target) == {"a": b"mine"}


def test_a_file_that_was_changed_here_is_still_the_mirrors(script: Script, target: Path) -> None:
    script.lists("/pub/", "a")
    script.answers["/pub/a"] = Says(b"1")
    script.run(target)
    (target / "a").write_bytes(b"changed")
    assert script.run(target).counts == (1, 0, 0, 0)
    assert content(target) == {"a": b"1"}
