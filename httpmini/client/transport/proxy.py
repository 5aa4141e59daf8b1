"""Proxies: which one to use for which URL, and the tunnel through it for https.

Plain http requests go to the proxy with the whole URL as their target (RFC 9112 §3.2.2). For https it opens a tunnel
(CONNECT, RFC 9110 §9.3.6), and sees nothing of what goes through.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from httpmini.client.credentials import basic
from httpmini.client.options import Limits
from httpmini.client.transport.connection import Trace
from httpmini.client.transport.timings import Deadline
from httpmini.client.url import Url, parse_url, to_a_labels, without_userinfo
from httpmini.errors import BadUrl, BrokenResponse, NotConnected, NoTunnel, ProtocolError, visible
from httpmini.protocol.reader import NEED_DATA, HeadLimits, ResponseHead, read_response_head
from httpmini.protocol.writer import request_head

_RECEIVE_BYTES = 4096
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# One entry of no_proxy: [v6], [v6]:port, host, host:port, network/bits; with more colons it is a bare IPv6 address.
_ENTRY = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?|(?P<bare>[^\[\]]+)", re.ASCII
)


@dataclass(frozen=True, slots=True, repr=False)
class ProxySettings:
    """Which proxy to use for which URL.

    Attributes:
        http: URL of the proxy for http URLs; empty for none. ``user:password@`` in it is sent to the proxy.
        https: URL of the proxy for https URLs; empty for none.
        no_proxy: what is reached directly even so: ``*`` for everything, or a host, a ``.suffix``, an address, a
            network such as ``10.0.0.0/8``, each optionally followed by ``:port``.
    """

    http: str = ""
    https: str = ""
    no_proxy: tuple[str, ...] = ()

    def __repr__(self) -> str:
        http, https = without_userinfo(self.http), without_userinfo(self.https)
        return f"ProxySettings(http={http!r}, https={https!r}, no_proxy={self.no_proxy!r})"

    @classmethod
    def none(cls) -> ProxySettings:
        """Return settings without any proxy."""
        return cls()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ProxySettings:
        """Read ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, as other clients do.

        Lower case takes precedence over upper case. HTTP_PROXY is ignored: in a CGI program, it holds the "Proxy" field
        of the request. A variable that is set but empty means no proxy, whatever ``all_proxy`` says.
        """
        everything = _first(environ, "all_proxy", "ALL_PROXY") or ""
        http, https = _first(environ, "http_proxy"), _first(environ, "https_proxy", "HTTPS_PROXY")
        return cls(
            everything if http is None else http,
            everything if https is None else https,
            tuple(re.findall(r"[^\s,]+", _first(environ, "no_proxy", "NO_PROXY") or "")),
        )

    def for_url(self, url: Url) -> Url | None:
        """Return the URL of the proxy to use for ``url``, or None to connect to its server directly.

        Raises:
            BadUrl: the URL of the proxy is invalid, or of an unsupported kind.
        """
        text = (self.https if url.scheme == "https" else self.http).strip()
        if not text or any(_matches(entry, url) for entry in self.no_proxy):
            return None
        return _parse_proxy(text, url.scheme)


def authorization(proxy: Url) -> tuple[tuple[str, str], ...]:
    """Return the Proxy-Authorization field for the credentials in the proxy's URL, if any (RFC 9110 §11.7.2)."""
    if proxy.username is None:
        return ()
    return (("Proxy-Authorization", basic((proxy.username, proxy.password or ""))),)


def open_tunnel(
    sock: socket.socket, proxy: Url, url: Url, limits: Limits, deadline: Deadline, trace: Trace | None = None
) -> None:
    """Have the proxy at the other end of ``sock`` open a tunnel to the server of ``url`` (RFC 9110 §9.3.6).

    Raises:
        NoTunnel: the proxy refuses.
        NotConnected: it closed the connection.
        TimedOut: it did not respond in time.
        BrokenResponse: its response is not HTTP, or more bytes follow its end.
    """
    fields = (("Host", url.authority), *authorization(proxy))
    late = f"the proxy {proxy.authority} had not connected to {url.authority}"
    try:
        sock.settimeout(deadline.timeout(late))
        request = request_head("CONNECT", url.authority, fields)
        if trace:
            trace(">", request)
        sock.sendall(request)
        head, raw = _read_response(sock, proxy, limits, partial(deadline.timeout, late))
        if trace:
            trace("<", raw)
    except TimeoutError as error:
        raise deadline.expired(late) from error
    except OSError as error:
        raise NotConnected(f"the proxy {proxy.authority} broke the connection: {error.strerror}") from error
    if not 200 <= head.status < 300:
        raise NoTunnel(_explain_refusal(head, proxy, url), head.status)


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if name in environ), None)


def _parse_proxy(text: str, scheme: str) -> Url:
    """Parse the URL of a proxy; ``http://`` may be left out, as it often is.

    Raises:
        BadUrl: it is invalid; the message names the variable that it may come from.
    """
    which = f"the proxy for {scheme} URLs ({scheme}_proxy or all_proxy)"
    if (kind := _SCHEME.match(text)) and kind[1].lower() != "http":
        what = "SOCKS" if kind[1].lower().startswith("socks") else f"{kind[1]}://"
        raise BadUrl(f"{which}: {what} proxies are not supported, only http:// ones")
    try:
        return parse_url(text, shorthand=True)
    except BadUrl as error:
        raise BadUrl(f"{which}: {error}") from error


def _matches(entry: str, url: Url) -> bool:
    """Whether an entry of no_proxy covers the server of ``url``.

    A name covers its subdomains too, with or without a leading dot, as in curl and Python's urllib: after writing
    ``example.org``, nobody expects requests for www.example.org at the proxy. Names are not resolved to compare them
    with networks.
    """
    if entry == "*":
        return True
    parts = _ENTRY.fullmatch(entry)
    if parts is None or (parts["port"] and int(parts["port"]) != url.port):
        return False
    wanted = parts["v6"] or parts["host"] or parts["bare"]
    host = url.host.partition("%")[0].removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        suffix = _to_ascii(wanted.removeprefix("*").removeprefix(".").removesuffix(".")).lower()
        return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))
    try:
        return address in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _to_ascii(name: str) -> str:
    """Convert a name to A-labels, as in ``Url.host``."""
    try:
        return to_a_labels(name)
    except ValueError:  # no host can have this name
        return ""


def _read_response(
    sock: socket.socket, proxy: Url, limits: Limits, timeout: partial[float]
) -> tuple[ResponseHead, bytes]:
    """Read the head of the response to CONNECT, and its octets; interim responses count against the limits too."""
    buffer = bytearray()
    room = HeadLimits(limits.head_bytes, 0, limits.fields)
    while True:
        try:
            head = read_response_head(buffer, room)
        except ProtocolError as error:
            raise _broken(proxy, error) from error
        if head is NEED_DATA:
            sock.settimeout(timeout())
            data = sock.recv(_RECEIVE_BYTES)
            if not data:
                raise NotConnected(f"the proxy {proxy.authority} closed the connection without responding to CONNECT")
            buffer += data
        elif head.status < 200:  # interim: the final response follows (RFC 9110 §15.2)
            del buffer[: head.size]
            room = HeadLimits(room.head_bytes - head.size, 0, limits.fields)
        elif head.status < 300 and len(buffer) > head.size:
            # The server waits for us to start TLS: these bytes are the proxy's own, and would pass for the server's.
            raise BrokenResponse(f"the proxy {proxy.authority} sent bytes after its response to CONNECT")
        else:
            return head, bytes(buffer[: head.size])


def _broken(proxy: Url, error: ProtocolError) -> BrokenResponse:
    text = f"the response of the proxy {proxy.authority} is not valid HTTP: {error.reason.text} [{error}]"
    return BrokenResponse(text, error.reason.token, error.offset)


def _explain_refusal(head: ResponseHead, proxy: Url, url: Url) -> str:
    status = f"{head.status} {visible(head.phrase)}".rstrip()
    if head.status != 407:
        return f"the proxy {proxy.authority} refuses to connect to {url.authority}: {status}"
    if proxy.username is not None:
        return f"the proxy {proxy.authority} rejects this user name and password: {status}"
    remedy = f"put them into its URL, http://user:password@{proxy.authority}/"
    return f"the proxy {proxy.authority} requires a user name and password: {status}; {remedy}"
