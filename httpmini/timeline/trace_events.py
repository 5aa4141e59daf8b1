"""A recording in the Trace Event Format, which Perfetto and Chrome's tracing draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from httpmini.server.core.events import ENDED_BY, Conversation, End, Event, Kind, Recording
from httpmini.timeline.bars import bar_of

_PROCESS = 1  # each connection is a row, whichever process served it


def to_trace_events(recording: Recording) -> bytes:
    """Return a JSON object; times in it are microseconds."""
    events = [event for one in recording.connections for event in _events(one, recording)]
    name = _named("process_name", 0, f"httpmini, mode {recording.mode}")
    return msgspec.json.encode({"traceEvents": [name, *events], "displayTimeUnit": "ms"}) + b"\n"


def _named(what: str, row: int, name: str) -> dict[str, Any]:
    """Return the event that gives a process or a thread its name; its time means nothing, and some readers want one."""
    return {"name": what, "ph": "M", "pid": _PROCESS, "tid": row, "ts": 0, "args": {"name": name}}


def _events(one: Conversation, recording: Recording) -> Iterator[dict[str, Any]]:
    bar = bar_of(one, recording)
    row = {"pid": _PROCESS, "tid": one.number}
    yield _named("thread_name", one.number, bar.name)
    for span in bar.spans:
        times = {"ts": _micro(span.start), "dur": _micro(span.end) - _micro(span.start)}
        yield {"name": span.state.text, "cat": span.state.name, "ph": "X", **row, **times}
    for event in one.single_events:
        yield {"name": _say(event), "ph": "i", "s": "t", **row, "ts": _micro(event.at), "args": {"value": event.value}}


def _say(event: Event) -> str:
    if event.kind is Kind.CLOSED and event.value:
        return f"closed: {ENDED_BY[End(event.value)]}"
    return event.kind.name.lower().replace("_", " ")


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)
