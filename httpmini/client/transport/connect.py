"""From a URL to a connected socket: addresses, a race between them, a tunnel, TLS; all within one time limit."""

from __future__ import annotations

import errno
import functools
import os
import queue
import re
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import zip_longest
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Literal

from httpmini.client.options import Limits, Timeouts
from httpmini.client.transport.exchange import Trace
from httpmini.client.transport.proxy import TrustedProxies, authorization, open_tunnel
from httpmini.client.transport.timings import Deadline, Timings
from httpmini.client.url import Url, parse_url
from httpmini.errors import NotConnected, NotResolved, TlsFailed, UsageError

if TYPE_CHECKING:
    import ssl

STAGGER_S = 0.25  # between two attempts: RFC 8305 §5, "Connection Attempt Delay"
_UNIX_RETRY_S = 0.01
_FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
_OVERRIDE = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5}):(?P<addresses>.+)", re.ASCII)
_LIMITS = Limits()


@dataclass(frozen=True)
class Routing:
    """How servers are reached.

    Attributes:
        family: 4 or 6 for addresses of that kind only; 0 for both.
        overrides: the addresses to take for a host and port, instead of looking the host up.
        unix_socket: a path: every connection goes to this socket, and none through a proxy.
        proxies: which proxy for which URL.
        tls: what is trusted, and how TLS is spoken; None for what the system trusts. (SSL_CERT_FILE and SSL_CERT_DIR
            are OpenSSL's own ways to name other authorities.)
    """

    family: Literal[0, 4, 6] = 0
    overrides: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    unix_socket: str | None = None
    proxies: TrustedProxies = field(default_factory=TrustedProxies.none)
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Line:
    """A connection to a server, or to a proxy for it.

    Attributes:
        sock: connected; its waits end after ``Timeouts.silence_s`` until somebody says otherwise. One that speaks TLS
            says b"" only for an end that was announced in TLS; any other may be somebody else's doing, and raises
            an OSError (RFC 9112 §9.8).
        via_proxy: whether a proxy reads the requests, and so needs the whole URL as their target (RFC 9112 §3.2.2).
        proxy_fields: the fields that the proxy needs in each request.
    """

    sock: socket.socket
    via_proxy: bool = False
    proxy_fields: tuple[tuple[str, str], ...] = ()


def dial(
    url: Url,
    routing: Routing,
    timeouts: Timeouts,
    timings: Timings,
    limits: Limits = _LIMITS,
    trace: Trace | None = None,
) -> Line:
    """Connect to the server of ``url``, or to the proxy that is to be asked instead.

    Args:
        url: where to.
        routing: by which way.
        timeouts: ``connect_s`` is for all of it: name, connection, tunnel, TLS. ``total_s`` may end it sooner.
        timings: what was over when is written here.
        limits: how much of an answer a proxy may send.
        trace: takes what is said to a proxy that is asked for a tunnel, and what it answers.

    Raises:
        BadUrl: the proxy's URL is none, or one of a kind that is not supported.
        NotResolved: the name has no address.
        NotConnected: no address took the connection, or the proxy gave no tunnel; says what each answered.
        TlsFailed: the certificate, its name, or TLS itself.
        TimedOut: one of the two limits has passed.
        BrokenResponse: what the proxy says is not HTTP.
    """
    deadline = Deadline.for_connecting(timeouts, timings)
    proxy = None
    if routing.unix_socket is not None:
        sock = _connect_unix(routing.unix_socket, deadline)
    else:
        proxy = routing.proxies.for_url(url)
        peer = proxy or url
        who = ("the proxy " if proxy else "") + (peer.name or peer.host)
        sock = _connect_tcp(peer, who, routing, deadline, timings)
    try:
        if proxy and url.scheme == "https":
            open_tunnel(sock, proxy, url, limits, deadline, trace)
        timings.connect_s = timings.elapsed()
        if url.scheme == "https":
            sock = _secure(sock, url, routing.tls, deadline)
            timings.tls_s = timings.elapsed()
        sock.settimeout(timeouts.silence_s)
    except BaseException:
        sock.close()
        raise
    if proxy and url.scheme == "http":
        return Line(sock, via_proxy=True, proxy_fields=authorization(proxy))
    return Line(sock)


def parse_override(text: str) -> tuple[tuple[str, int], tuple[str, ...]]:
    """Read ``HOST:PORT:ADDRESS[,ADDRESS...]``, as curl's --resolve takes it: an entry for ``Routing.overrides``.

    Raises:
        UsageError: it is not of this form.
    """
    match = _OVERRIDE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text}: write HOST:PORT:ADDRESS, for example example.org:443:192.0.2.1")
    url = parse_url(f"http://{match['host']}:{match['port']}/")
    addresses = tuple(address.strip().removeprefix("[").removesuffix("]") for address in match["addresses"].split(","))
    for address in addresses:
        try:
            ip_address(address)
        except ValueError as error:
            raise UsageError(f"{text}: {address!r} is not an address; names cannot stand there") from error
    return (url.host, url.port), addresses


# Names to addresses


@dataclass(frozen=True, slots=True)
class _Address:
    """Where to connect, as the kernel takes it."""

    family: int
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _resolve(url: Url, who: str, routing: Routing, deadline: Deadline) -> list[_Address]:
    """The addresses of ``url.host``, in the order in which they are to be tried; at least one.

    Raises:
        NotResolved: there is none, or none of the family that is wanted.
        TimedOut: the resolver did not come back.
    """
    only = f" (only IPv{routing.family} is asked for)" if routing.family else ""
    found = _known_addresses(url, who, routing)
    if not found:
        try:
            found = _look_up(url, who, _FAMILIES[routing.family], deadline)
        except (OSError, UnicodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "this is not a host name"
            raise NotResolved(f"{who}: {said}{only}") from error
    wanted = [address for address in dict.fromkeys(found) if routing.family in (0, _version_of(address))]
    if not wanted:
        raise NotResolved(f"{who}: there is no address of the right kind{only}")
    return _interleave(wanted)


def _known_addresses(url: Url, who: str, routing: Routing) -> list[_Address]:
    """What needs no looking up: an override, or a host that is an address; empty for anything else.

    Raises:
        NotResolved: the override is not an address.
    """
    override = routing.overrides.get((url.host, url.port))
    try:
        for text in override or ():
            ip_address(text)  # the resolver takes more than that: "1" would be 0.0.0.1
        return [found for text in override or (url.host,) for found in _ask_resolver(text, url.port, numeric=True)]
    except (OSError, ValueError) as error:  # ValueError: a label that is too long, a NUL
        if override:
            raise NotResolved(f"{who}: taken for {', '.join(override)}, which is not an address") from error
        return []


def _look_up(url: Url, who: str, family: int, deadline: Deadline) -> list[_Address]:
    """Ask the system's resolver, and wait for it no longer than the limit.

    getaddrinfo() cannot be interrupted, and with name servers that do not answer it takes as long as resolv.conf says
    (by default 5 s for each of up to three servers, twice). So a thread of its own asks. One that is not back in time
    is left alone: being a daemon, it does not keep the process from ending.
    """
    answers: queue.SimpleQueue[list[_Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_ask_resolver(url.host, url.port, family))
        except Exception as error:
            answers.put(error)

    thread = threading.Thread(target=ask, name="httpmini-resolver", daemon=True)
    thread.start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise deadline.passed(f"{who} was not resolved") from None
    thread.join()  # it has said what it had to say
    if isinstance(answer, Exception):
        raise answer
    return answer


def _ask_resolver(host: str, port: int, family: int = socket.AF_UNSPEC, *, numeric: bool = False) -> list[_Address]:
    flags = socket.AI_NUMERICHOST if numeric else 0
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
    return [_Address(kind, sockaddr) for kind, _, _, _, sockaddr in found if kind in _FAMILIES.values()]


def _version_of(address: _Address) -> int:
    return 6 if address.family == socket.AF_INET6 else 4


def _interleave(addresses: Sequence[_Address]) -> list[_Address]:
    """One of each family in turn, beginning with the one that the resolver puts first (RFC 8305 §4)."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    return [address for pair in zip_longest(first, others) for address in pair if address is not None]


# Addresses to a connection


def _connect_tcp(url: Url, who: str, routing: Routing, deadline: Deadline, timings: Timings) -> socket.socket:
    """A connection to the host and port of ``url``, which errors call ``who``."""
    addresses = _resolve(url, who, routing, deadline)
    timings.resolve_s = timings.elapsed()
    race = _Race(addresses)
    sock = race.run(deadline)
    if sock is not None:
        return sock
    if race.unanswered:
        raise deadline.passed(f"no connection to {who} port {url.port} ({_list_failures(race)})")
    hint = "; is it running?" if set(race.failures.values()) == {errno.ECONNREFUSED} else ""
    raise NotConnected(f"cannot connect to {who} port {url.port} ({_list_failures(race)}){hint}")


def _list_failures(race: _Race) -> str:
    """Each address with its own reason."""
    said = [f"{address}: {os.strerror(number)}" for address, number in race.failures.items()]
    return "; ".join([*said, *(f"{address}: no answer" for address in race.unanswered)])


class _Race:
    """Connects to several addresses at once, one started after the other, until one takes it (RFC 8305 §5).

    An address that does not answer (IPv6 that is announced and leads nowhere, say) costs a quarter of a second, not the
    whole limit. All in one thread: sockets that do not block, and one poll set.

    Attributes:
        failures: the addresses that failed, each with its errno.
        unanswered: those that had not answered when the time was over, or were not even asked.
    """

    def __init__(self, addresses: Iterable[_Address]) -> None:
        self.failures: dict[_Address, int] = {}
        self.unanswered: list[_Address] = []
        self._waiting = deque(addresses)
        self._running: dict[socket.socket, _Address] = {}
        self._poll = selectors.PollSelector()  # needs no descriptor of its own, as epoll does

    def run(self, deadline: Deadline) -> socket.socket | None:
        """The first socket that is connected; None when all have failed, or the time is over."""
        try:
            start_at = time.monotonic()
            while (self._waiting or self._running) and (left := deadline.left()):
                now = time.monotonic()
                if self._waiting and (now >= start_at or not self._running):
                    begun = self._start(self._waiting.popleft())
                    start_at = now + STAGGER_S if begun else now
                timeouts = min(left, start_at - now) if self._waiting else left
                for key, _ in self._poll.select(timeouts if self._running else 0):
                    sock = self._settle(key.fileobj)
                    if sock is not None:
                        return sock
                    start_at = now  # one has failed: the next need not wait
            return None
        finally:
            self._give_up()

    def _start(self, address: _Address) -> bool:
        """Whether it can be waited for."""
        sock = None
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
            sock.setblocking(False)
            # Requests are written whole; nothing is gained by waiting for more to send (RFC 9293 §3.7.4).
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(address.sockaddr)
        except OSError as error:  # no IPv6 here, or no descriptor left
            number = error.errno or errno.EINVAL
        if sock is None or number not in (0, errno.EINPROGRESS):
            if sock is not None:
                sock.close()
            self.failures[address] = number
            return False
        self._running[sock] = address
        self._poll.register(sock, selectors.EVENT_WRITE)
        return True

    def _settle(self, sock: Any) -> socket.socket | None:
        """``sock``, if it is connected; otherwise it is closed."""
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._poll.unregister(sock)
        address = self._running.pop(sock)
        if number == 0:
            connected: socket.socket = sock
            return connected
        sock.close()
        self.failures[address] = number
        return None

    def _give_up(self) -> None:
        """Close what is still on its way."""
        for sock in self._running:
            sock.close()
        self.unanswered = [*self._running.values(), *self._waiting]
        self._poll.close()


def _connect_unix(path: str, deadline: Deadline) -> socket.socket:
    """A connection to a socket in the file system, or (a path that begins with NUL) an abstract one."""
    late = f"the socket {path} took no connection (its backlog is full)"
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if "\0" in path.removeprefix("\0"):
                raise ValueError("there is a NUL in it")  # the kernel would take what is before it
            sock.setblocking(False)
            # A full backlog says EAGAIN at once, and no event says that there is room again: so it is asked again.
            while (number := sock.connect_ex(path)) == errno.EAGAIN:
                time.sleep(min(_UNIX_RETRY_S, deadline.timeouts(late)))
            if number:
                raise OSError(number, os.strerror(number))
        except BaseException:
            sock.close()
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL, or no text
        said = getattr(error, "strerror", None) or error
        raise NotConnected(f"cannot connect to the socket {path}: {said}") from error
    return sock


# A connection to TLS. `ssl` is imported by who needs it only: it takes 8 ms, and the system's authorities another 30.

# OpenSSL's numbers (X509_V_ERR_...) and what they mean to a person.
_CERTIFICATE_ERRORS = {
    9: "the certificate is not valid yet{clock}",
    10: "the certificate has expired{clock}",
    18: "the certificate is self-signed, and not trusted here{trust}",
    19: "the certificate is signed by an authority that is not trusted here{trust}",
    20: "the certificate is signed by an authority that is not known here{trust}",
    21: "the certificate is signed by an authority that is not known here{trust}",
    62: "the certificate is for other names than {host}",
    64: "the certificate is for other addresses than {host}",
}
_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
}
_TLS_ERRORS = {
    **dict.fromkeys(_NOT_TLS, "what answers there does not speak TLS; is it http:// that is meant?"),
    **dict.fromkeys(
        ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"),
        "no version of TLS that both sides speak (this side: 1.2 and later, as a rule)",
    ),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server refuses; there may be no cipher in common, or it wants a certificate",
    "TLSV1_UNRECOGNIZED_NAME": "the server does not know the name {host}",
}


@functools.cache
def _system_trust() -> ssl.SSLContext:
    """The authorities of the system, loaded once; certificates and names are checked, TLS 1.2 is the oldest."""
    import ssl

    return ssl.create_default_context()


def _secure(sock: socket.socket, url: Url, context: ssl.SSLContext | None, deadline: Deadline) -> ssl.SSLSocket:
    """Speak TLS on ``sock``, which belongs to what is returned; when it fails it is closed, or still the caller's.

    Raises:
        TlsFailed: with what is wrong.
        TimedOut: the handshake was not complete in time.
    """
    # Neither a zone nor the root's dot is part of a name (RFC 6066 §3).
    host = url.host.partition("%")[0].removesuffix(".")
    try:
        # wrap_socket() forgets the descriptor when the name cannot be sent or the peer has gone: so look before.
        host.encode("idna")
        sock.getpeername()
        tls = (context or _system_trust()).wrap_socket(
            sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except (OSError, ValueError) as error:
        clear_frames(error.__traceback__)  # closes what it has forgotten, if the peer went just in between
        raise TlsFailed(f"no TLS with {url.authority}: {_explain_tls(error, host)}") from error
    late = f"the TLS handshake with {url.authority} was not complete"
    try:
        tls.settimeout(deadline.timeouts(late))
        tls.do_handshake()  # the timeout is for all of it
    except TimeoutError as error:
        tls.close()
        raise deadline.passed(late) from error
    except OSError as error:
        tls.close()
        raise TlsFailed(f"no TLS with {url.authority}: {_explain_tls(error, host)}") from error
    except BaseException:
        tls.close()
        raise
    return tls


def _explain_tls(error: Exception, host: str) -> str:
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        text = _CERTIFICATE_ERRORS.get(error.verify_code, f"the certificate is not trusted: {error.verify_message}")
        clock = f" (by this machine's clock, which says {time.strftime('%Y-%m-%d')})"
        return text.format(host=host, clock=clock, trust="; SSL_CERT_FILE can name a file of further ones")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)) or _is_gone(error):
        return "the server ended the connection in the middle of the handshake"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return _TLS_ERRORS.get(reason, reason.replace("_", " ").lower()).format(host=host)
    return f"{host} is not a name that a certificate could be for" if isinstance(error, ValueError) else str(error)


def _is_gone(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOTCONN
