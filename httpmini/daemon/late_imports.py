"""Modules that are imported only when they are needed, so that the server starts sooner.

They have to be loaded before the process changes its root or its user: after that, it may not reach its own program
any more.
"""

from __future__ import annotations

import contextlib
import socket
from importlib import import_module

from httpmini.site.listing import listings

_LATE = (
    *("difflib", "encodings.idna", "hashlib", "json", "shlex", "tarfile", "tomllib", "traceback", "unicodedata"),
    *(
        "httpmini.daemon.daemonize",
        "httpmini.server.logs.json_lines",
        "httpmini.server.logs.syslog",
        "httpmini.site.archive.archiver",
        "httpmini.site.users",
    ),
)


def load_late_imports() -> None:
    """Load every module and library that the server may need later."""
    for name in _LATE:
        import_module(name)
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", None)  # makes the C library load its resolver modules
    listings.prepare()
