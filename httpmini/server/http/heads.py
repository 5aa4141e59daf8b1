"""Reads whole request heads, and remembers those that come again.

Clients send the same heads again and again, octet for octet. A head that was read before needs no parser; a new one is
almost always plain, and is read by one regular expression. What is neither is left to the careful reader, which takes
it piece by piece.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

import msgspec

from httpmini.protocol.message import Headers, Request, Response, persistence
from httpmini.protocol.plain import PlainHead, PlainReader
from httpmini.protocol.reader import HeadLimits
from httpmini.server.http.response_cache import CachedResponse, Key, key_of
from httpmini.server.http.virtual_hosts import VirtualHost, VirtualHosts
from httpmini.server.logs.access import AccessLog

MAX_HEADS = 4096
MAX_HEAD_BYTES = 2048
MAX_BYTES = 2 * 1024 * 1024  # of all octets together; what is made of a head takes several times as much
MAX_VALIDATORS = 512  # characters of If-None-Match and If-Modified-Since, together

# Held to remember a head. One for all readers, so that a child process can be forked while threads run.
_lock = allocate_lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Reply(msgspec.Struct, frozen=True, eq=False):
    """A response as a connection sees it: what its line in the log says, and what to close afterwards.

    Attributes:
        log: where its line goes.
        description: what the line says if all of the body is sent.
        line: the request line.
        request: the request; None if it could not be read.
        status: the status code.
        head_bytes: the length of the head.
        number: that of the cached response that it is; 0 for any other. (A reference would keep the octets of a
            response that was evicted.)
        response: any other response.
    """

    log: AccessLog
    description: str
    line: str
    request: Request | PlainHead | None
    status: int
    head_bytes: int
    number: int = 0
    response: Response | None = None

    @property
    def user(self) -> str:
        """The name of the authenticated user; "" without one."""
        return self.response.user if self.response is not None else ""

    def describe_cut(self, body_bytes: int) -> str:
        """Return what the line says if only ``body_bytes`` of the body were sent."""
        error = self.response.error if self.response is not None else None
        return self.log.describe(self.line, self.request, self.status, body_bytes, error)


class Head(msgspec.Struct, eq=False):
    """A request, and what one generation makes of it.

    Attributes:
        read: the request, as it was read.
        host: whose site it is for.
        keep_alive: whether the connection may stay open after the response.
        expects_more: whether the client is likely to send more after it.
        key: what the response depends on; None when it must not be cached.
        reply: the last cached response to it, as a reply.
    """

    read: Request | PlainHead
    host: VirtualHost
    keep_alive: bool
    expects_more: bool
    key: Key | None
    reply: Reply | None = None

    @property
    def request(self) -> Request:
        """The request."""
        return self.read.request if isinstance(self.read, PlainHead) else self.read

    def reply_with(self, cached: CachedResponse) -> Reply:
        """Return the reply that a cached response is to this request."""
        log, read, status = self.host.log, self.read, cached.status
        description = log.describe(read.line, read, status, len(cached.octets) - cached.head_bytes)
        reply = Reply(log, description, read.line, read, status, cached.head_bytes, cached.number)
        self.reply = reply
        return reply


class HeadReader:
    """Makes heads of octets. Threads may share it.

    Args:
        limits: how large a head may be.
        hosts: the sites, by the host that is asked for.
    """

    def __init__(self, limits: HeadLimits, hosts: VirtualHosts) -> None:
        self._read_plain = PlainReader(limits).read
        self._hosts = hosts
        self._only_host = hosts.default if not hosts.others else None
        self._heads: dict[bytes, Head] = {}
        self._seen = [0] * MAX_HEADS  # hashes of heads that came once, each at a place that it decides itself
        self._bytes = 0  # of the octets by which they are found

    def read(self, octets: bytes) -> Head | None:
        """Return the head that ``octets`` are, if they are exactly one whole head that is plain or known."""
        head = self._heads.get(octets)
        if head is not None:
            return head
        plain = self._read_plain(octets)
        if plain is None:
            return None
        host = self._only_host or self._hosts.of(plain.host)
        stays, is_last = persistence(plain.connection or "", plain.version)
        matters = "?" in plain.line and plain.query in host.queries  # then the path alone is no key
        return Head(plain, host, stays, not is_last, None if matters else key_of(host.name, plain.resource, stays))

    def make(self, request: Request) -> Head:
        """Make the head of a request.

        The connection may stay open if the client asks for that (RFC 9112 §9.3, §C.2.2). A body that was announced is
        not read, so it must not stand before another request.
        """
        host = self._hosts.of(request.host)
        if request.version < (1, 0) or request.content_length:
            return Head(request, host, False, request.expects_more, None)
        keep_alive, is_last = request.persistence
        path, _, query = request.target.partition("?")
        if query and query in host.queries:
            return Head(request, host, keep_alive, not is_last, None)
        key: Key | None = key_of(host.name, f"{request.method} {path}", keep_alive)
        if key is not None and request.is_conditional:
            validators = _validators_of(request.headers)
            key = key + validators if validators is not None else None
        return Head(request, host, keep_alive, not is_last, key)

    def remember(self, octets: bytes, head: Head) -> None:
        """Find ``head`` by its octets if they come a second time; the oldest heads are forgotten.

        Not the first time: there are heads that never come again.
        """
        trace = hash(octets)
        place = trace % MAX_HEADS
        if self._seen[place] != trace:
            self._seen[place] = trace
        elif len(octets) <= MAX_HEAD_BYTES:
            with _lock:
                if octets not in self._heads:
                    self._bytes += len(octets)
                self._heads[octets] = head
                while len(self._heads) > MAX_HEADS or self._bytes > MAX_BYTES:
                    oldest = next(iter(self._heads))
                    del self._heads[oldest]
                    self._bytes -= len(oldest)


def _validators_of(headers: Headers) -> str | None:
    """Return the conditions on which a 304 depends; None if the response depends on others, or they are long."""
    if headers.has_any("if-match:", "if-unmodified-since:", "if-range:", "range:"):
        return None
    tags, dates = headers.all("If-None-Match"), headers.all("If-Modified-Since")
    validators = "\n".join(("", *tags, "", *dates))  # there is no line feed in a value
    return validators if len(validators) <= MAX_VALIDATORS else None
