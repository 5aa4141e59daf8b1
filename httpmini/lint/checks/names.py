"""Names: what a target means, and how names of files come back in pages and fields."""

from __future__ import annotations

from httpmini.lint.check import MUST, SHOULD, Group, fail
from httpmini.lint.checks.judge import sends_what_it_names
from httpmini.lint.lab import Session

_group = Group("names", ("1.0", "1.1", "files"))
_FILES = ("files",)


def _add_file(session: Session, name: str) -> None:
    """Make sure that a folder of the site has a file of this name."""
    path = session.needs_site() / name
    path.parent.mkdir(exist_ok=True)
    path.touch()


def _markup_in_a_listing(session: Session) -> None:
    _add_file(session, "hostile/quo'te\"<b>&.txt")
    answer = session.get("/hostile/")
    if answer.status == 200 and b"<b>&" in answer.body and "html" in (answer.get("content-type") or ""):
        fail("the name of a file becomes markup: <b>")


def _links_of_a_listing(session: Session) -> None:
    _add_file(session, "linked/a?b#c%20.txt")
    answer = session.get("/linked/")
    if answer.status == 200 and b"%3F" not in answer.body and b"%3f" not in answer.body:
        fail("the link to a?b#c%20.txt is not encoded")


def _line_ends_in_a_target(session: Session) -> None:
    for target in ("/sub%0d%0aSet-Cookie:%20x=y", "/sub%0aSet-Cookie:%20x=y", "/%0d%0aSet-Cookie:%20x=y/"):
        answer = session.get(target)
        if answer.get("set-cookie") is not None:
            fail(f"{target}: the target has added a field to the response")


def _redirect_elsewhere(session: Session) -> None:
    for target in ("//evil.example/..", "//evil.example/%2e%2e", "///evil.example", "//sub", "/\\evil.example"):
        location = session.get(target).get("location") or ""
        if location.startswith(("//", "/\\", "http://evil", "https://evil", "\\")):
            fail(f"{target}: redirected to {location[:60]}")


def _bad_percent(session: Session) -> None:
    for target in ("/%", "/%zz", "/a%2"):
        answer = session.get(target)
        if not 400 <= answer.status < 500:
            fail(f"{target}: {answer}, not 400")


def _nul(session: Session) -> None:
    for target in ("/%00", f"{session.lab.target}%00.html", f"{session.lab.target}%00"):
        answer = session.get(target)
        if answer.status < 400 and answer.body:
            fail(f"{target}: {answer}, not 400")


NAMES = (
    _group.check(
        MUST,
        "percent",
        "decodes percent signs",
        "RFC 1945 3.2",
        "'/a%20b.txt' is the file 'a b.txt': decode the path before you look for it.",
        sends_what_it_names("get blank", "get percent", "get lower-case hex"),
        profiles=("1.0", "1.1", "files", "course"),
    ),
    _group.check(
        MUST,
        "percent-once",
        "decodes percent signs only once",
        "RFC 3986 2.4",
        "'%2541' is the name '%41', not 'A'.",
        sends_what_it_names("get decoded once", "get decoded at all"),
    ),
    _group.check(
        MUST,
        "reserved",
        "knows an encoded question mark and hash from real ones",
        "RFC 3986 2.2",
        "Cut off the query first, then decode.",
        sends_what_it_names("get encoded question mark", "get encoded hash"),
    ),
    _group.check(
        MUST,
        "plus",
        "takes a plus sign as a plus sign",
        "RFC 3986 2.2",
        "'+' means a blank only in forms, never in a path.",
        sends_what_it_names("get plus is a plus"),
    ),
    _group.check(
        MUST,
        "utf-8",
        "finds names beyond ASCII",
        "RFC 3986 2.5",
        "Decode to bytes and use them as the name: Linux does not care what they mean.",
        sends_what_it_names("get utf-8 octets"),
    ),
    _group.check(
        SHOULD,
        "any-octets",
        "finds names that are not UTF-8",
        "custom",
        "A file name is bytes. os.fsdecode() in Python keeps those that are not UTF-8.",
        sends_what_it_names("get latin-1 octets", "get control characters in a name"),
        profiles=_FILES,
    ),
    _group.check(
        SHOULD,
        "percent-invalid",
        "refuses a percent sign without two digits",
        "RFC 3986 2.1",
        "'%zz' is not a byte: 400.",
        _bad_percent,
        profiles=_FILES,
    ),
    _group.check(
        MUST,
        "nul",
        "refuses NUL in a target",
        "CWE-158",
        "In C a name ends at NUL, so 'x.txt%00.html' would be the file x.txt.",
        _nul,
    ),
    _group.check(
        MUST,
        "response-splitting",
        "does not copy line ends of a target into the response",
        "CWE-113",
        "What you copy into a field must not contain CR or LF.",
        _line_ends_in_a_target,
    ),
    _group.check(
        MUST,
        "open-redirect",
        "redirects to its own paths only",
        "CWE-601",
        "'Location: //evil.example/' is another host: browsers read two slashes that way.",
        _redirect_elsewhere,
    ),
    _group.check(
        MUST,
        "listing-markup",
        "escapes names in a listing",
        "CWE-79",
        "A file may be called <script>: use html.escape() for what you show.",
        _markup_in_a_listing,
        profiles=_FILES,
    ),
    _group.check(
        SHOULD,
        "listing-links",
        "encodes the links of a listing",
        "RFC 3986 2.1",
        "A link to 'a?b' has to be 'a%3Fb': use urllib.parse.quote().",
        _links_of_a_listing,
        profiles=_FILES,
    ),
)
