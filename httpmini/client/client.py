"""A client that keeps its connections, follows redirections, and retries where that is safe.

    with httpmini.Client() as client:
        for piece in client.fetch("http://localhost:8080/film.mp4"):
            ...

The requests are HTTP/1.0 with Host and ``Connection: keep-alive`` (RFC 1945 §5, RFC 9112 §C.2.2).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from httpmini.client.credentials import Credentials, basic, find, read_netrc
from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.client.request import Encoder, Fields, Request
from httpmini.client.response import REDIRECTS, Response
from httpmini.client.retry import SAFE_METHODS, is_passing, pause_before
from httpmini.client.transport.connect import dial
from httpmini.client.transport.connection import Connection, Trace
from httpmini.client.transport.routing import Routing
from httpmini.client.transport.timings import Timings
from httpmini.client.url import Url, join, parse_url
from httpmini.errors import (
    BadRedirect,
    BadUrl,
    BrokenResponse,
    CannotRun,
    FetchError,
    NotConnected,
    TimedOut,
    Truncated,
)

_MAX_IDLE = 8  # connections kept for one origin
_PROOF_S = 0.1  # how long a connection has to be quiet to show that no forbidden body comes
# The fields that follow a redirection to another origin: what is wanted, not who wants it (RFC 9110 §15.4). Any other
# field may be a key, whatever its name.
_PUBLIC = {
    *("accept", "accept-charset", "accept-encoding", "accept-language", "user-agent", "connection", "cache-control"),
    *("range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "pragma"),
}


class Client:
    """Fetches URLs. Thread-safe.

    Args:
        timeouts: how long to wait.
        limits: how much to accept.
        retries: when to repeat a request.
        routing: how servers are reached: address family, proxies, TLS.
        headers: header fields for every request; they replace the default ones of the same name.
        auth: user name and password; sent only to the server of the URL that is fetched, not where it redirects.
        use_netrc: without ``auth``, look the credentials up in ``~/.netrc``, also the password of a user in the URL.
        follow: follow redirections of GET and HEAD.
        downgrade: follow redirections from https to http too.
        decode: request compressed bodies, and decode them; not for a request with ``Accept-Encoding: identity``.
        trace: receives ">" with each head that is sent, and "<" with each that is received.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        retries: Retries | None = None,
        routing: Routing | None = None,
        headers: Iterable[tuple[str, str]] = (),
        auth: tuple[str, str] | None = None,
        use_netrc: bool = False,
        follow: bool = True,
        downgrade: bool = False,
        decode: bool = True,
        trace: Trace | None = None,
    ) -> None:
        self.timeouts = timeouts or Timeouts()
        self.limits = limits or Limits()
        self.retries = retries or Retries()
        self.routing = routing or Routing()
        self.decode = decode
        self._headers = _pairs(headers)
        self._encoder = Encoder(self._headers)
        self._auth = None if auth is None else (auth[0], auth[1])
        self._use_netrc = use_netrc
        self._follow = follow
        self._downgrade = downgrade
        self._trace = trace
        self._idle: dict[tuple[str, str, int], list[Connection]] = {}
        self._proven: set[tuple[str, str, int]] = set()  # origins that send no body where none belongs
        self._closed = False

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections, and keep no more. Responses in progress can still be read."""
        self._closed = True
        for origin in tuple(self._idle):
            self._close_idle(origin)

    def fetch(
        self, url: str | Url, *, method: str = "GET", headers: Iterable[tuple[str, str]] = (), data: bytes = b""
    ) -> Response:
        """Send a request and return the response, whose body is still to be read (RFC 1945 §5, §6, RFC 9110 §15.4).

        Args:
            url: an http or https URL.
            method: any; GET, HEAD and OPTIONS are retried, redirections of GET and HEAD are followed.
            headers: fields for this request; they replace the default ones and the client's of the same name.
            data: a body to send.

        Raises:
            FetchError: a subclass for each cause, see ``errors.py``. A status other than 2xx raises nothing.
        """
        url = url if isinstance(url, Url) else parse_url(url)
        fields = self._encoder.merge(self._credentials(url), _pairs(headers), decode=self.decode)
        request = self._encoder.request(method, url, fields, data, time.monotonic())
        history: list[tuple[int, str]] = []
        while True:
            response = self._send_with_retries(request)
            try:
                there = self._redirected(request, response, history)
            except FetchError:
                response.close()
                raise
            if there is None:
                response.history = tuple(history)
                response.check_length()
                return response
            history.append((response.status, response.url))
            response.drain()
            request = there

    def credentials_of(self, url: Url) -> tuple[tuple[str, str], ...]:
        """Return the Authorization field for the user that ``url`` names, if it names one, to fetch it without."""
        credentials = None if url.username is None else self._credentials(url)
        has_field = any(name.lower() == "authorization" for name, _ in self._headers)
        return (("Authorization", basic(credentials)),) if credentials and not has_field else ()

    def _credentials(self, url: Url) -> Credentials | None:
        """Return the credentials of the URL itself, those that were given, or those in ~/.netrc."""
        own = None if url.username is None else (url.username, url.password or "")
        if url.password is not None or not self._use_netrc:
            return own or self._auth
        if own is None and self._auth:
            return self._auth
        with suppress(OSError, CannotRun):
            return find(read_netrc(), (url.host, url.name.lower()), url.username) or own
        return own

    def _redirected(self, request: Request, response: Response, history: list[tuple[int, str]]) -> Request | None:
        """Return the request that ``response`` redirects to, or None.

        Raises:
            BadRedirect: to where this client does not follow, too often, or in a circle.
        """
        followed = self._follow and response.status in REDIRECTS and request.method in ("GET", "HEAD")
        location = response.location if followed else None
        if location is None:
            return None
        try:
            there = join(request.url, location)
        except BadUrl as error:
            raise BadRedirect(f"{response.url} redirects to a URL that cannot be followed: {error}") from error
        chain = [*(url for _, url in history), response.url, there.text]
        if there.text in chain[:-1]:
            raise BadRedirect("redirected in a circle: " + " -> ".join(chain[chain.index(there.text) :]))
        if len(history) >= self.limits.redirects:
            raise BadRedirect(f"redirected more than {self.limits.redirects} times, most recently to {there.text}")
        if request.url.scheme == "https" and there.scheme == "http" and not self._downgrade:
            raise BadRedirect(
                f"{response.url} redirects from https to http, to {there.text}, which is not followed by default"
            )
        if there.origin == request.url.origin:
            return self._encoder.redirected(request, there, request.headers)
        if request.data:
            raise BadRedirect(f"{response.url} redirects to another server, {there.text}, which is not sent the body")
        public = tuple(field for field in request.headers if _is_public(field))
        return self._encoder.redirected(request, there, public)

    def _send_with_retries(self, request: Request) -> Response:
        """Send a request, and repeat it where that is safe and may help."""
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._send(request)
            except FetchError as error:
                pause = pause_before(attempt, self.retries) if is_passing(error) else None
                if pause is None or not self._may_wait(request, pause):
                    raise
            else:
                pause = pause_before(attempt, self.retries, response.status, response.headers)
                if pause is None or not self._may_wait(request, pause):
                    return response
                response.drain()
            time.sleep(pause)

    def _may_wait(self, request: Request, pause: float) -> bool:
        """Whether the request may be repeated, and time is left for it after the pause."""
        late = self.timeouts.total_s is not None and time.monotonic() + pause >= request.started + self.timeouts.total_s
        return request.method in SAFE_METHODS and not late

    def _take_idle(self, origin: tuple[str, str, int]) -> Connection | None:
        try:
            return self._idle.setdefault(origin, []).pop()
        except IndexError:  # rather than a check before, which another thread could invalidate
            return None

    def _close_idle(self, origin: tuple[str, str, int]) -> None:
        while connection := self._take_idle(origin):
            connection.close()

    def _send(self, request: Request) -> Response:
        """Send a request on an idle connection, or on a new one if there is none or it turns out to be closed."""
        timings = Timings(started=request.started)
        while request.method in SAFE_METHODS and (connection := self._take_idle(request.url.origin)):
            if not self._is_usable(connection, request):
                connection.close()
            elif response := self._send_on_kept(connection, request, timings):
                return response
            else:
                self._close_idle(request.url.origin)  # they are as old
        connection = dial(request.url, self.routing, self.timeouts, timings, self.limits, self._trace)
        return self._exchange(connection, request, timings)

    def _is_usable(self, connection: Connection, request: Request) -> bool:
        """Whether the next bytes on a kept connection will be those of the response to ``request``.

        Some servers send the body that they announce even after HEAD or a 304, and it may come late. So after such a
        response a connection is not used until it has stayed quiet for a moment; once for each origin, since a server
        does it always or never.
        """
        if not connection.is_quiet:
            return False
        origin = request.url.origin
        if connection.may_be_followed and origin not in self._proven:
            if not connection.stays_quiet(_PROOF_S):
                return False
            self._proven.add(origin)
        return True

    def _send_on_kept(self, connection: Connection, request: Request, timings: Timings) -> Response | None:
        """Send a request on a kept connection; return None if it has to be sent again on a new one.

        The server may have closed it in the meantime (RFC 9112 §9.3.1), or say so (408, RFC 9110 §15.5.9); a router
        may have forgotten it, so that nothing ever comes; or what comes belongs to the response before, and is no HTTP.
        """
        try:
            response = self._exchange(connection, request, timings)
        except (NotConnected, Truncated, BrokenResponse):
            return None
        except TimedOut as error:
            if error.phase == "total":
                raise
            return None
        if response.status != 408:
            return response
        response.close()
        return None

    def _exchange(self, connection: Connection, request: Request, timings: Timings) -> Response:
        connection.timeouts = self.timeouts  # which may have changed since it connected
        connection.deadline = None if self.timeouts.total_s is None else request.started + self.timeouts.total_s
        try:
            head = request.head
            if connection.via_proxy:
                head = self._encoder.proxied_head(request, connection.proxy_fields)
            if self._trace:
                self._trace(">", head)
            connection.send(head, request.data)
            response_head, raw = connection.receive_head()
            timings.first_byte_s = timings.elapsed()
            if self._trace:
                self._trace("<", raw)
            return Response(
                method=request.method,
                url=request.url,
                head=response_head,
                raw_head=raw,
                connection=connection,
                release=lambda used: self._release(request.url, used),
                timings=timings,
                started=request.started,
                limits=self.limits,
                decoded=self.decode and "Content-Encoding" in response_head.headers and not request.wants_identity,
            )
        except BaseException:
            connection.close()
            raise

    def _release(self, url: Url, connection: Connection) -> None:
        idle = self._idle.setdefault(url.origin, [])
        if connection.reusable and len(idle) < _MAX_IDLE and not self._closed:
            idle.append(connection)
        else:
            connection.close()


def _pairs(fields: Iterable[tuple[str, str]]) -> Fields:
    """Return header fields as tuples of two, even if a caller has lists."""
    return tuple([(name, value) for name, value in fields])


def _is_public(field: tuple[str, str]) -> bool:
    """Whether a field may be sent to another origin than the one that it was given for."""
    return field[0].lower() in _PUBLIC


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Iterable[tuple[str, str]] = (),
    data: bytes = b"",
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
) -> Response:
    """Send one request with a client of its own; close the response, or read it to its end.

    Args:
        url, method, headers, data: as for ``Client.fetch``.
        timeouts, limits: as for ``Client``.

    Raises:
        FetchError: a subclass for each cause, see ``errors.py``.
    """
    with Client(timeouts=timeouts, limits=limits, headers=(("Connection", "close"),)) as client:
        return client.fetch(url, method=method, headers=headers, data=data)
