"""Users and groups of this machine, by name or number."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """The user and group of a process.

    Attributes:
        name: the name of the user, or its number if it has no name here.
        uid: the number of the user.
        gid: the number of the group.
    """

    name: str
    uid: int
    gid: int


_settled: list[Identity] = []


def settle(identity: Identity) -> None:
    """Note that this process has become ``identity``, and can become nobody else."""
    _settled[:] = [identity]


def is_settled() -> bool:
    """Return whether this process has become the user of its settings."""
    return bool(_settled)


def find_identity(user: str, group: str) -> Identity | None:
    """Look up a user and a group. Not after ``settle``: where they are listed may be closed to this process by then.

    If both are numbers, they need not be known on this machine: in a new root (``serve --chroot``) no user is.

    Args:
        user: name or number; empty for none.
        group: name or number; empty for the user's own group.

    Returns:
        The identity, or None if ``user`` is empty.

    Raises:
        KeyError: there is no such user, or no such group.
    """
    if not user:
        return None
    if user.isdecimal() and group.isdecimal():
        return Identity(_name_of(user), int(user), int(group))
    name, uid, gid = _user(user)
    return Identity(name, uid, _group(group) if group else gid)


_new_root: list[str] = []


def look_in_files_only() -> None:
    """Look up users and groups in the files of a new root alone: what else there is could be code that others wrote."""
    _new_root[:] = ["/etc/passwd", "/etc/group"]


def _user(key: str) -> tuple[str, int, int]:
    """Return the name, user number and group number of the user with this name or number."""
    if _new_root:
        row = _row(_new_root[0], key)
        return row[0], int(row[2]), int(row[3])
    entry = pwd.getpwuid(int(key)) if key.isdecimal() else pwd.getpwnam(key)
    return entry.pw_name, entry.pw_uid, entry.pw_gid


def _group(key: str) -> int:
    if _new_root:
        return int(_row(_new_root[1], key)[2])
    return (grp.getgrgid(int(key)) if key.isdecimal() else grp.getgrnam(key)).gr_gid


def _row(file: str, key: str) -> list[str]:
    """Return the fields of the line with this name or number (passwd(5), group(5)).

    Raises:
        KeyError: there is none.
    """
    try:
        rows = [line.split(":") for line in Path(file).read_text("utf-8", "surrogateescape").splitlines()]
    except OSError as error:
        raise KeyError(key) from error
    for row in rows:
        if len(row) > 3 and row[2].isdecimal() and key == row[2 if key.isdecimal() else 0]:
            return row
    raise KeyError(key)


def _name_of(number: str) -> str:
    try:
        return _user(number)[0]
    except (KeyError, ValueError):
        return number
