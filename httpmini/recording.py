"""The file that a connection is recorded in: ``serve --record`` writes it, ``httpmini replay`` reads it.

One JSON object on each line: first a ``Beginning``, then an ``Event`` whenever octets came or went. Octets are text in
ISO-8859-1, in which every octet is the character of the same number, so that heads can be read and edited.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from httpmini.errors import UsageError, visible

VERSION = 1
MOST_FILE_BYTES = 1 << 20
"""How large a recording may become; what follows is left out, and an event says so."""
MOST_FILES = 500
"""How many connections are recorded in one folder."""
SUFFIX = ".record"


class Beginning(msgspec.Struct, frozen=True):
    """The first line.

    Attributes:
        httpmini: the version of this form.
        mode: the mode that served the connection.
        wall: when it was made, in seconds since the epoch.
    """

    httpmini: int
    mode: str
    wall: float


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one side sent.

    Attributes:
        at: when, in seconds since the connection was made.
        by: which side.
        octets: what; "" is the end of the client's sending.
        blanked: whether credentials in it were replaced by asterisks.
        cut: whether the recording ends here although the connection went on.
    """

    at: float
    by: Literal["client", "server"]
    octets: str
    blanked: bool = False
    cut: bool = False

    @property
    def data(self) -> bytes:
        """The octets."""
        return self.octets.encode("iso-8859-1")


class Recording(msgspec.Struct, frozen=True):
    """One connection.

    Attributes:
        mode: the mode that served it.
        events: what was sent, in order.
    """

    mode: str
    events: tuple[Event, ...]

    @property
    def is_blanked(self) -> bool:
        """Whether it had credentials."""
        return any(event.blanked for event in self.events)

    @property
    def is_cut(self) -> bool:
        """Whether its end is missing."""
        return any(event.cut for event in self.events)

    def said(self, by: str) -> bytes:
        """Return all octets of one side."""
        return b"".join(event.data for event in self.events if event.by == by)


def line_of(part: Beginning | Event) -> bytes:
    """Return a line of the file."""
    return msgspec.json.encode(part) + b"\n"


def read_recording(path: Path) -> Recording:
    """Read a file.

    Raises:
        UsageError: it cannot be read, or is no recording.
    """
    try:
        with path.open("rb") as file:
            data = file.read(2 * MOST_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{visible(str(path))}: cannot be read: {error.strerror}") from error
    if len(data) > 2 * MOST_FILE_BYTES:
        raise UsageError(f"{visible(str(path))}: is larger than any recording ({2 * MOST_FILE_BYTES:,} bytes)")
    first, *rest = data.splitlines() or [b""]
    try:
        beginning = msgspec.json.decode(first, type=Beginning)
    except msgspec.DecodeError as error:
        raise UsageError(f"{visible(str(path))}: is no recording of serve --record: {error}") from error
    if beginning.httpmini != VERSION:
        raise UsageError(f"{visible(str(path))}: has form {beginning.httpmini}; this httpmini reads form {VERSION}")
    return Recording(beginning.mode, tuple(_events(path, rest)))


def _events(path: Path, lines: Iterable[bytes]) -> Iterable[Event]:
    for number, line in enumerate(lines, 2):
        try:
            event = msgspec.json.decode(line, type=Event)
            event.octets.encode("iso-8859-1")
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise UsageError(f"{visible(str(path))}:{number}: is no event: {error}") from error
        yield event
