"""Requirements on all responses, which no single wire case can show."""

from __future__ import annotations

import itertools
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from httpmini.lint.cases import CASES
from httpmini.lint.cases.build import HEAD
from httpmini.lint.cases.outside import OUTSIDE
from httpmini.lint.cases.site_tree import SECRET
from httpmini.protocol.dates import parse_date
from httpmini.server.core.connection import Interest
from tests.support.sans_io import Conversation, answers_to
from tests.support.wire import fields, mask_date


def _said_at_once(site: Path, data: bytes) -> bytes:
    """Return what the server sends before the client sends more or ends its side."""
    conversation = Conversation(site)
    conversation.hear(data)
    return conversation.said


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_simple_request_is_answered_at_once(site: Path, end: bytes) -> None:
    conversation = Conversation(site)
    conversation.hear(b"GET /ten.txt" + end)
    assert conversation.said == b"0123456789"
    assert conversation.connection.interest is Interest.LINGER


@pytest.mark.parametrize(
    ("target", "reason"),
    [("/no", b"not-found"), ("/%00", b"target-nul"), ("/.hidden", b"not-found"), ("x", b"target-form")],
)
def test_an_error_answers_a_simple_request_without_a_head(site: Path, target: str, reason: bytes) -> None:
    said = _said_at_once(site, f"GET {target}\r\n".encode())
    assert said.lower().startswith(b"<!doctype html>")
    assert reason in said


@pytest.mark.parametrize(
    "lines",
    [
        "POST /ten.txt HTTP/1.0\r\n",
        "POST /ten.txt HTTP/1.1\r\nHost: x\r\n",
        "POST /ten.txt HTTP/1.0\r\nContent-Length: 1000\r\n",
        "PUT /new HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n",
        "POST /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n",
    ],
)
def test_a_body_is_not_waited_for(site: Path, lines: str) -> None:
    said = _said_at_once(site, f"{lines}\r\n".encode())
    assert said.startswith(b"HTTP/1.0 405 ")
    assert said.count(b"HTTP/1.0 ") == 1


DOTS = ("..", "%2e%2e", ".%2E", "%252e%252e", "%c0%ae%c0%ae", "..;", "....")
SLASHES = ("/", "//", "%2f", "\\", "%5c", "%252f", "%c0%af")
STARTS = ("/", "/sub/", "/link-dir/", "http://x/")
GOALS = ("secret.txt", "www-secret/secret.txt")


@pytest.mark.parametrize("dots", DOTS)
def test_no_combination_leaves_the_root(site: Path, dots: str) -> None:
    for start, slash, depth, goal in itertools.product(STARTS, SLASHES, (1, 2, 3), GOALS):
        target = start + (dots + slash) * depth + goal
        said = answers_to(site, [f"GET {target} {HEAD}".encode()])
        assert said.startswith(b"HTTP/1.0 404 "), target
        assert SECRET not in said, target


def test_no_trick_leaves_the_root_by_a_simple_request(site: Path) -> None:
    targets = [case.data.split(b" ")[1] for case in OUTSIDE if case.answers[0].status >= 400]
    assert len(targets) > 66
    for target in targets:
        said = answers_to(site, [b"GET " + target + b"\r\n"])
        assert any(token in said for token in (b"not-found", b"target-")), target
        assert SECRET not in said, target


TARGETS = (
    "/",
    "/ten.txt",
    "/empty.txt",
    "/big.bin",
    "/sub",
    "/sub?q",
    "/sub/",
    "/indexed/",
    "/no",
    "/.hidden",
    "/%00",
    "/%zz",
    "x",
    "/fifo",
)


@pytest.mark.parametrize("more", ["", "Connection: keep-alive\r\n", "If-None-Match: *\r\n", 'If-Match: "x"\r\n'])
@pytest.mark.parametrize("target", TARGETS)
def test_head_is_get_without_its_body(site: Path, target: str, more: str) -> None:
    answers = [answers_to(site, [f"{method} {target} HTTP/1.0\r\n{more}\r\n".encode()]) for method in ("GET", "HEAD")]
    (get, _, _), (head, _, body) = (mask_date(answer).partition(b"\r\n\r\n") for answer in answers)
    assert head == get
    assert body == b""


def _fields_of(site: Path, more: str) -> tuple[int, dict[str, str]]:
    said = answers_to(site, [f"GET /ten.txt HTTP/1.0\r\n{more}\r\n".encode()])
    head, _, _ = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), fields(head)


@pytest.mark.parametrize(
    ("status", "more", "same", "absent"),
    [
        (304, "If-None-Match: *\r\n", {"etag", "last-modified", "cache-control"}, {"content-length", "content-type"}),
        (
            206,
            "Range: bytes=1-3\r\n",
            {"etag", "last-modified", "cache-control", "content-type", "accept-ranges"},
            set(),
        ),
        (206, "Range: bytes=1-3,5-6\r\n", {"etag", "last-modified", "cache-control"}, {"content-range"}),
    ],
)
def test_a_304_and_a_206_repeat_the_fields_of_the_200(
    site: Path, status: int, more: str, same: set[str], absent: set[str]
) -> None:
    _, whole = _fields_of(site, "")
    found, ours = _fields_of(site, more)
    assert found == status
    assert {name: ours[name] for name in same} == {name: whole[name] for name in same}
    assert not absent & set(ours)
    assert "date" in ours


def test_our_own_tag_is_recognised(site: Path) -> None:
    _, whole = _fields_of(site, "")
    tag = whole["etag"]
    assert tag.startswith('"'), "an old file has a strong tag"
    assert _fields_of(site, f"If-None-Match: {tag}\r\n")[0] == 304
    assert _fields_of(site, f'If-None-Match: "x", W/{tag}\r\n')[0] == 304
    assert _fields_of(site, f"If-Match: {tag}\r\n")[0] == 200
    assert _fields_of(site, f"If-Match: W/{tag}\r\n")[0] == 412
    assert _fields_of(site, f"Range: bytes=1-3\r\nIf-Range: {tag}\r\n")[0] == 206
    assert _fields_of(site, f"Range: bytes=1-3\r\nIf-Range: W/{tag}\r\n")[0] == 200


def test_a_redirection_shows_its_link(site: Path) -> None:
    said = answers_to(site, [f"GET /sub?a=1&b=2 {HEAD}".encode()])
    assert b'<a href="./sub/?a=1&amp;b=2">' in said


@pytest.mark.parametrize(
    "data",
    [
        b"GET /<script>alert(1)</script> HTTP/1.0\r\n\r\n",
        b"GET /no?<script> HTTP/1.0\r\n\r\n",
        b"GET /sub?<script> HTTP/1.0\r\n\r\n",
        b"GET /%3Cscript%3E HTTP/1.0\r\n\r\n",
        b"GET http://<script>/no HTTP/1.0\r\n\r\n",
        b"GET /no HTTP/1.0\r\nReferer: <script>\r\nUser-Agent: <script>\r\n\r\n",
        b"GET / HTTP/1.0<script>\r\n\r\n",
        b"<script> / HTTP/1.0\r\n\r\n",
    ],
)
def test_an_error_page_is_not_made_of_the_request(site: Path, data: bytes) -> None:
    _, _, page = answers_to(site, [data]).partition(b"\r\n\r\n")
    assert page
    assert b"<script" not in page.lower()


def _look(root: Path) -> dict[str, tuple[int, ...]]:
    """Return all metadata of a tree except access times."""
    found: dict[str, tuple[int, ...]] = {}
    for folder, folders, names in os.walk(root):
        for name in (".", *folders, *names):
            s = os.lstat(os.path.join(folder, name))
            found[os.path.join(folder, name)] = (s.st_mode, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_uid)
    return found


def test_requests_change_nothing(site: Path) -> None:
    before = _look(site.parent)
    for case in CASES:
        answers_to(site, [case.data])
    assert _look(site.parent) == before


def test_what_no_response_contains(site: Path) -> None:
    """Neither 1xx nor 500, nothing of the disk beside the root, nothing of the program."""
    for case in CASES:
        said = answers_to(site, [case.data])
        assert not said.startswith((b"HTTP/1.0 1", b"HTTP/1.0 500", b"HTTP/1.1")), case.name
        for word in (os.fsencode(site), b"Traceback", b'File "', b"root:x:0", SECRET):
            assert word not in said, case.name


def test_the_date_is_current(site: Path) -> None:
    for target in TARGETS:
        before = int(time.time())
        head, _, _ = answers_to(site, [f"GET {target} {HEAD}".encode()]).partition(b"\r\n\r\n")
        date = parse_date(fields(head)["date"], before)
        assert date is not None
        assert before <= date <= time.time()


@pytest.mark.parametrize(
    ("line", "status"), [(b"GET /", 414), (b"GET / HTTP/1.0\r\nX: ", 431), (b"GET / HTTP/1.0\r\n", 431), (b"GET", 501)]
)
def test_what_never_ends_takes_little_memory(site: Path, line: bytes, status: int) -> None:
    conversation = Conversation(site)
    conversation.hear(b"GET /no HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")  # whatever is loaded once, is now
    tracemalloc.start()
    try:
        conversation.hear(line)
        for _ in range(48):
            conversation.hear(b"x" * 65_536)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert conversation.said.rpartition(b"HTTP/1.0 ")[2].startswith(f"{status} ".encode())
    assert peak < 1_048_576, "of 3 MiB that came"
