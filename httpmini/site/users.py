"""htpasswd files: who may enter, with a bcrypt hash of each password (``httpmini htpasswd``, or ``htpasswd -B``).

How long a refusal takes must not say whether there is such a user. bcrypt at cost c is 2^c rounds of work; a user that
is not there is given the work of the dearest hash in the file, and one that is there, at cost c, is made up for with
2^c + 2^(c+1) + ... rounds until it comes to the same.

A password that was right once is remembered (as a keyed digest, in memory) until the file changes: a page with fifty
pictures would otherwise cost fifty times the work that makes guessing slow.
"""

from __future__ import annotations

import codecs
import contextlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator
from errno import EINVAL

import bcrypt
import msgspec

from httpmini.files import new_file, write_all

# $2b$10$ and 53 characters of salt and hash; htpasswd -B writes 2y.
# 16 bytes of salt are 21 characters and a third, so that the 22nd can be one of four.
_HASH = re.compile(rb"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # RFC 7617 §2: in neither name nor password
_LEAST_COST = 4
_MOST_COST = 14  # about a second
DEFAULT_COST = 10  # about 60 ms; in the modes with one process everybody waits for it
MAX_PASSWORD_BYTES = 72  # bcrypt looks at no more, so more would be cut off without a word
_MAX_REMEMBERED = 1024


class _Entry(msgspec.Struct, frozen=True):
    hash: bytes
    cost: int


class _Table(msgspec.Struct, frozen=True):
    """What was in the file at one time; ``stamp`` tells one state of it from another."""

    stamp: tuple[int, ...]
    entries: dict[bytes, _Entry]
    remembered: set[bytes] = msgspec.field(default_factory=set)

    @property
    def dearest(self) -> int:
        return max((entry.cost for entry in self.entries.values()), default=DEFAULT_COST)


class Users:
    """The users in one file, which is read again when it has changed.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._key = secrets.token_bytes(32)
        self._table = self._read()

    def admit(self, name: bytes, password: bytes) -> bool:
        """Whether ``password`` is that of the user ``name``; octets, compared whole.

        Raises:
            OSError: the file cannot be read any more. Nobody is let in then.
        """
        table = self._table
        if table.stamp != _stamp(os.stat(self._path)):
            table = self._table = self._read()
        # The length of the name goes first, so that "a" and "bc" are not "ab" and "c".
        said = b"%d:%b:%b" % (len(name), name, password)
        digest = hmac.digest(self._key, said, "sha256")
        if digest in table.remembered:
            return True
        if not _check(table, name, password):
            return False
        if len(table.remembered) >= _MAX_REMEMBERED:
            table.remembered.clear()
        table.remembered.add(digest)
        return True

    def _read(self) -> _Table:
        stamp, lines = _read_lines(self._path)
        entries: dict[bytes, _Entry] = {}
        for line in lines:
            if entry := _parse(line):
                entries.setdefault(*entry)
        return _Table(stamp, entries)


def _read_lines(path: str) -> tuple[tuple[int, ...], list[bytes]]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a FIFO would wait for a writer
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise OSError(EINVAL, "not a file", path)
    with open(fd, "rb") as file:
        return _stamp(status), file.read().splitlines()


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _check(table: _Table, name: bytes, password: bytes) -> bool:
    """The same work whatever is wrong: no such user, the password, or its length."""
    entry = table.entries.get(name)
    cost = entry.cost if entry else table.dearest
    fits = len(password) <= MAX_PASSWORD_BYTES
    equal = bcrypt.checkpw(password if fits else b"", entry.hash if entry else _dummy(cost))
    if equal and fits and entry:
        return True
    for more in range(cost, table.dearest):
        bcrypt.checkpw(b"", _dummy(more))
    return False


def _dummy(cost: int) -> bytes:
    """A hash that no password has been found for: nobody has computed it."""
    return b"$2b$%02d$" % cost + b"." * 53


def _parse(line: bytes) -> tuple[bytes, _Entry] | None:
    name, colon, value = line.strip().partition(b":")
    match = _HASH.fullmatch(value)
    if not (name and colon and match and _LEAST_COST <= int(match["cost"]) <= _MOST_COST):
        return None
    return name, _Entry(value, int(match["cost"]))


def problems(path: str) -> Iterator[tuple[int, str]]:
    """Everything in the file at ``path`` that nobody can log in with: the number of the line, and what would be right.

    Raises:
        OSError: it cannot be read.
    """
    _, lines = _read_lines(path)
    seen: set[bytes] = set()
    for number, line in enumerate(lines, 1):
        name, colon, value = line.strip().partition(b":")
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        match = _HASH.fullmatch(value)
        if not name or not colon or name != name.strip() or name.startswith(codecs.BOM_UTF8):
            yield number, "must be a name, a colon, and a bcrypt hash, without blanks or a byte order mark"
        elif match is None:
            yield number, "has no bcrypt hash behind the colon; make one with `httpmini htpasswd` or `htpasswd -B`"
        elif not _LEAST_COST <= int(match["cost"]) <= _MOST_COST:
            yield number, f"has a hash of cost {int(match['cost'])}; from {_LEAST_COST} to {_MOST_COST} is taken"
        elif name in seen:
            yield number, "has a name that was there before"
        seen.add(name)
    if not seen:
        yield 1, "has no user in it; nobody could log in"


def set_password(path: str, name: str, password: str, cost: int = DEFAULT_COST) -> None:
    """Give the user ``name`` of the file at ``path`` a password; a new file can be read by its owner alone.

    The file is replaced as a whole, so that a server that reads it never sees a part.

    Raises:
        ValueError: a name or password that cannot be taken; says what would be right.
        OSError: the file cannot be read or written.
    """
    user, secret = name.encode("utf-8", "surrogateescape"), password.encode("utf-8", "surrogateescape")
    if not user or b":" in user or user.startswith(b"#") or not name.isprintable() or user != user.strip():
        raise ValueError("a name has no colon and no control characters in it, and no # or blank before it")
    if not secret or len(secret) > MAX_PASSWORD_BYTES or _CONTROL.search(password):
        raise ValueError(f"a password has from 1 to {MAX_PASSWORD_BYTES} bytes, none of them a control character")
    line = user + b":" + bcrypt.hashpw(secret, bcrypt.gensalt(cost))
    path = os.path.realpath(path)
    before: os.stat_result | None = None
    lines: list[bytes] = []
    with contextlib.suppress(FileNotFoundError):
        before = os.stat(path)
        _, lines = _read_lines(path)
    kept = [old for old in lines if old.strip().partition(b":")[0] != user]
    with new_file(path, mode=0o600, sync=True) as fd:
        write_all(fd, b"\n".join([*kept, line, b""]))
        if before:
            _give_to(fd, before)


def _give_to(fd: int, before: os.stat_result) -> None:
    """Owner and mode as they were; the server may run as another user than the person at the keyboard."""
    with contextlib.suppress(PermissionError):
        os.fchown(fd, before.st_uid, before.st_gid)
    os.fchmod(fd, stat.S_IMODE(before.st_mode))
