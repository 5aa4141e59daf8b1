"""What a trace tells of connections: the kinds of events, and a recording of them that can be kept in a file."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from httpmini.errors import UsageError, visible

FORMAT = "httpmini-trace-1"
# The kernel's estimates are steps of its clock, up to 10 ms: less than this is no wait.
LEAST_WAIT_S = 0.02


class Kind(IntEnum):
    """What has happened on a connection, and what the value of the event means."""

    ACCEPTED = 1  # value: milliseconds that it was in the backlog, as the kernel estimates; 0 if it cannot say
    SLOT = 2
    REFUSED = 3
    TAKEN = 4  # value: the number of the thread that serves it from now on; a process has that of its main thread
    FIRST_BYTE = 5  # value: milliseconds since its last bytes have arrived in the kernel, as the kernel estimates
    HEAD = 6  # value: as for FIRST_BYTE
    FILE = 7
    FIRST_OUT = 8  # value: bytes that the kernel took
    LAST_OUT = 9
    BLOCKED = 10  # value: how often it was blocked since the event before
    LINGERING = 11
    CLOSED = 12  # value: an End
    ASKED = 13  # FIRST_BYTE and HEAD in one step, as most heads come; value: as for FIRST_BYTE
    ANSWERED = 14  # FIRST_OUT and LAST_OUT in one step


class End(IntEnum):
    """Which side ended a connection."""

    CLIENT = 1
    SERVER = 2
    TIMEOUT = 3
    BROKEN = 4


ENDED_BY = {
    End.CLIENT: "the client closed it",
    End.SERVER: "the server closed it after its last response",
    End.TIMEOUT: "the server closed it after a time limit, or to make room",
    End.BROKEN: "it broke",
}
# What stands for two.
_STEPS = {Kind.ASKED: (Kind.FIRST_BYTE, Kind.HEAD), Kind.ANSWERED: (Kind.FIRST_OUT, Kind.LAST_OUT)}


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One event.

    Attributes:
        at: when, in seconds since the beginning of the trace.
        kind: a ``Kind``.
        value: what that says.
    """

    at: float
    kind: Kind
    value: int = 0


class Conversation(msgspec.Struct, frozen=True):
    """The events of one connection.

    Attributes:
        number: its serial number in the trace, from 1.
        host: the client's address.
        port: the client's port.
        lost: how many events there was no room for; they are missing between the first few and the rest.
        events: in the order in which they happened.
    """

    number: int
    host: str
    port: int
    lost: int
    events: list[Event]

    @property
    def single_events(self) -> list[Event]:
        """The events, with two for each that stands for two; the value belongs to the first of them."""
        return [
            Event(one.at, kind, 0 if which else one.value)
            for one in self.events
            for which, kind in enumerate(_STEPS.get(one.kind, (one.kind,)))
        ]


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """All that a trace has kept.

    Attributes:
        format: ``FORMAT``.
        mode: the mode at the start of the server.
        max_clients: how many clients it served at the same time.
        overflow: what became of others: "queue" or "refuse".
        wall: when the trace began, in seconds since the epoch.
        seconds: how long it has lasted.
        total: how many connections there were; those that are missing were the first.
        connections: the last ones, in the order in which they were accepted.
    """

    format: str
    mode: str
    max_clients: int
    overflow: str
    wall: float
    seconds: float
    total: int
    connections: list[Conversation]


def read_recording(octets: bytes, name: str) -> Recording:
    """Return what a file contains that ``serve --trace`` has written.

    Args:
        octets: its content.
        name: its name, for the error.

    Raises:
        UsageError: it is no such file.
    """
    try:
        recording = msgspec.json.decode(octets, type=Recording)
    except msgspec.DecodeError as error:
        raise UsageError(
            f"{visible(name)} is not a trace: {error}; serve --trace FILE writes one at its end"
        ) from error
    if recording.format != FORMAT:
        raise UsageError(f"{visible(name)} is a trace of another format: {visible(recording.format)}, not {FORMAT}")
    return recording
