"""Users and groups of this machine, by name or number."""

from __future__ import annotations

import grp
import pwd
from functools import cache

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


@cache
def find_identity(user: str, group: str) -> Identity | None:
    """Look up a user and a group, once: after the start, the server may not be able to read where they are listed.

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
        return Identity(_name_of(int(user)), int(user), int(group))
    entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    gid = entry.pw_gid
    if group:
        gid = grp.getgrgid(int(group)).gr_gid if group.isdecimal() else grp.getgrnam(group).gr_gid
    return Identity(entry.pw_name, entry.pw_uid, gid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
