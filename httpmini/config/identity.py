"""Users and groups of this machine, by name or number."""

from __future__ import annotations

import grp
import pwd

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


def find_identity(user: str, group: str) -> Identity | None:
    """Look up a user and a group.

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
