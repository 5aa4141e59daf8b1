"""Requests, responses and their header fields: plain frozen values.

Text in a head is kept as ``str`` decoded from ISO-8859-1, so that every octet has a character and none is lost
(RFC 1945 §2.2 lets octets above 127 stand in field values).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.body import Body, body_length

_AUTHORITY = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_AROUND_VALUES = " \t\r"  # the CR belongs to the line end

# Members of a comma list that are read. Honest lists have a tenth of that, and a head has room for thousands.
MAX_MEMBERS = 64


def members(values: Iterable[str]) -> list[str]:
    """Return the members of a comma list over all fields of one name (RFC 9110 §5.6.1): the first ``MAX_MEMBERS``.

    Empty ones count, and blanks are left on: the work is bounded whatever was sent.
    """
    return ",".join(values).split(",", MAX_MEMBERS)[:MAX_MEMBERS]


class Headers:
    """Header fields in their order, duplicates kept; names are compared without regard to case (RFC 9110 §5).

    The fields of a head that was read are kept as its text and searched: of a dozen fields that a browser sends, a
    response depends on two or three, and searching for these costs less than taking all of them apart.

    Args:
        fields: names and values.
    """

    __slots__ = ("_fields", "_lowered", "_text")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: tuple[tuple[str, str], ...] | None = tuple(fields)
        self._text: str | None = None  # as ``from_lines`` takes it
        self._lowered: str | None = None

    @classmethod
    def from_lines(cls, text: str) -> Headers:
        """Make the fields of a head from its text.

        Args:
            text: a first line, which is ignored, then each field on a line of its own, with nothing wrong in any, and
                none folded. Lines end in CRLF or LF; those without a colon are ignored.
        """
        headers = cls.__new__(cls)
        headers._fields = headers._lowered = None
        headers._text = text
        return headers

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Names and values, without the blanks around them."""
        if self._fields is None:
            lines = [line.partition(":") for line in (self._text or "").split("\n")[1:]]
            self._fields = tuple((name, value.strip(_AROUND_VALUES)) for name, colon, value in lines if colon)
        return self._fields

    def all(self, name: str) -> list[str]:
        """Return every value of the field ``name``, in order."""
        if self._text is None:
            wanted = name.lower()
            return [value for field_name, value in self.fields if field_name.lower() == wanted]
        lowered, wanted = self._searchable(), f"\n{name.lower()}:"
        values = []
        at = lowered.find(wanted)
        while at >= 0:
            begin = at + len(wanted)
            at = lowered.index("\n", begin)
            values.append(self._text[begin:at].strip(_AROUND_VALUES))
            at = lowered.find(wanted, at)
        return values

    def get(self, name: str) -> str | None:
        """Return the first value of the field ``name``, or None."""
        if self._text is None:
            return next(iter(self.all(name)), None)
        lowered, wanted = self._searchable(), f"\n{name.lower()}:"
        at = lowered.find(wanted)
        if at < 0:
            return None
        begin = at + len(wanted)
        return self._text[begin : self._text.index("\n", begin)].strip(_AROUND_VALUES)

    def joined(self, name: str) -> str:
        """Return the values of all fields ``name`` as one comma list (RFC 9110 §5.3)."""
        return ", ".join(self.all(name))

    def tokens(self, name: str) -> set[str]:
        """Return the members of a comma list, in lower case, over all fields ``name`` (RFC 9110 §5.6.1)."""
        values = self.all(name)
        if len(values) == 1 and "," not in values[0]:
            return {values[0].lower()} if values[0] else set()
        found = (member.strip(" \t").lower() for member in members(values))
        return {member for member in found if member}

    def has_any(self, *beginnings: str) -> bool:
        """Whether any field begins with one of these, in lower case: ``if-`` is for all conditions."""
        lowered = self._searchable()
        for beginning in beginnings:  # noqa: SIM110  (a generator costs as much as the search)
            if f"\n{beginning}" in lowered:
                return True
        return False

    def _searchable(self) -> str:
        """Return the fields in lower case, each after a line feed."""
        if self._lowered is None:
            text = self._text if self._text is not None else "".join(f"\n{name}:" for name, _ in self.fields)
            self._lowered = text.lower()
        return self._lowered

    def __contains__(self, name: str) -> bool:
        return f"\n{name.lower()}:" in self._searchable()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        return f"Headers({self.fields!r})"


class Persistence(NamedTuple):
    """What a client said about its connection.

    Attributes:
        wants_keep_alive: whether it asked explicitly to go on after this response. A 1.1 client that says nothing means
            to go on too, but it would take a response without ``Connection: keep-alive`` from a 1.0 server as the last
            (RFC 9112 §9.3, §C.2.2).
        is_last: whether nothing is likely to follow: a 1.0 client does not pipeline, and a 1.1 client says so.
    """

    wants_keep_alive: bool
    is_last: bool


@lru_cache(maxsize=64)  # almost all clients say the same few things
def persistence(connection: str, version: tuple[int, int]) -> Persistence:
    """Read the value of Connection, a comma list (RFC 9110 §7.6.1), in a request of the given version."""
    options = {option.strip(" \t").lower() for option in members((connection,))}
    closes = "close" in options
    return Persistence("keep-alive" in options and not closes, closes or version < (1, 1))


def bare_host(host: str) -> str:
    """Return a host as it can be compared: without its port, in lower case, without the root's dot at its end."""
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
    return name.lower().removesuffix(".")


class Request(msgspec.Struct, frozen=True):
    """One request.

    Attributes:
        method: as sent; methods are case-sensitive (RFC 9110 §9.1).
        target: the request target as sent (RFC 9112 §3.2).
        version: (major, minor): (0, 9) for a Simple-Request, else (1, 0) or (1, 1); a higher minor counts as 1.1.
        headers: the header fields.
        line: the request line as sent, without its line end; the access log quotes it.
        content_length: the announced length of a body that follows, in bytes.
    """

    method: str
    target: str
    version: tuple[int, int] = (1, 0)
    headers: Headers = msgspec.field(default_factory=Headers)
    line: str = ""
    content_length: int = 0

    @property
    def host(self) -> str | None:
        """The host that the request is for: the target's counts more than the Host field (RFC 9112 §3.2.2)."""
        match = None if self.target.startswith("/") else _AUTHORITY.match(self.target)
        return match[1] if match else self.headers.get("Host")

    @property
    def target_offset(self) -> int:
        """The byte of the request line at which the target begins."""
        return max(0, self.line.find(self.target, len(self.method)))

    @property
    def is_conditional(self) -> bool:
        """Whether the response may depend on more than the method and the target: conditions, or a range."""
        return self.headers.has_any("if-", "range:")

    @property
    def referer(self) -> str | None:
        """The value of Referer; None without one."""
        return self.headers.get("Referer")

    @property
    def user_agent(self) -> str | None:
        """The value of User-Agent; None without one."""
        return self.headers.get("User-Agent")

    @property
    def persistence(self) -> Persistence:
        """What the client said about the connection."""
        return persistence(self.headers.joined("Connection"), self.version)

    @property
    def expects_more(self) -> bool:
        """Whether the client is likely to send more: the body that it announced, or a pipelined request."""
        return self.content_length > 0 or not self.persistence.is_last


class Response(msgspec.Struct):
    """One response of the server, before it is known how it will be framed.

    Attributes:
        status: the status code.
        headers: the fields that belong to this response; the writer adds those of the connection.
        body: what GET is to receive. The length announced is this body's, whether it is sent or not (HEAD).
        owned_fds: descriptors to close when the response has been sent or given up.
        release: called at that moment too, to give back whatever else the response needed; None if that is nothing.
        error: what a refusal says; None for any other response.
        is_last: whether the connection ends after it, whatever the client asked.
        user: the name of the authenticated user, its octets as characters; empty for anybody.
        is_current: says whether the same request would get this same response now (``site/freshness.py``); takes the
            token of a turn. None when that cannot be said, and the response must not be cached.
    """

    status: int
    headers: Headers = msgspec.field(default_factory=Headers)
    body: Body = ()
    owned_fds: tuple[int, ...] = ()
    error: ProtocolError | None = None
    is_last: bool = False
    user: str = ""
    is_current: Callable[[int], bool] | None = None
    release: Callable[[], None] | None = None

    @property
    def content_length(self) -> int | None:
        """The length to announce; None for a response that can have no body (RFC 9110 §8.6)."""
        return None if self.status in (204, 304) else body_length(self.body)
