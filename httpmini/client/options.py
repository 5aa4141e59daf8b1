"""How long a client waits, and how much it takes. Everything has an end by default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits on waiting, in seconds. (``requests`` has none by default, curl none for reading, wget 900.)

    Attributes:
        connect_s: from the name to a connection that can be used, TLS and a proxy included.
        first_byte_s: from the end of the request to the first byte of the answer.
        silence_s: between two pieces of the answer.
        total_s: from the beginning to the last byte; None for none.
    """

    connect_s: float = 10.0
    first_byte_s: float = 30.0
    silence_s: float = 30.0
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on what a server may send.

    Attributes:
        head_bytes: the head of an answer.
        fields: the number of its header fields.
        body_bytes: the body as it comes over the wire; None for none.
        decoded_bytes: the same after decoding; None for none.
        ratio: how many times larger than what came the decoded body may be, beyond its first MiB.
        redirects: how many redirections are followed.
        read_bytes: what ``Response.read`` takes into memory.
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
    """When a request is made again: only for methods that change nothing (RFC 9110 §9.2.1).

    Attributes:
        times: how often at most, beyond the first time.
        first_s: seconds before the first; doubled each time, and shortened by chance, so that many clients do not come
            back at one moment.
        most_s: the longest wait. A server that asks for a longer one (Retry-After) gets no second request.
    """

    times: int = 2
    first_s: float = 0.5
    most_s: float = 30.0
