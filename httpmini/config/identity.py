"""Users and groups of this machine, by name or number."""

from __future__ import annotations

import grp
import pwd

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """Whom the process is to be.

    Attributes:
        name: of the user.
        uid: its number.
        gid: the group's number.
    """

    name: str
    uid: int
    gid: int


def find_identity(user: str, group: str) -> Identity | None:
    """The user, by name or number, in its own group unless ``group`` is given; None when ``user`` is "".

    Two numbers need not be known here: in another root (``serve --chroot``) nobody is.

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
