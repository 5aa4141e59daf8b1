"""What this system lacks: the server does without, and says so once."""

from __future__ import annotations

import os
import select
import socket

from httpmini.daemon.system_calls import have_system_calls


def missing_features() -> str:
    """Return what is missing and what that means, in one line; nothing on Linux."""
    probes = (
        (hasattr(select, "epoll"), "epoll (poll instead: many idle clients cost time)"),
        (hasattr(os, "sendfile"), "sendfile (files are copied)"),
        (hasattr(socket, "TCP_CORK"), "TCP_CORK (the head of a file has a packet of its own)"),
        (hasattr(socket, "TCP_DEFER_ACCEPT"), "TCP_DEFER_ACCEPT"),
        (hasattr(os, "eventfd"), "eventfd (no prefork mode)"),
        (hasattr(os, "memfd_create"), "memfd (no limits by address or in total, no config diff)"),
        (hasattr(os, "O_PATH"), "O_PATH (files in a folder need permission to read the folder, too)"),
        (have_system_calls(), "Landlock and seccomp (no sandbox)"),
    )
    return ", ".join(name for is_there, name in probes if not is_there)
