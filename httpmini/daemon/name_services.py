"""The libraries with which the C library looks up users, groups and hosts (nsswitch.conf(5)).

It loads each of them when a look-up first gets to it, by a path that is looked for at that time: in a new root folder,
it would be looked for inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import pwd
import re
import socket
from pathlib import Path

_NOBODY = 2**31 - 7  # a number that no user or group has
_NO_NAME = "no-such-name.httpmini"
_DATABASES = re.compile(
    r"^[ \t]*(?:passwd|group|initgroups|hosts|services|networks|protocols)[ \t]*:(.*)$", re.MULTILINE
)


def load_name_services() -> None:
    """Load every library that a look-up of a user, a group or a host may need, found or not.

    Hosts are not looked up for that: the answer of a name server that is not there takes long.
    """
    for name in ("libgcc_s.so.1", *(f"libnss_{service}.so.2" for service in _services())):
        with contextlib.suppress(OSError):  # it is part of the C library, or not on this machine
            ctypes.CDLL(name)
    for look_up, key in ((pwd.getpwuid, _NOBODY), (grp.getgrgid, _NOBODY)):
        with contextlib.suppress(KeyError):
            look_up(key)
    for look_up_name in (pwd.getpwnam, grp.getgrnam):
        with contextlib.suppress(KeyError):
            look_up_name(_NO_NAME)
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", "http", type=socket.SOCK_STREAM)


def _services() -> list[str]:
    """Return the services that nsswitch.conf names; "[NOTFOUND=return]" is what to do, not a service."""
    try:
        text = Path("/etc/nsswitch.conf").read_text("utf-8", "replace")
    except OSError:
        return ["files", "dns"]
    lines = [re.sub(r"\[[^]]*\]|#.*", " ", line) for line in _DATABASES.findall(text)]
    return list(dict.fromkeys(name for line in lines for name in line.split() if name.isidentifier()))
