"""User names and passwords for Basic authentication (RFC 7617): as a field, and as they stand in ``~/.netrc``.

Python's own reader of that file keeps one entry for each machine, and quotes passwords in its errors.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass, field

from httpmini.errors import CannotRun

Credentials = tuple[str, str]
"""A user name and a password."""

# A word, or anything between quotes; a backslash takes away the meaning of the next character.
_WORD = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>(?:[^\s\\]|\\.)+))', re.DOTALL)
_BLANK_LINE = re.compile(r"\n[ \t]*(?:\n|\Z)")


@dataclass
class Entry:
    """An entry of the file.

    Attributes:
        machine: the host; None for the default entry, which is for all others.
        login: the user name.
        password: the password.
    """

    machine: str | None
    login: str = ""
    password: str = field(default="", repr=False)


def basic(credentials: Credentials) -> str:
    """Return the value of Authorization for a user name and a password (RFC 7617 §2)."""
    return f"Basic {base64.b64encode(':'.join(credentials).encode(errors='surrogateescape')).decode('ascii')}"


def read_netrc() -> list[Entry]:
    """Read ``~/.netrc``.

    Raises:
        OSError: it cannot be read.
        CannotRun: others can read it, it is another user's, or it cannot be parsed. The message has no word of it.
    """
    with open(os.path.join(os.path.expanduser("~"), ".netrc"), "rb") as file:
        status, data = os.fstat(file.fileno()), file.read()
    try:
        entries = parse_netrc(data.decode())
    except UnicodeError:
        raise CannotRun("it is not text") from None
    if any(entry.login != "anonymous" for entry in entries):
        if status.st_uid != os.getuid():
            raise CannotRun("it belongs to another user")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise CannotRun("others than its owner have access to it; run: chmod 600 ~/.netrc")
    return entries


def parse_netrc(text: str) -> list[Entry]:
    """Parse the text of a netrc file, in the grammar that ftp, curl and Python share.

    Raises:
        CannotRun: it has another form; the message names the line.
    """
    entries: list[Entry] = []
    at = 0
    while match := _WORD.match(text, at):
        word, at = _unescape(match), match.end()
        if word.startswith("#"):
            at = _end_of_line(text, at)
        elif word == "machine":
            match = _expect_word(text, at)
            entries.append(Entry(_unescape(match)))
            at = match.end()
        elif word == "default":
            entries.append(Entry(None))
        elif word == "macdef":  # a macro of ftp; it ends with an empty line
            blank = _BLANK_LINE.search(text, at)
            at = blank.end() if blank else len(text)
        elif entries and word in ("login", "user", "account", "password"):
            match = _expect_word(text, at)
            _set(entries[-1], word, _unescape(match))
            at = match.end()
        else:
            raise CannotRun(f"bad {'follower' if entries else 'toplevel'} token in line {_line(text, match.end())}")
    return entries


def find(entries: list[Entry], hosts: Collection[str], login: str | None = None) -> Credentials | None:
    """Return the credentials for a host, from the last of its entries, else from the default one.

    Args:
        entries: of the file.
        hosts: the names of the host.
        login: the user name, if it is given.
    """
    of_host = [entry for entry in reversed(entries) if entry.machine in hosts]
    of_others = [entry for entry in reversed(entries) if entry.machine is None]
    for entry in (*of_host, *of_others):
        if login is None or entry.login == login:
            return entry.login, entry.password
    return None


def _set(entry: Entry, word: str, value: str) -> None:
    if word in ("login", "user"):
        entry.login = value
    elif word == "password":
        entry.password = value


def _unescape(match: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", match["plain"] if match["quoted"] is None else match["quoted"], flags=re.DOTALL)


def _expect_word(text: str, at: int) -> re.Match[str]:
    match = _WORD.match(text, at)
    if match is None:
        raise CannotRun(f"it ends in the middle of an entry, in line {_line(text, at)}")
    return match


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
