"""Proxies: which one for which URL, and the tunnel through it for https.

A proxy gets plain http requests with the whole URL as their target (RFC 9112 §3.2.2); for https it is asked for a
tunnel (CONNECT, RFC 9110 §9.3.6), and sees nothing of what goes through it.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from httpmini.client.options import Limits
from httpmini.client.transport.exchange import Trace
from httpmini.client.transport.timings import Deadline
from httpmini.client.url import Url, parse_url
from httpmini.errors import BadUrl, BrokenResponse, NotConnected, NoTunnel, ProtocolError, visible
from httpmini.protocol.reader import NEED_DATA, HeadLimits, ResponseHead, read_response_head
from httpmini.protocol.writer import request_head

_RECEIVE_BYTES = 4096
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# One entry of no_proxy: [v6], [v6]:port, host, host:port, network/bits; what has more colons is a bare IPv6 address.
_ENTRY = re.compile(
    r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?|(?P<bare>[^\[\]]+)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Which proxy for which URL.

    Attributes:
        http: the URL of the proxy for http URLs; empty for none. ``user:password@`` in it is sent to the proxy.
        https: the same for https URLs.
        no_proxy: what is asked directly all the same: ``*`` for everything, or a host, a ``.suffix``, an address, a
            network such as ``10.0.0.0/8``, each with ``:port`` behind it if only that port is meant.
    """

    http: str = ""
    https: str = ""
    no_proxy: tuple[str, ...] = ()

    @classmethod
    def none(cls) -> TrustedProxies:
        """No proxy for anything."""
        return cls()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> TrustedProxies:
        """What ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy`` say, as to other clients.

        Lower case comes before upper case. HTTP_PROXY is not read: a CGI program finds there what a client has sent as
        its field "Proxy". A variable that is set to nothing says that there is no proxy, whatever ``all_proxy`` says.
        """
        everything = _first(environ, "all_proxy", "ALL_PROXY") or ""
        http, https = _first(environ, "http_proxy"), _first(environ, "https_proxy", "HTTPS_PROXY")
        return cls(
            everything if http is None else http,
            everything if https is None else https,
            tuple(re.findall(r"[^\s,]+", _first(environ, "no_proxy", "NO_PROXY") or "")),
        )

    def for_url(self, url: Url) -> Url | None:
        """The proxy to ask for ``url``, or None when its server is asked directly.

        Raises:
            BadUrl: the proxy's URL is none, or one of a kind that is not supported.
        """
        text = (self.https if url.scheme == "https" else self.http).strip()
        if not text or any(_matches(entry, url) for entry in self.no_proxy):
            return None
        return _parse_proxy(text, url.scheme)


def authorization(proxy: Url) -> tuple[tuple[str, str], ...]:
    """The Proxy-Authorization field for the user name and password in the proxy's URL, if any (RFC 9110 §11.7.2)."""
    if proxy.username is None:
        return ()
    credentials = f"{proxy.username}:{proxy.password or ''}".encode(errors="surrogateescape")
    return (("Proxy-Authorization", f"Basic {base64.b64encode(credentials).decode('ascii')}"),)


def open_tunnel(
    sock: socket.socket, proxy: Url, url: Url, limits: Limits, deadline: Deadline, trace: Trace | None = None
) -> None:
    """Have the proxy at the other end of ``sock`` connect it to the server of ``url`` (RFC 9110 §9.3.6).

    Raises:
        NoTunnel: the proxy does not.
        NotConnected: it ended the connection.
        TimedOut: it did not answer in time.
        BrokenResponse: its answer is no HTTP, or goes on behind its end.
    """
    fields = (("Host", url.authority), *authorization(proxy))
    late = f"the proxy {proxy.authority} had not connected to {url.authority}"
    try:
        sock.settimeout(deadline.timeouts(late))
        asked = request_head("CONNECT", url.authority, fields)
        if trace:
            trace(">", asked)
        sock.sendall(asked)
        head, raw = _read_answer(sock, proxy, limits, partial(deadline.timeouts, late))
        if trace:
            trace("<", raw)
    except TimeoutError as error:
        raise deadline.passed(late) from error
    except OSError as error:
        raise NotConnected(f"the proxy {proxy.authority} broke the connection: {error.strerror}") from error
    if not 200 <= head.status < 300:
        raise NoTunnel(_explain_refusal(head, proxy, url), head.status)


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if name in environ), None)


def _parse_proxy(text: str, scheme: str) -> Url:
    """The URL of a proxy; ``http://`` may be left out, as it often is.

    Raises:
        BadUrl: saying which variable it may be from.
    """
    which = f"the proxy for {scheme} URLs ({scheme}_proxy or all_proxy)"
    if (kind := _SCHEME.match(text)) and kind[1].lower() != "http":
        what = "SOCKS" if kind[1].lower().startswith("socks") else f"{kind[1]}://"
        raise BadUrl(f"{which}: {what} proxies are not supported; it has to be an http:// one")
    try:
        return parse_url(text, shorthand=True)
    except BadUrl as error:
        raise BadUrl(f"{which}: {error}") from error


def _matches(entry: str, url: Url) -> bool:
    """Whether an entry of no_proxy means the server of ``url``.

    A name means its subdomains too, with a dot before it or without, as to curl and Python's urllib: who has written
    ``example.org`` would be surprised to find requests for www.example.org at the proxy. Names are not resolved to be
    compared with networks.
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
    """A-labels, as in ``Url.host``."""
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:  # it is the name of nothing
        return ""


def _read_answer(
    sock: socket.socket, proxy: Url, limits: Limits, timeouts: partial[float]
) -> tuple[ResponseHead, bytes]:
    """The head of the answer to CONNECT, and its octets; all before its end counts against ``limits.head_bytes``."""
    buffer = bytearray()
    room = HeadLimits(limits.head_bytes, 0, limits.fields)
    while True:
        try:
            head = read_response_head(buffer, room)
        except ProtocolError as error:
            raise _broken(proxy, error) from error
        if head is NEED_DATA:
            sock.settimeout(timeouts())
            data = sock.recv(_RECEIVE_BYTES)
            if not data:
                raise NotConnected(f"the proxy {proxy.authority} ended the connection instead of answering CONNECT")
            buffer += data
        elif head.status < 200:  # an interim answer: the answer comes after it (RFC 9110 §15.2)
            del buffer[: head.size]
            room = HeadLimits(room.head_bytes - head.size, 0, limits.fields)
        elif head.status < 300 and len(buffer) > head.size:
            # The server waits for us to begin TLS: these bytes are the proxy's own, and would pass for the server's.
            raise BrokenResponse(f"the proxy {proxy.authority} sent bytes behind its answer to CONNECT")
        else:
            return head, bytes(buffer[: head.size])


def _broken(proxy: Url, error: ProtocolError) -> BrokenResponse:
    text = f"the answer of the proxy {proxy.authority} is not understood: {error.reason.text} [{error}]"
    return BrokenResponse(text, error.reason.token, error.offset)


def _explain_refusal(head: ResponseHead, proxy: Url, url: Url) -> str:
    said = f"{head.status} {visible(head.phrase)}".rstrip()
    if head.status != 407:
        return f"the proxy {proxy.authority} does not connect to {url.authority}: {said}"
    if proxy.username is not None:
        return f"the proxy {proxy.authority} does not take this user name and password: {said}"
    remedy = f"put them into its URL, http://user:password@{proxy.authority}/"
    return f"the proxy {proxy.authority} wants a user name and password: {said}; {remedy}"
