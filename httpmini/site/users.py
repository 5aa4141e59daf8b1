"""htpasswd files: users, each with a bcrypt hash (``httpmini htpasswd``, or ``htpasswd -B``).

The time of a refusal must not reveal whether the user exists. bcrypt with cost c takes 2^c rounds. For an unknown user,
the password is checked with the highest cost in the file; for a known user with cost c, 2^c + 2^(c+1) + ... rounds are
added until the total is the same.

A correct password is remembered until the file changes, as a keyed digest in memory. Otherwise a page with fifty images
would cost fifty times the work that makes guessing slow.

A password that is not remembered is checked by ``Work``: nobody but its client waits for the hash. One address may
guess so often only (``guesses.py``).
"""

from __future__ import annotations

import codecs
import contextlib
import hmac
import os
import re
import stat
from collections.abc import Iterator
from errno import EINVAL
from functools import partial

import bcrypt
import msgspec

from httpmini.files import new_file, write_all
from httpmini.site.guesses import Guesses
from httpmini.work import HASHES, Work

# $2b$10$ and 53 characters of salt and hash; htpasswd -B writes 2y. The 16 bytes of salt take 21 characters and a
# third, so the 22nd is one of four.
_HASH = re.compile(rb"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")  # RFC 7617 §2: not allowed in names and passwords
_MIN_COST = 4
_MAX_COST = 14  # about a second
DEFAULT_COST = 10  # about 60 ms
MAX_PASSWORD_BYTES = 72  # bcrypt ignores the rest without a warning
_MAX_REMEMBERED = 1024


class _Entry(msgspec.Struct, frozen=True):
    hash: bytes
    cost: int


class _Table(msgspec.Struct, frozen=True):
    """One version of the file.

    Attributes:
        stamp: distinguishes this version from others.
        entries: the users, by name.
        remembered: digests of names and passwords that were correct.
    """

    stamp: tuple[int, ...]
    entries: dict[bytes, _Entry]
    remembered: set[bytes] = msgspec.field(default_factory=set)

    @property
    def highest_cost(self) -> int:
        return max((entry.cost for entry in self.entries.values()), default=DEFAULT_COST)


class Users:
    """The users in one file. The file is read again when it has changed.

    Attributes:
        guesses: how often each address has been wrong.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.guesses = Guesses()
        self._path = path
        self._key = os.urandom(32)
        self._table = self._read()

    def check(self, name: bytes, password: bytes) -> bool | Work[bool]:
        """Whether ``password`` is the password of the user ``name``, or the work that finds out.

        Both are octets, compared as they are.

        Raises:
            OSError: the file can no longer be read; then nobody is admitted.
        """
        table = self._current()
        # The length of the name comes first, so that "a" with "bc" differs from "ab" with "c".
        message = b"%d:%b:%b" % (len(name), name, password)
        digest = hmac.digest(self._key, message, "sha256")
        return digest in table.remembered or Work(HASHES, partial(_learn, table, name, password, digest))

    def has(self, name: bytes) -> bool:
        """Whether there is a user of this name.

        Raises:
            OSError: the file can no longer be read.
        """
        return name in self._current().entries

    def _current(self) -> _Table:
        if self._table.stamp != _stamp(os.stat(self._path)):
            self._table = self._read()
        return self._table

    def admit(self, name: bytes, password: bytes) -> bool:
        """Whether ``password`` is the password of the user ``name``; for whoever may wait.

        Raises:
            OSError: the file can no longer be read; then nobody is admitted.
        """
        found = self.check(name, password)
        if isinstance(found, Work):
            found.run()
            return found.result()
        return found

    def _read(self) -> _Table:
        stamp, lines = _read_lines(self._path)
        entries: dict[bytes, _Entry] = {}
        for line in lines:
            with contextlib.suppress(ValueError):  # ``problems`` says what is wrong with such a line
                if entry := _parse(line):
                    entries.setdefault(*entry)
        return _Table(stamp, entries)


def _read_lines(path: str) -> tuple[tuple[int, ...], list[bytes]]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a FIFO would wait for a writer
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise OSError(EINVAL, "not a regular file", path)
    with open(fd, "rb") as file:
        return _stamp(status), file.read().splitlines()


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _learn(table: _Table, name: bytes, password: bytes, digest: bytes) -> bool:
    """Whether the password is correct; then its digest is remembered. Others may have found out while this waited."""
    if digest in table.remembered:
        return True
    if not _check(table, name, password):
        return False
    if len(table.remembered) >= _MAX_REMEMBERED:
        table.remembered.clear()
    table.remembered.add(digest)
    return True


def _check(table: _Table, name: bytes, password: bytes) -> bool:
    """Whether the password is correct.

    If it is not, the work is the same whatever is wrong: the user, the password, or its length.
    """
    entry = table.entries.get(name)
    cost = entry.cost if entry else table.highest_cost
    fits = len(password) <= MAX_PASSWORD_BYTES
    equal = bcrypt.checkpw(password if fits else b"", entry.hash if entry else _dummy(cost))
    if equal and fits and entry:
        return True
    for more in range(cost, table.highest_cost):
        bcrypt.checkpw(b"", _dummy(more))
    return False


def _dummy(cost: int) -> bytes:
    """Return a hash of the given cost for which no password is known."""
    return b"$2b$%02d$" % cost + b"." * 53


def _parse(line: bytes) -> tuple[bytes, _Entry] | None:
    """Return the name and the entry on one line; None for an empty line or a comment.

    Raises:
        ValueError: nobody can log in with this line; the message says why.
    """
    name, colon, value = line.strip().partition(b":")
    if (not name and not colon) or name.startswith(b"#"):
        return None
    if not name or not colon or name != name.strip() or name.startswith(codecs.BOM_UTF8) or _CONTROL.search(name):
        raise ValueError("must be a name, a colon and a bcrypt hash, without spaces or a byte order mark")
    match = _HASH.fullmatch(value)
    if match is None:
        raise ValueError("has no bcrypt hash after the colon; make one with `httpmini htpasswd` or `htpasswd -B`")
    cost = int(match["cost"])
    if not _MIN_COST <= cost <= _MAX_COST:
        raise ValueError(f"has a hash of cost {cost}; from {_MIN_COST} to {_MAX_COST} are allowed")
    return name, _Entry(value, cost)


def problems(path: str) -> Iterator[tuple[int, str]]:
    """Find the lines of a file of users that nobody can log in with.

    Yields:
        The number of the line, counted from 1, and what is wrong with it.

    Raises:
        OSError: the file cannot be read.
    """
    _, lines = _read_lines(path)
    seen: set[bytes] = set()
    is_empty = True
    for number, line in enumerate(lines, 1):
        try:
            entry = _parse(line)
        except ValueError as error:
            yield number, str(error)
            is_empty = False
            continue
        if entry and entry[0] in seen:
            yield number, "repeats the name of an earlier line"
        elif entry:
            seen.add(entry[0])
    if is_empty and not seen:
        yield 1, "has no users: nobody could log in"


def set_password(path: str, name: str, password: str, cost: int = DEFAULT_COST) -> None:
    """Set the password of a user.

    The file is replaced as a whole, so a server that reads it never sees a part of it. A new file is readable by its
    owner only.

    Args:
        path: the file of users.
        name: the user, who is added if the file does not have one of this name.
        password: the new password.
        cost: the cost of the bcrypt hash.

    Raises:
        ValueError: a name or password that is not allowed. The message says what would be right.
        OSError: the file cannot be read or written.
    """
    user, secret = _encode(name, password)
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


def _encode(name: str, password: str) -> tuple[bytes, bytes]:
    """Return name and password as octets.

    Raises:
        ValueError: one of them is not allowed.
    """
    user, secret = name.encode("utf-8", "surrogateescape"), password.encode("utf-8", "surrogateescape")
    if not user or b":" in user or user.startswith(b"#") or not name.isprintable() or user != user.strip():
        raise ValueError(
            "a name has no colon, no control characters and no spaces around it, and does not begin with #"
        )
    if not secret or len(secret) > MAX_PASSWORD_BYTES or _CONTROL.search(secret):
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes and no control characters")
    return user, secret


def _give_to(fd: int, before: os.stat_result) -> None:
    """Keep owner and mode: the server may run as another user than the one who sets the password."""
    with contextlib.suppress(PermissionError):
        os.fchown(fd, before.st_uid, before.st_gid)
    os.fchmod(fd, stat.S_IMODE(before.st_mode))
