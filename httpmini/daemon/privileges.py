"""From root, which may take a low port, to a user who may do little; and no way back."""

from __future__ import annotations

import os

from httpmini.config.identity import Identity
from httpmini.errors import CannotRun


def become(identity: Identity) -> None:
    """Be ``identity`` from now on, without any other group, in all of real, effective and saved (credentials(7)).

    Raises:
        CannotRun: only root may; or there would be a way back.
    """
    wanted = (identity.uid,) * 3, (identity.gid,) * 3
    if os.geteuid() != 0:
        if (os.getresuid(), os.getresgid()) == wanted:
            return
        raise CannotRun(f'only root can become the user "{identity.name}"; start the server as root, or as that user')
    os.setgroups([])  # while we may
    os.setresgid(*wanted[1])
    os.setresuid(*wanted[0])
    if (os.getresuid(), os.getresgid()) != wanted or os.getgroups() not in ([], [identity.gid]) or _finds_way_back():
        raise CannotRun(f'could not become the user "{identity.name}" for good')


def _finds_way_back() -> bool:
    """Whether root can be had again; never, if all went well, unless it is root that was asked for."""
    if os.getuid() == 0:
        return False
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True
