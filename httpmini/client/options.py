"""How long a client waits, and how much it accepts. By default everything is bounded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits on waiting, in seconds. (``requests`` has none by default, curl none for reading, wget 900.)

    Attributes:
        connect_s: from resolving the name to a usable connection, including a proxy and TLS.
        first_byte_s: from the end of the request to the first byte of the response.
        silence_s: between two pieces of the response.
        total_s: from the start to the last byte; None for no limit.
    """

    connect_s: float = 10.0
    first_byte_s: float = 30.0
    silence_s: float = 30.0
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on what a server may send.

    Attributes:
        head_bytes: size of the head of a response.
        fields: number of its header fields.
        body_bytes: size of the body on the wire; None for no limit.
        decoded_bytes: size of the decoded body; None for no limit.
        ratio: how many times larger than the received bytes the decoded body may be, beyond its first MiB.
        redirects: how many redirections are followed.
        read_bytes: how much ``Response.read`` takes into memory.
    """

    head_bytes: int = 64 * 1024
    fields: int = 500
    body_bytes: int | None = None
    decoded_bytes: int | None = 1024**3
    ratio: int = 200
    redirects: int = 10
    read_bytes: int = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Retries:
    """When a request is repeated; only for methods that change nothing (RFC 9110 §9.2.1).

    Attributes:
        times: how many retries at most.
        first_s: seconds before the first retry; doubled each time, and randomly shortened so that many clients do not
            return at the same moment.
        most_s: the longest wait in seconds. If a server asks for a longer one (Retry-After), there is no retry.
    """

    times: int = 2
    first_s: float = 0.5
    most_s: float = 30.0
