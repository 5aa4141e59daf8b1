"""Requests, responses and their header fields: plain frozen values.

Text in a head is kept as ``str`` decoded from ISO-8859-1, so that every octet has a character and none is lost
(RFC 1945 §2.2 lets octets above 127 stand in field values).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from httpmini.errors import ProtocolError
from httpmini.protocol.body import Body, body_length


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in their order, duplicates kept; names are compared without regard to case (RFC 9110 §5)."""

    fields: tuple[tuple[str, str], ...] = ()
    # By lower-case name: each head is asked for a dozen fields, most of which it does not have.
    _values: dict[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values: dict[str, list[str]] = {}
        for name, value in self.fields:
            values.setdefault(name.lower(), []).append(value)
        object.__setattr__(self, "_values", values)

    def all(self, name: str) -> Sequence[str]:
        """Every value of the field ``name``, in order."""
        return self._values.get(name.lower(), [])

    def get(self, name: str) -> str | None:
        """The first value of the field ``name``, or None."""
        values = self._values.get(name.lower())
        return values[0] if values else None

    def tokens(self, name: str) -> set[str]:
        """The members of a comma list, in lower case, over all fields ``name`` (RFC 9110 §5.6.1)."""
        values = self._values.get(name.lower(), ())
        return {member for value in values for part in value.split(",") if (member := part.strip(" \t").lower())}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)


@dataclass(frozen=True, slots=True)
class Request:
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
    headers: Headers = field(default_factory=Headers)
    line: str = ""
    content_length: int = 0

    @property
    def target_offset(self) -> int:
        """The byte of the request line at which the target begins."""
        return max(0, self.line.find(self.target, len(self.method)))

    @property
    def wants_keep_alive(self) -> bool:
        """Whether the client asked, in so many words, to go on after this answer.

        A 1.1 client that says nothing means to go on too, but it would take an answer without
        ``Connection: keep-alive`` from a 1.0 server as the last (RFC 9112 §9.3, §C.2.2).
        """
        options = self.headers.tokens("Connection")
        return "keep-alive" in options and "close" not in options

    @property
    def is_last(self) -> bool:
        """Whether nothing is likely to follow: a 1.0 client does not pipeline, a 1.1 client says so."""
        return self.version < (1, 1) or "close" in self.headers.tokens("Connection")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer of the server, before it is known how it will be framed.

    Attributes:
        status: the status code.
        headers: the fields that belong to this answer; the writer adds those of the connection.
        body: what GET is to receive. The length announced is this body's, whether it is sent or not (HEAD).
        owned_fds: descriptors to be closed when the answer has been sent or given up.
        error: what a refusal says; None for any other answer.
        is_last: whether the connection ends behind it, whatever the client asked.
        user: the name of the user who was let in, its octets as characters; empty for anybody.
    """

    status: int
    headers: Headers = field(default_factory=Headers)
    body: Body = ()
    owned_fds: tuple[int, ...] = ()
    error: ProtocolError | None = None
    is_last: bool = False
    user: str = ""

    @property
    def content_length(self) -> int | None:
        """The length to announce; None for an answer that can have no body (RFC 9110 §8.6)."""
        return None if self.status in (204, 304) else body_length(self.body)
