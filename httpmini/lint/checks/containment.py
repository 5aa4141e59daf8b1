"""Nothing outside of the folder is sent, however it is spelt."""

from __future__ import annotations

from httpmini.lint.cases.site_tree import SECRET
from httpmini.lint.check import DECISION, MUST, SHOULD, Group, fail
from httpmini.lint.checks.judge import Run, hides
from httpmini.lint.lab import Session

_group = Group("containment", ("files",))
_ALL = ("1.0", "1.1", "files", "course")


def _hides(*targets: str) -> Run:
    return hides(SECRET, *(f"not there {target}" for target in targets))


def _passwd(session: Session) -> None:
    """Also without the folder of the cases: every Unix has this file."""
    for target in (
        "//etc/passwd",
        "/%2fetc/passwd",
    ):
        answer = session.get(target)
        if b":0:0:" in answer.body:
            fail(f"{target[:40]}: /etc/passwd was sent")


def _fifo(session: Session) -> None:
    session.needs_site()
    answer = session.get("/fifo")
    if answer.status == 200:
        fail("200 for a FIFO")


def _device(session: Session) -> None:
    session.needs_site()
    answer = session.get("/device")
    if answer.status == 200 and answer.body:
        fail(f"{len(answer.body):,} bytes of /dev/zero were sent")


def _loop(session: Session) -> None:
    session.needs_site()
    for target in ("/link-loop", "/link-broken.txt"):
        answer = session.get(target)
        if not 400 <= answer.status < 500:
            fail(f"{target}: {answer}, not 404")


CONTAINMENT = (
    _group.check(
        MUST,
        "dots",
        "does not leave its folder by dots",
        "CWE-22",
        "Decode first, then join and normalise, then see whether the result is still below your root.",
        _hides("/../secret.txt", "/sub/../../secret.txt", "/nothing/../../secret.txt", "/..//secret.txt"),
        profiles=_ALL,
    ),
    _group.check(
        MUST,
        "dots-encoded",
        "does not leave its folder by encoded dots and slashes",
        "CWE-22",
        "'%2e%2e%2f' becomes '../' when it is decoded: look at the path after decoding, not before.",
        _hides(
            "/%2e%2e/secret.txt",
            "/.%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/..%252fsecret.txt",
            "/%252e%252e/secret.txt",
        ),
        profiles=_ALL,
    ),
    _group.check(
        MUST,
        "dots-disguised",
        "does not leave its folder by backslashes or overlong UTF-8",
        "CWE-22",
        "Do not turn other characters into slashes and dots.",
        _hides(
            "/..\\secret.txt",
            "/..%5csecret.txt",
            "/%c0%ae%c0%ae/secret.txt",
            "/..%c0%afsecret.txt",
            "/%ef%bc%8e%ef%bc%8e/secret.txt",
            "/....//secret.txt",
        ),
    ),
    _group.check(
        MUST,
        "sibling",
        "does not send files of a folder whose name begins like its own",
        "CWE-22",
        "'/srv/www-secret' begins with '/srv/www': compare whole names, with the slash.",
        _hides("/../www-secret/secret.txt", "/..%2fwww-secret/secret.txt"),
        profiles=_ALL,
    ),
    _group.check(
        MUST,
        "absolute",
        "does not take a target for an absolute path",
        "CWE-36",
        "os.path.join(root, '/etc/passwd') is /etc/passwd: strip the slashes first.",
        _passwd,
        profiles=_ALL,
    ),
    _group.check(
        DECISION,
        "links",
        "does not follow symlinks out of its folder",
        "CWE-59",
        "A link in the folder may point anywhere; decide whether you follow it, and say so.",
        _hides("/link-out.txt", "/link-out-absolute.txt", "/link-out-dir/secret.txt", "/link-out-chain.txt"),
    ),
    _group.check(
        DECISION,
        "hidden",
        "does not send files whose names begin with a dot",
        "custom",
        ".git and .env are often in a folder by accident.",
        _hides("/.hidden", "/.git/config", "/%2ehidden"),
    ),
    _group.check(
        MUST,
        "fifo",
        "does not wait for a FIFO",
        "CWE-400",
        "Opening a FIFO waits for a writer: look with stat() that it is a regular file, or open with O_NONBLOCK.",
        _fifo,
    ),
    _group.check(
        MUST,
        "device",
        "does not send a device",
        "CWE-400",
        "/dev/zero never ends: send regular files only.",
        _device,
    ),
    _group.check(
        SHOULD,
        "link-loops",
        "answers 404 for links that lead nowhere",
        "custom",
        "open() fails with ELOOP or ENOENT: both are a 404.",
        _loop,
    ),
)
