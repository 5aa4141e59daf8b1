"""From a host name to a connected socket."""

from __future__ import annotations

import socket

from httpmini.client.url import Url
from httpmini.errors import NotConnected, NotResolved

CONNECT_S = 10.0
SILENCE_S = 30.0


def connect(url: Url) -> socket.socket:
    """A socket connected to the first address of the host that answers; every later wait on it has a limit.

    Raises:
        NotResolved: the name has no address.
        NotConnected: no address took the connection; says what each answered.
    """
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not a host name"
        raise NotResolved(f"{url.name}: {said}") from error
    failures = []
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(CONNECT_S)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failures.append(f"{address[0]} port {url.port}: {error.strerror or error}")
        else:
            sock.settimeout(SILENCE_S)
            return sock
    raise NotConnected("cannot connect to " + "; ".join(failures))
