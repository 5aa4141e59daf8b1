"""Switching from root, which may bind low ports, to an unprivileged user, with no way back."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from httpmini.config import Config
from httpmini.config.identity import Identity, find_identity, settle
from httpmini.daemon.late_imports import load_late_imports
from httpmini.errors import CannotRun
from httpmini.server.listeners.peer import LOCAL
from httpmini.server.listeners.unix import UnixListener


def switch_user(config: Config, listeners: Iterable[socket.socket]) -> str:
    """Switch to the user and group of the settings. Call it after binding.

    The Unix sockets among ``listeners`` go to that user too. The pid file does not: who may write it may say which
    process a careless script signals.

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
        for listener in listeners:
            if isinstance(listener, UnixListener):
                _give(listener, identity)
    drop_privileges(identity)
    settle(identity)
    return identity.name


def _give(listener: UnixListener, identity: Identity) -> None:
    try:
        listener.give_to(identity.uid, identity.gid)
    except OSError as error:
        said = error.strerror or error
        raise CannotRun(f'cannot give {LOCAL}{listener.path} to the user "{identity.name}": {said}') from error


def drop_privileges(identity: Identity) -> None:
    """Set the real, effective and saved user and group to ``identity``, without other groups (credentials(7)).

    Raises:
        CannotRun: the process does not run as root, or could regain root afterwards.
    """
    wanted = {identity.uid}, {identity.gid}
    if os.geteuid() != 0:
        if _users_and_groups() == wanted:
            return
        raise CannotRun(f'only root can become the user "{identity.name}"; start the server as root, or as that user')
    os.setgroups([])  # user last: after that, the groups cannot be set any more
    os.setgid(identity.gid)  # of root, these set the saved ones too
    os.setuid(identity.uid)
    is_done = _users_and_groups() == wanted and os.getgroups() in ([], [identity.gid])
    if not is_done or _can_regain_root():
        raise CannotRun(f'could not become the user "{identity.name}" for good')


def _users_and_groups() -> tuple[set[int], set[int]]:
    """Return the real and effective users and groups of this process, and the saved ones where they can be seen."""
    if hasattr(os, "getresuid"):
        return set(os.getresuid()), set(os.getresgid())
    return {os.getuid(), os.geteuid()}, {os.getgid(), os.getegid()}


def _can_regain_root() -> bool:
    """Return whether this process can become root again; False if it was meant to stay root."""
    if os.getuid() == 0:
        return False
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True
