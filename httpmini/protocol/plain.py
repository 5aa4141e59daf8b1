"""The quick way through a request head: one expression for a whole head with nothing unusual in it, as most are.

What it reads is kept as it was captured. A response that is cached depends on no more than that, and the access log
quotes no more, so a ``Request`` is made only for those who ask for one.
"""

from __future__ import annotations

import msgspec

from httpmini.protocol import grammar
from httpmini.protocol.message import Headers, Request
from httpmini.protocol.reader import HeadLimits

_VERSIONS = {"0": (1, 0), "1": (1, 1)}


class PlainHead(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A head that has no condition, no range and no body, and in which the values below need no quoting in a log.

    Attributes:
        text: all of it, an octet for each character.
        line: the request line, without its line end.
        resource: the method, a blank, and the path without its query.
        minor: the minor version, as a digit.
        host: the value of Host.
        connection: the value of Connection; None without that field, as for the next two.
        referer: the value of Referer.
        user_agent: the value of User-Agent.
    """

    text: str
    line: str
    resource: str
    minor: str
    host: str
    connection: str | None
    referer: str | None
    user_agent: str | None

    @property
    def method(self) -> str:
        """The method."""
        return self.resource.partition(" ")[0]

    @property
    def target(self) -> str:
        """The request target."""
        return self.line.split(" ")[1]

    @property
    def query(self) -> str:
        """What follows the question mark of the target; "" without one."""
        return self.target.partition("?")[2]

    @property
    def version(self) -> tuple[int, int]:
        """(1, 0) or (1, 1)."""
        return _VERSIONS[self.minor]

    @property
    def request(self) -> Request:
        """The same as a request."""
        return Request(self.method, self.target, self.version, Headers.from_lines(self.text), self.line)


class PlainReader:
    """Reads plain heads.

    Args:
        limits: how large a head may be.
    """

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._match = grammar.plain_head(limits.fields).fullmatch

    def read(self, data: bytes) -> PlainHead | None:
        """Return the head in ``data`` if that is exactly one whole head, and plain.

        None says nothing: ``RequestReader`` finds out what it is. Where both read a request, they read equal ones.
        """
        text = data.decode("iso-8859-1")
        match, limits = self._match(text), self._limits
        if match is None or len(text) > limits.head_bytes:
            return None
        head = PlainHead(text, *match.groups())
        if len(head.line) > limits.target_bytes and len(head.target) > limits.target_bytes:
            return None
        return head
