"""From a URL to a connected socket: addresses, a race between them, a tunnel, TLS; all within one time limit."""

from __future__ import annotations

import socket

from httpmini.client.options import Limits, Timeouts
from httpmini.client.transport.connection import Connection, Trace
from httpmini.client.transport.proxy import authorization, open_tunnel
from httpmini.client.transport.race import connect_first
from httpmini.client.transport.resolve import resolve
from httpmini.client.transport.routing import Routing
from httpmini.client.transport.timings import Deadline, Timings
from httpmini.client.transport.tls import start_tls
from httpmini.client.transport.unix import connect_unix
from httpmini.client.url import Url

_LIMITS = Limits()


def dial(
    url: Url,
    routing: Routing,
    timeouts: Timeouts,
    timings: Timings,
    limits: Limits = _LIMITS,
    trace: Trace | None = None,
) -> Connection:
    """Connect to the server of ``url``, or to the proxy that is used for it.

    Args:
        url: of the server.
        routing: how to reach it.
        timeouts: ``connect_s`` covers name, connection, tunnel and TLS together; ``total_s`` may end earlier.
        timings: receives the end of each phase.
        limits: on responses, including that of a proxy to CONNECT.
        trace: receives the heads of a CONNECT request and its response.

    Raises:
        BadUrl: the URL of the proxy is invalid, or of an unsupported kind.
        NotResolved: the name has no address.
        NotConnected: no address accepted the connection, or the proxy refused the tunnel; the message lists why.
        TlsFailed: TLS, the certificate or its name failed.
        TimedOut: one of the two limits has passed.
        BrokenResponse: the response of the proxy is not HTTP.
    """
    deadline = Deadline.for_connecting(timeouts, timings)
    proxy = None if routing.unix_socket is not None else routing.proxies.for_url(url)
    if routing.unix_socket is not None:
        sock = connect_unix(routing.unix_socket, deadline)
    else:
        sock = _connect_tcp(proxy or url, "the proxy " if proxy else "", routing, deadline, timings)
    try:
        if proxy and url.scheme == "https":
            open_tunnel(sock, proxy, url, limits, deadline, trace)
        timings.connect_s = timings.elapsed()
        if url.scheme == "https":
            sock = start_tls(sock, url, routing.tls, deadline)
            timings.tls_s = timings.elapsed()
        sock.settimeout(timeouts.silence_s)
    except BaseException:
        sock.close()
        raise
    if proxy and url.scheme == "http":
        return Connection(sock, limits, timeouts, via_proxy=True, proxy_fields=authorization(proxy))
    return Connection(sock, limits, timeouts)


def _connect_tcp(peer: Url, role: str, routing: Routing, deadline: Deadline, timings: Timings) -> socket.socket:
    """Connect to the host and port of ``peer``, which errors call by its ``role`` and name."""
    name = f"{role}{peer.name or peer.host}"
    addresses = resolve(peer, name, routing, deadline)
    timings.resolve_s = timings.elapsed()
    return connect_first(addresses, f"{name} port {peer.port}", deadline)
