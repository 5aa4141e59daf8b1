"""Files as files: empty ones, large ones, changed ones, folders."""

from __future__ import annotations

import os

from httpmini.lint.cases.site_tree import BIG
from httpmini.lint.check import DECISION, MUST, SHOULD, Group, NotApplicable, fail
from httpmini.lint.lab import Session
from httpmini.protocol.dates import parse_date

_group = Group("files", ("1.0", "1.1", "files", "course"))


def _empty_file(session: Session) -> None:
    session.needs_site()
    session.expect_body(session.get("/empty.txt"), b"")


def _large_file(session: Session) -> None:
    session.needs_site()
    session.expect_body(session.get("/big.bin"), BIG)


def _binary_file(session: Session) -> None:
    session.needs_site()
    session.expect_body(session.get("/picture.PNG"), b"\x89PNG")


def _index(session: Session) -> None:
    session.needs_site()
    session.expect_body(session.get("/"), b"<h1>home</h1>\n")


def _subfolder(session: Session) -> None:
    session.needs_site()
    session.expect_body(session.get("/sub/file.txt"), b"in sub\n")


def _folder_without_slash(session: Session) -> None:
    session.needs_site()
    answer = session.get("/sub")
    location = answer.get("location") or ""
    if answer.status not in (301, 302, 307, 308) or not location.split("?")[0].endswith("sub/"):
        fail(f"{answer}{f', Location: {location[:60]}' if location else ''}, not a redirection to /sub/")


def _slash_after_a_file(session: Session) -> None:
    session.needs_site()
    answer = session.get("/ten.txt/")
    if answer.status == 200:
        fail("200: a file is no folder")


def _listing(session: Session) -> None:
    session.needs_site()
    answer = session.get("/sub/")
    if answer.status != 200 or b"file.txt" not in answer.body:
        fail(f"{answer}{'' if answer.status != 200 else ' that does not name file.txt'}")


def _types(session: Session) -> None:
    session.needs_site()
    for target, wanted in (("/ten.txt", "text/plain"), ("/index.html", "text/html"), ("/picture.PNG", "image/png")):
        kind = (session.get(target).get("content-type") or "").partition(";")[0].strip().lower()
        if kind != wanted:
            fail(f"{target}: {kind or 'no type'}, not {wanted}")


def _last_modified(session: Session) -> None:
    answer = session.get()
    value = answer.get("last-modified")
    if value is None:
        fail("there is no Last-Modified")
    when, now = parse_date(value, 0), parse_date(answer.get("date") or "", 0)
    if when is None:
        fail(f"Last-Modified: {value[:40]!r} is not in one of the three forms")
    if now is not None and when > now:
        fail("Last-Modified is later than Date")


def _query(session: Session) -> None:
    session.expect_file(session.get(f"{session.lab.target}?a=b&c"))


def _changed_file(session: Session) -> None:
    """Replace a file between two requests."""
    path = session.needs_site() / f"changing-{session.lab.port}.txt"
    for body in (b"first\n", b"second\n", b"third, longer than the others\n"):
        path.write_bytes(body)
        session.expect_body(session.get(f"/{path.name}"), body, "after a change")


def _unreadable_file(session: Session) -> None:
    path = session.needs_site() / "unreadable.txt"
    path.write_bytes(b"x")
    path.chmod(0)
    if os.access(path, os.R_OK):
        raise NotApplicable("this user may read everything")
    answer = session.get("/unreadable.txt")
    if not 400 <= answer.status < 500:
        fail(f"{answer}, not 403")


FILES = (
    _group.check(
        MUST,
        "empty-file",
        "sends an empty file",
        "RFC 1945 7.2",
        "A file of 0 bytes is a 200 with Content-Length: 0, not an error.",
        _empty_file,
    ),
    _group.check(
        MUST,
        "large-file",
        "sends 3 MiB whole",
        "writen",
        "send() may take only a part of the bytes: go on with the rest until all is written.",
        _large_file,
    ),
    _group.check(
        MUST,
        "binary-file",
        "sends octets above 127 as they are",
        "RFC 1945 7.2",
        "Open files in binary mode; decoding and encoding changes them.",
        _binary_file,
    ),
    _group.check(
        MUST,
        "subfolder",
        "sends a file in a folder",
        "RFC 1945 5.1.2",
        "The target is a path below your root: join both, and look that it stays below.",
        _subfolder,
    ),
    _group.check(
        SHOULD,
        "index",
        "answers / with index.html",
        "custom",
        "Browsers request / first: send index.html if it is there.",
        _index,
    ),
    _group.check(
        SHOULD,
        "folder-slash",
        "redirects a folder's name to the one with a slash",
        "RFC 1945 9.3",
        "Relative links in a folder's page only work if its URL ends with a slash.",
        _folder_without_slash,
        profiles=("1.1", "files"),
    ),
    _group.check(
        SHOULD,
        "file-slash",
        "does not send a file for its name with a slash",
        "custom",
        "/file/ names something in a folder called file: say 404.",
        _slash_after_a_file,
        profiles=("files",),
    ),
    _group.check(
        DECISION,
        "listing",
        "lists a folder without an index",
        "custom",
        "A list helps people who share a folder; some servers answer 403 or 404 on purpose.",
        _listing,
        profiles=("files",),
    ),
    _group.check(
        SHOULD,
        "media-types",
        "knows the types of text, HTML and PNG, whatever the case of the extension",
        "RFC 1945 7.2.1",
        "Look the extension up in lower case; without a type a browser has to guess.",
        _types,
    ),
    _group.check(
        SHOULD,
        "last-modified",
        "says when the file was last modified",
        "RFC 1945 10.10",
        "With Last-Modified a browser can ask later whether its copy is still good.",
        _last_modified,
    ),
    _group.check(
        SHOULD,
        "query",
        "sends the file when the target has a query",
        "RFC 3986 3.4",
        "What follows the question mark is not part of the file's name.",
        _query,
    ),
    _group.check(
        MUST,
        "changed-file",
        "sends the new bytes at once after a change",
        "freshness",
        "If you keep files in memory, look at each request whether the file is still the same.",
        _changed_file,
        profiles=("files",),
    ),
    _group.check(
        SHOULD,
        "unreadable-file",
        "answers 403 for a file that it may not read",
        "RFC 1945 9.4",
        "An error of open() is an answer, too: 403 for EACCES, 404 for ENOENT.",
        _unreadable_file,
        profiles=("files",),
    ),
)
