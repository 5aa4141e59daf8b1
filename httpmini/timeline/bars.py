"""Events become bars: for each connection, what it waited for and how long."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from httpmini.server.core.events import ENDED_BY, LEAST_WAIT_S, Conversation, End, Event, Kind, Recording


class State(msgspec.Struct, frozen=True):
    """A state of a connection.

    Attributes:
        name: as in the styles of the pages.
        text: for people.
        mark: for a terminal.
        waits: whether it waits for other clients in it.
    """

    name: str
    text: str
    mark: str
    waits: bool = False


BACKLOG = State("backlog", "in the backlog, not served yet", ".", waits=True)
STARTS = State("starts", "its process or thread is starting", "~", waits=True)
OWN = State("own", "the server waits for the client", "-")
WAITS = State("waits", "has sent its request, waits for others", "!", waits=True)
ANSWER = State("answer", "is receiving its response", "#")
STATES = (BACKLOG, WAITS, STARTS, OWN, ANSWER)
REFUSED_MARK = "x"


class Span(msgspec.Struct, frozen=True):
    """A time in one state; both ends are seconds since the beginning of the trace."""

    state: State
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


class Bar(msgspec.Struct, frozen=True):
    """One connection.

    Attributes:
        name: the client.
        manner: "quick", "slow" or "silent", where that is known.
        spans: what it did, in order.
        refused_at: when it was refused; None if it was not.
        end: which side ended it, in a few words.
        process: the number of the thread that served it; 0 if none did.
        lost: how many events are missing.
        responses: how many responses it got.
    """

    name: str
    manner: str
    spans: list[Span]
    refused_at: float | None
    end: str
    process: int
    lost: int = 0
    responses: int = 0

    @property
    def start(self) -> float:
        """When it began."""
        return self.spans[0].start if self.spans else self.refused_at or 0.0

    @property
    def last(self) -> float:
        """When it ended, or was last seen."""
        return self.spans[-1].end if self.spans else self.refused_at or 0.0

    @property
    def waited_s(self) -> float:
        """How long it waited for other clients."""
        return sum(span.seconds for span in self.spans if span.state.waits)


def bars_of(recording: Recording) -> list[Bar]:
    """Return a bar for each connection that is kept."""
    return [bar_of(one, recording) for one in recording.connections]


def bar_of(one: Conversation, recording: Recording) -> Bar:
    """Return the bar of one connection of a recording."""
    now, after_slot = recording.seconds, STARTS if recording.mode in _STARTING else BACKLOG
    events = one.single_events
    of_kind = {event.kind: event for event in events}
    refused, closed, taken = (of_kind.get(kind) for kind in (Kind.REFUSED, Kind.CLOSED, Kind.TAKEN))
    end = "still open" if closed is None else ENDED_BY[End(closed.value)] if closed.value else "ended"
    return Bar(
        name=f"{one.host}:{one.port}" if one.port else one.host,
        manner="quick",
        spans=[span for span in _spans(events, now, after_slot) if span.end > span.start],
        refused_at=refused.at if refused else None,
        end=end,
        process=taken.value if taken else 0,
        lost=one.lost,
        responses=sum(event.kind is Kind.LAST_OUT for event in events),
    )


_STARTING = ("forking", "threading")
# What a connection does after an event; after SLOT that depends on the mode.
_AFTER = {
    Kind.REFUSED: OWN,
    Kind.TAKEN: OWN,
    Kind.FIRST_BYTE: OWN,
    Kind.HEAD: ANSWER,
    Kind.LAST_OUT: OWN,
    Kind.LINGERING: OWN,
}
_REFUSED = {Kind.REFUSED: OWN}


def _spans(events: list[Event], now: float, after_slot: State) -> Iterator[Span]:
    follow = {**_AFTER, Kind.SLOT: after_slot} if all(event.kind is not Kind.REFUSED for event in events) else _REFUSED
    state, since = BACKLOG, 0.0
    for event in events:
        if event.kind is Kind.ACCEPTED:
            since = max(0.0, event.at - event.value / 1000)
            continue
        after = follow.get(event.kind, state)
        if event.kind in (Kind.FIRST_BYTE, Kind.HEAD) and event.value / 1000 >= LEAST_WAIT_S and state is OWN:
            arrived = max(since, event.at - event.value / 1000)
            yield Span(state, since, arrived)
            state, since = WAITS, arrived
        if event.kind is Kind.CLOSED:
            yield Span(state, since, event.at)
            return
        if after is not state:
            yield Span(state, since, event.at)
            state, since = after, event.at
    yield Span(state, since, max(now, since))
