"""``httpmini why``: it says of every request what the server says, and how it came to that."""

from __future__ import annotations

import ast
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from httpmini import config
from httpmini.cli.main import main
from httpmini.daemon.build_http import build_http
from httpmini.daemon.build_site import build_site
from httpmini.daemon.explain import Explainer
from httpmini.lint.cases import CASES, Case
from httpmini.protocol.body import Promise
from httpmini.server.core.connection import Interest
from httpmini.server.http.service import HttpService
from httpmini.site.resolve import Fact
from httpmini.site.users import set_password
from tests.support.logs import log_into
from tests.support.sans_io import PEER, deliver
from tests.support.small_site import write_tree
from tests.support.tables import check_all, in_batches

PACKAGE = Path(__file__).parent.parent / "httpmini"
JSON_LOG = '[log]\nformat = "json"\n[site]\narchives = true\n'

# What the server says.


class Server:
    """A server without sockets; its log says what it has answered."""

    def __init__(self, root: Path, settings: config.Config) -> None:
        self.lines: list[str] = []
        self.root = root
        site = build_site(settings)
        http = build_http(settings, [site], lambda _place: self.lines.append, log_into([]))
        self.service = HttpService(http)

    def first_line(self, octets: bytes) -> str:
        """Return the line of the log about the first request in ``octets``."""
        self.lines.clear()
        connection = self.service.connect(PEER, 0.0)
        for data in (octets, b""):
            if connection.interest in (Interest.READ, Interest.LINGER):
                deliver(connection, data, 0.0)
            while connection.interest in (Interest.WRITE, Interest.WORK):
                if connection.work is not None:
                    connection.work.run()
                    connection.work_done(0.0)
                else:
                    piece = connection.output[0]
                    assert not isinstance(piece, Promise)
                    connection.sent(len(piece) if isinstance(piece, bytes) else piece.length, 0.0)
        return self.lines[0] if self.lines else ""


@pytest.fixture(scope="module")
def settings(site: Path, tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    file = tmp_path_factory.mktemp("why") / "site.toml"
    file.write_text(JSON_LOG)
    return config.load(str(file), config.Flags(root=str(site)))


@pytest.fixture(scope="module")
def server(site: Path, settings: config.Config) -> Server:
    return Server(site, settings)


@pytest.fixture(scope="module")
def explainer(settings: config.Config) -> Explainer:
    return Explainer(settings)


@in_batches("cases", CASES)
def test_every_wire_case(cases: Sequence[Case], server: Server, explainer: Explainer) -> None:
    check_all(cases, lambda case: check_explanation(case, server, explainer))


def check_explanation(case: Case, server: Server, explainer: Explainer) -> None:
    line = server.first_line(case.data)
    if not line:  # the client has said nothing
        assert case.answers == ()
        return
    said = json.loads(line)
    found = explainer.explain(case.data, PEER.host)
    assert (found.status, found.reason.token if found.reason else None) == (said["status"], said.get("reason"))
    assert found.steps, "not a word about why"
    if case.answers:
        assert found.status == case.answers[0].status


# Every branch has a sentence.

EXPLAINED = ["respond.py", "authorise.py", "conditional.py", "representation.py", "variants.py", "rules.py"]


def functions_with_trail(file: str) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse((PACKAGE / "site" / file).read_text())):
        if isinstance(node, ast.FunctionDef) and any(argument.arg == "trail" for argument in node.args.args):
            yield node


def mentions_trail(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) and part.id == "trail" for part in ast.walk(node))


def silent_ends(block: list[ast.stmt], before: ast.AST | None) -> Iterator[ast.stmt]:
    """Yield each return and raise of a branch in which nothing is said, nor right before it."""
    said = any(map(mentions_trail, block)) or (before is not None and mentions_trail(before))
    for number, statement in enumerate(block):
        if isinstance(statement, ast.Return | ast.Raise) and not said:
            yield statement
        previous: ast.AST | None = block[number - 1] if number else before
        if isinstance(statement, ast.If) and mentions_trail(statement.test):
            previous = statement.test
        for inner in ("body", "orelse", "finalbody"):
            yield from silent_ends(getattr(statement, inner, []), previous)
        for handler in getattr(statement, "handlers", []):
            yield from silent_ends(handler.body, previous)


# What the last line of the explanation says anyway, and branches without a choice.
SAID_BY_THE_OUTCOME = {
    ("_respond_with_found", "raise ProtocolError(REASONS[_FACT_REASONS[found]])"): "the walk has named the fact",
    ("_respond_with_index", "raise ProtocolError(REASONS[_FACT_REASONS[found]])"): "the walk has named the fact",
    ("_respond_with_listing", "raise ProtocolError(REASONS[_FACT_REASONS[fact_of(error)]]) from error"): "the disk",
    (
        "_respond_with_file",
        "return _with_fields(self.refuse(error, request.target), _without(rules, _LIFETIMES))",
    ): "conditions, range",
    ("_respond_with_thumbnail", "raise ProtocolError(REASONS[_FACT_REASONS[fact_of(error)]]) from error"): "the disk",
    ("_check_method", "raise ProtocolError(REASONS['method-not-allowed'], fields=(_ALLOW,))"): "said before",
    ("respond", "return Response(304, Headers(fields))"): "the conditions are named",
    (
        "respond",
        "raise ProtocolError(REASONS['range-unsatisfiable'], fields=(content_range, ACCEPT_RANGES))",
    ): "the range is named",
    ("_refuse_path", "return response"): "a target that cannot be parsed has no rules",
    ("_fields_of_rules", "return {}"): "no rules at all",
    ("redirect_of", "return None"): "no redirects at all",
    ("_authorise_opened", "return None"): "what was opened is in no realm, or in the one that was named before",
    ("_authorise_opened", "raise"): "an error that was explained where it was raised",
}


@pytest.mark.parametrize("file", EXPLAINED)
def test_every_branch_of_the_pipeline_has_a_sentence(file: str) -> None:
    functions = list(functions_with_trail(file))
    assert functions
    silent = {(one.name, ast.unparse(end)) for one in functions for end in silent_ends(one.body, None)}
    assert silent - SAID_BY_THE_OUTCOME.keys() == set()


def test_each_step_of_the_pipeline_takes_part() -> None:
    """A step that is added to the site without a trail would be left out without a word."""
    tree = ast.parse((PACKAGE / "site" / "respond.py").read_text())
    site = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Site")
    methods = [node for node in site.body if isinstance(node, ast.FunctionDef)]
    without = {one.name for one in methods} - {one.name for one in functions_with_trail("respond.py")}
    assert without == {"refuse", "_validators", "archives"}


@pytest.mark.parametrize("file", [*EXPLAINED, "resolve.py"])
def test_nothing_is_paid_without_a_trail(file: str) -> None:
    """Every sentence is made only after it was asked whether there is a trail."""
    tree = ast.parse((PACKAGE / "site" / file).read_text())
    asked = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "trail" in ast.unparse(node.test)
        for statement in node.body
        for part in ast.walk(statement)
    }
    given = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "_assume"
        for part in ast.walk(node)
    }
    notes = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("trail.note")
    ]
    assert notes
    assert [ast.unparse(note) for note in notes if id(note) not in asked | given] == []


# The command.


class Said(NamedTuple):
    status: int
    lines: list[str]
    errors: str

    @property
    def outcome(self) -> str:
        return self.lines[-1].removeprefix(" =  ")

    def step(self, name: str) -> list[str]:
        parts = [line.split(maxsplit=2) for line in self.lines[:-1]]
        return [part[2] for part in parts if part[1] == name]


Why = Callable[..., Said]

SITES = """\
[server]
deny = ["198.51.100.0/24"]

[status]
on_site = true

[[site]]
root = "one"
digests = 0

[[site]]  # the other one
hosts = ["files.example.org"]
root = "two"
precompressed = ["gzip"]
listing = false

  [[ site.rules ]]
path = "*.css"
fields = { X-A = "b" }
[[site.redirects]]
path = "/none/**"
to = "/new/**"
[[site.redirects]]
path = "/old/**"
to = "/new/**"
[[site.realms]]
path = "/private/"
users = "users"
"""


@pytest.fixture
def why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Why:
    files = {
        "new/a.css": b"0123456789",
        "new/a.css.gz": b"packed",
        "private/x": b"x",
        "fold/er": b"",
        "index.html": b"i",
    }
    write_tree(tmp_path / "two", files)
    write_tree(tmp_path / "one", {"a": b"a", ".hidden": b"h"})
    (tmp_path / "one" / "link").symlink_to("a")
    (tmp_path / "one" / "out").symlink_to("/etc/passwd")
    set_password(str(tmp_path / "users"), "ada", "s3cret", 4)
    (tmp_path / "site.toml").write_text(SITES)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as end:
            main(("why", "-c", "site.toml", *arguments))
        output, errors = capfd.readouterr()
        return Said(int(end.value.code or 0), output.splitlines(), errors)

    return run


def test_a_redirection(why: Why) -> None:
    said = why("http://files.example.org/old/a.css?x", "-H", "Range: bytes=0-9")
    assert said.step("site") == ["files.example.org: the second [[site]], site.toml:11"]
    assert said.step("redirect") == ["/old/** to /new/**, site.toml:23"]
    assert said.step("rule") == ["*.css sets X-A, site.toml:17"]
    assert said.step("head")[0].startswith("Content-Type: text/html; charset=utf-8; ")
    assert said.step("head")[0].endswith("; X-A: b")
    assert (said.status, said.outcome) == (0, "301 Moved Permanently, Location: /new/a.css?x")
    assert [line[:2].strip() for line in said.lines] == [*map(str, range(1, len(said.lines))), "="]


@pytest.mark.parametrize(
    ("request_", "status", "outcome", "step"),
    [
        (("/a",), 0, "200 OK", ("walk", "/a: a file of 1 bytes")),
        ((":8080/a?x",), 0, "200 OK", ("target", "/a")),
        (("/a", "-X", "HEAD"), 0, "200 OK", ("type", "application/octet-stream")),
        (("/a/",), 1, "404 Not Found: ", ("slash", "a file has none at its end")),
        (("/.hidden",), 1, "404 Not Found: ", ("walk", f"/.hidden: {Fact.HIDDEN.value}")),
        (("/link",), 0, "200 OK", ("symlink", "/link to a")),
        (("/out",), 1, "404 Not Found: ", ("symlink", "/out to /etc/passwd")),
        (
            ("/", "-H", "Accept: application/json"),
            0,
            "200 OK",
            ("listing", "as application/json: there is no index file"),
        ),
        (
            ("/", "-X", "PUT"),
            1,
            "405 Method Not Allowed: ",
            ("method", "PUT is known, and not allowed: GET, HEAD, OPTIONS are"),
        ),
        (("*", "-X", "OPTIONS"), 0, "204 No Content", ("method", "OPTIONS of the whole server: what it allows")),
        (
            ("/a", "--address", "198.51.100.7"),
            1,
            "403 Forbidden: ",
            ("address", "198.51.100.7 may not (server.allow and server.deny)"),
        ),
        (("/-/health",), 0, "200 OK", ("status", "the page health of the server itself (status.on_site)")),
        (("/-/health", "--address", "192.0.2.1"), 1, "404 Not Found: ", ("walk", "/-/health: no such file")),
        (
            ("/a", "-H", "If-None-Match: *"),
            0,
            "304 Not Modified",
            ("condition", "If-None-Match: one of its tags is that of this version"),
        ),
        (
            ("/a", "-H", 'If-Match: "x"'),
            1,
            "412 Precondition Failed: ",
            ("condition", "If-Match: none of its tags is that of this version"),
        ),
        (("/a", "-H", "Range: bytes=5-"), 1, "416 ", ("range", "nothing of it is in the file")),
        (
            ("/a", "-H", "Range: lines=5-"),
            0,
            "200 OK",
            ("range", "ignored: it is malformed, in another unit, has too many parts, or the file is empty"),
        ),
        (("http://files.example.org/",), 0, "200 OK", ("index", "index.html")),
        (
            ("http://files.example.org/fold",),
            0,
            "301 Moved Permanently, Location: ./fold/",
            ("slash", "a folder has one at its end"),
        ),
        (
            ("http://files.example.org/fold/",),
            1,
            "403 Forbidden: ",
            ("listing", "switched off (site.listing), and there is no index file"),
        ),
        (
            ("http://files.example.org/new/a.css", "-H", "Accept-Encoding: gzip"),
            0,
            "200 OK",
            ("variant", "the copy in gzip, which the client accepts"),
        ),
        (
            ("http://files.example.org/new/a.css", "-H", "Range: bytes=1-3"),
            0,
            "206 Partial Content",
            ("range", "bytes 1 to 3"),
        ),
        (("http://files.example.org/private/x",), 1, "401 Unauthorized: ", ("user", "no credentials in the request")),
        (("http://files.example.org/private/x", "--as", "ada"), 0, "200 OK", ("user", "ada, with the right password")),
        (
            ("http://files.example.org/private/x", "--as", "bob"),
            1,
            "401 Unauthorized: ",
            ("user", "bob, who is not in the file of users"),
        ),
        (
            ("http://files.example.org/private/x", "-H", "Authorization: Basic YWRhOnMzY3JldA=="),
            0,
            "200 OK",
            ("user", "name and password are right"),
        ),
        (
            ("http://files.example.org/private/x", "-H", "Authorization: Basic YWRhOng="),
            1,
            "401 Unauthorized: ",
            ("user", "name or password is wrong"),
        ),
        (
            ("http://files.example.org/private/x", "-H", "Authorization: s3cret"),
            1,
            "401 Unauthorized: ",
            ("user", "the credentials cannot be read"),
        ),
        (("http://files.example.org/new/", "--as", "ada"), 1, "403 Forbidden: ", ("realm", "none of 1 has this path")),
        (
            ("http://files.example.org/new/a.css", "-H", "Want-Repr-Digest: sha-256=1"),
            0,
            "200 OK",
            ("type", "text/css; charset=utf-8"),
        ),
    ],
)
def test_what_is_said(why: Why, request_: tuple[str, ...], status: int, outcome: str, step: tuple[str, str]) -> None:
    said = why(*request_)
    assert (said.status, said.outcome[: len(outcome)], said.errors) == (status, outcome, "")
    assert step[1] in said.step(step[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a",), "must be a URL, a path that begins with a slash, or a line of the log"),
        (("ftp://ada:s3cret@x/",), "ftp://x/: must be an http or https URL"),
        (("/", "-X", "A B"), "a method is one word"),
        (("/", "-H", "Authorization Basic s3cret"), "a field is written 'Name: value'"),
        (("/", "-H", "X: a\nb"), "a field is written 'Name: value'"),
        (("/", "--address", "localhost"), "an address is numeric"),
        (('{"client": "192.0.2.1"}',), "this is no line of the access log"),
        (("{",), "this is no line of the access log"),
        (('{"client": "192.0.2.1", "request": "GET /abc..."}',), "the log has cut this request"),
        (("/", "-c", "missing.toml"), "missing.toml"),
    ],
)
def test_wrong_usage(why: Why, arguments: tuple[str, ...], message: str) -> None:
    said = why(*arguments)
    assert (said.status, said.lines) == (2, [])
    assert message in said.errors
    assert "s3cret" not in said.errors


@pytest.mark.parametrize(
    "more", [("-H", "Authorization: Basic YWRhOnMzY3JldA=="), ("-H", "Cookie: s3cret"), ("--as", "ada")]
)
def test_no_secret_is_shown(why: Why, more: tuple[str, ...]) -> None:
    said = why("http://ada:s3cret@files.example.org/private/x", *more)
    text = "\n".join(said.lines)
    assert "s3cret" not in text
    assert "YWRh" not in text
    assert "$2" not in text, "a hash"


def test_what_could_drive_a_terminal_is_escaped(why: Why, tmp_path: Path) -> None:
    (tmp_path / "one" / "\x1b[31m").write_bytes(b"")
    said = why("/%1B[31m")
    assert said.step("target") == ["/\\x1b[31m"]
    assert all(line.isprintable() for line in said.lines)


def test_no_file_is_read(settings: config.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for an entity tag, unless one has to be compared."""
    explainer = Explainer(settings)
    read: list[int] = []

    def pread(fd: int, _size: int, _offset: int) -> bytes:
        read.append(fd)
        return b""

    monkeypatch.setattr(os, "pread", pread)
    fields = b"Range: bytes=0-1\r\nIf-None-Match: *\r\nIf-Modified-Since: x\r\nWant-Repr-Digest: sha-256=1\r\n"
    for more in (b"", fields, b"Want-Repr-Digest: sha-256=1\r\n"):
        assert explainer.explain(b"GET /big.bin HTTP/1.0\r\n" + more + b"\r\n", "192.0.2.1").status in (200, 304)
    assert read == []
    explainer.explain(b'GET /ten.txt HTTP/1.0\r\nIf-None-Match: "x"\r\n\r\n', "192.0.2.1")
    assert read != []


# Lines of the log.

REQUESTS = [
    "GET /ten.txt HTTP/1.0",
    "GET /ten.txt HTTP/1.1\r\nHost: x\r\nUser-Agent: a\r\nReferer: http://x/",
    "GET /ten.txt HTTP/1.1",
    "HEAD /sub HTTP/1.0",
    "GET /nothing HTTP/1.0",
    "GET /%zz HTTP/1.0",
    "GET  /ten.txt\tHTTP/1.0",
    "BREW / HTTP/1.0",
    "GET http://u:p@x/ HTTP/1.0",
    "GET /caf\xe9.txt HTTP/1.0",
    "GET /ten.txt",
    "nonsense",
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_line_of_the_log_is_asked_again(server: Server, site: Path, why: Why, request_: str) -> None:
    line = server.first_line(f"{request_}\r\n\r\n".encode("iso-8859-1"))
    said = json.loads(line)
    again = why(line, "--root", str(site))
    if said.get("reason") == "target-userinfo":
        assert (again.status, "left out" in again.errors) == (2, True)
        return
    assert again.status == (said["status"] >= 400)
    assert again.outcome.startswith(f"{said['status']} ")
    assert said.get("reason", "") in again.outcome
    assert again.errors == ""


@pytest.mark.parametrize(
    ("fields", "logged"),
    [
        ("If-None-Match: *\r\n", "304"),
        ("Host: a b\r\n", "400 host-value"),
        ("Range: bytes=99-\r\n", "416 range-unsatisfiable"),
    ],
)
def test_a_line_that_does_not_tell_all_is_not_taken_for_the_truth(
    server: Server, site: Path, why: Why, fields: str, logged: str
) -> None:
    line = server.first_line(f"GET /ten.txt HTTP/1.0\r\n{fields}\r\n".encode())
    again = why(line, "--root", str(site))
    assert again.outcome == "200 OK"
    assert again.errors.startswith(f"httpmini: the log has {logged} for this; it does not tell every field")
    assert why(line, "--root", str(site), "-H", fields.strip()).errors == ""


def test_a_line_from_standard_input(why: Why, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"client": "192.0.2.1", "request": "GET /a HTTP/1.0"}\n'))
    assert why("-").outcome == "200 OK"


def test_a_password_for_the_whole_site(why: Why) -> None:
    """As with ``serve --password``; nobody has to know it."""
    assert why("/x", "--password", "ada").outcome.startswith("401 ")
    said = why("/", "--password", "ada", "--as", "ada")
    assert said.step("user") == ["ada, with the right password"]
    assert said.outcome == "200 OK"
    assert why("/", "--password", "ada", "--as", "bob").outcome.startswith("401 ")


def test_a_host_that_no_site_has(why: Why) -> None:
    said = why("http://nobody.example.org/")
    assert said.step("site")[0].startswith("nobody.example.org, which no site has: the first [[site]]")


def test_the_host_in_a_line_finds_the_site(why: Why) -> None:
    line = {"client": "192.0.2.1", "request": "GET /old/x HTTP/1.1", "host": "files.example.org", "status": 301}
    assert why(json.dumps(line)).outcome == "301 Moved Permanently, Location: /new/x"
    assert why(json.dumps(line), "-H", "Host: other").outcome.startswith("404 ")
    assert why(json.dumps(line | {"user": "ada", "request": "GET /private/x HTTP/1.1"})).outcome == "200 OK"
