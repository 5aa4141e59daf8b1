"""Switching from root, which may bind low ports, to an unprivileged user, with no way back."""

from __future__ import annotations

import os

from httpmini.config import Config
from httpmini.config.identity import Identity, find_identity
from httpmini.daemon.late_imports import load_late_imports
from httpmini.daemon.pid_file import PidFile
from httpmini.errors import CannotRun
from httpmini.server.listeners.peer import LOCAL


def switch_user(config: Config, pid_file: PidFile) -> str:
    """Switch to the user and group of the settings. Call it after binding.

    The pid file and the Unix sockets go to that user too, so that it may remove them later.

    Returns:
        The name of the user; "" if the settings name none, and nothing has changed.

    Raises:
        CannotRun: the process does not run as root, or could regain root afterwards.
    """
    identity = find_identity(config.daemon.user, config.daemon.group)
    if identity is None:
        return ""
    if os.geteuid() == 0:
        load_late_imports()
        pid_file.give_to(identity.uid, identity.gid)
        for entry in (*config.server.listen, *config.status.listen):
            if entry.startswith(LOCAL):
                # The owner of the folder may have put a link there in the meantime, so do not follow it.
                os.chown(entry.removeprefix(LOCAL), identity.uid, identity.gid, follow_symlinks=False)
    drop_privileges(identity)
    return identity.name


def drop_privileges(identity: Identity) -> None:
    """Set the real, effective and saved user and group to ``identity``, without other groups (credentials(7)).

    Raises:
        CannotRun: the process does not run as root, or could regain root afterwards.
    """
    users, groups = (identity.uid,) * 3, (identity.gid,) * 3
    if os.geteuid() != 0:
        if (os.getresuid(), os.getresgid()) == (users, groups):
            return
        raise CannotRun(f'only root can become the user "{identity.name}"; start the server as root, or as that user')
    os.setgroups([])  # user last: after that, the groups cannot be set any more
    os.setresgid(*groups)
    os.setresuid(*users)
    is_done = (os.getresuid(), os.getresgid()) == (users, groups) and os.getgroups() in ([], [identity.gid])
    if not is_done or _can_regain_root():
        raise CannotRun(f'could not become the user "{identity.name}" for good')


def _can_regain_root() -> bool:
    """Return whether this process can become root again; False if it was meant to stay root."""
    if os.getuid() == 0:
        return False
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True
