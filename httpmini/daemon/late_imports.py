"""Modules that are imported only when they are needed, so that the server starts sooner.

They have to be loaded before the process changes its root or its user: after that, it may not reach its own program
any more.
"""

from __future__ import annotations

import contextlib
import socket
from importlib import import_module

from httpmini.server.modes import MODES
from httpmini.site.prepare import prepare

_LATE = (
    *("difflib", "encodings.idna", "hashlib", "idna", "json", "shlex", "tomllib", "traceback", "unicodedata"),
    *(
        "httpmini.daemon.daemonize",
        "httpmini.daemon.to_https",
        "httpmini.server.core.trace",
        "httpmini.server.http.proxied",
        "httpmini.server.http.recorded",
        "httpmini.server.http.tape",
        "httpmini.server.http.traced",
        "httpmini.server.limits.client_limits",
        "httpmini.server.logs.json_lines",
        "httpmini.server.logs.syslog",
        "httpmini.site.users",
    ),
)


_FOR_TLS = (
    "_strptime",  # reads the dates of certificates
    "ssl",
    "httpmini.server.tls.connection",
    "httpmini.server.tls.traced",
)


def load_late_imports(*, tls: bool = False) -> None:
    """Load every module and library that the server may need later; those for TLS only if it may ever be wanted."""
    for name in (*_LATE, *(_FOR_TLS if tls else ())):
        import_module(name)
    if tls:
        from httpmini.daemon.self_signed import load_library

        load_library()
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", None)  # makes the C library load its resolver modules
    prepare(archives=True)
    for mode in MODES:
        _ = MODES[mode]  # which imports it
    from httpmini.timeline import page  # few need it so soon

    page.load()
