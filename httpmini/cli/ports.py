"""The port of a server for which nobody has named one: 8080, or the next one that is free."""

from __future__ import annotations

from collections.abc import Sequence
from errno import EADDRINUSE

from httpmini.errors import CannotRun
from httpmini.server.listeners.endpoint import Endpoint
from httpmini.server.listeners.tcp import open_listeners

FIRST, LAST = 8080, 8099
_TRIES = 20


def free_port(hosts: Sequence[str]) -> int:
    """Return the first port from 8080 to 8099 that is free at all of ``hosts``.

    Raises:
        CannotRun: there is none.
    """
    for port in range(FIRST, LAST + 1):
        if all(_is_free(Endpoint("" if host == "*" else host.strip("[]"), str(port))) for host in hosts):
            return port
    raise CannotRun(f"the ports from {FIRST} to {LAST} are all taken; choose another, or --port 0 for any free one")


def any_port(hosts: Sequence[str]) -> int:
    """Return a port that is free at all of ``hosts``: each for itself would get another one."""
    port = 0
    for _ in range(_TRIES):
        (listener,) = open_listeners([Endpoint(hosts[0], "0")], 1)
        port = int(listener.getsockname()[1])
        listener.close()
        if all(_is_free(Endpoint(host, str(port))) for host in hosts):
            break
    return port


def _is_free(endpoint: Endpoint) -> bool:
    """Whether a port can be listened on; what else may be wrong with it is reported when the server does."""
    try:
        listeners = open_listeners([endpoint], 1)
    except CannotRun as error:
        return not (isinstance(error.__cause__, OSError) and error.__cause__.errno == EADDRINUSE)
    for listener in listeners:
        listener.close()
    return True
