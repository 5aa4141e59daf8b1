"""The type of a workload, and the workloads that need only wrk: 1, 2, 3, 4 and 6."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.compare import site, wrk
from bench.compare.processes import Memory
from bench.compare.running import Failed, Running
from bench.compare.servers import Server

KEPT = "Connection: keep-alive"
CLOSED = "Connection: close"
CONNECTIONS = 32
HEADS = 30_000  # in the pool of workload 3
WARM_S = 1  # before anything is measured: what a server does once, soon after its start, is no part of a request
HEADS_WARM_S = 3  # before workload 3: the pool of heads is used once, and each file gets into every cache


@dataclass
class Effort:
    """How much time to spend on a cell.

    Attributes:
        seconds: how long the load lasts.
        repeats: how often single operations, such as a start, are repeated.
        warm: whether to warm up first.
    """

    seconds: int = 2
    repeats: int = 3
    warm: bool = True


@dataclass
class Outcome:
    """The values that a workload has measured, and a remark for the table."""

    values: dict[str, float]
    note: str = ""


def _no_excuse(_server: Server) -> str:
    return ""


@dataclass(frozen=True)
class Workload:
    """A workload.

    Attributes:
        key: its number.
        title: its title in tables.
        run: measures one cell.
        excuse: returns why a server is not measured under this workload; "" if it is.
        once: whether a server that fails in the first round is not tried again, because failing takes long.
    """

    key: str
    title: str
    run: Callable[[Running, Effort], Outcome]
    excuse: Callable[[Server], str] = _no_excuse
    once: bool = False


def checked(running: Running, target: str) -> str:
    """Check one response byte by byte before anything is measured.

    Returns:
        A remark if the server does not keep connections, else "".

    Raises:
        Failed: the response is not the file.
    """
    response = running.get(target)
    if response.status != 200:
        raise Failed(f"responds with {response.status}")
    if response.body != site.content(running.place.root, target):
        raise Failed("responds with other bytes")
    return "" if response.kept else "keeps no connection"


def load(
    running: Running,
    target: str,
    effort: Effort,
    fields: list[str],
    *,
    connections: int = CONNECTIONS,
    script: str = "plain.lua",
    arguments: tuple[str, ...] = (),
    warm_s: int = WARM_S,
) -> Outcome:
    """Run wrk against a server, and measure what that costs the server."""
    if effort.warm:
        wrk.run(running.url(target), warm_s, connections, fields, script=script, arguments=arguments)
    seen = [Memory()]

    def look() -> None:
        seen[0] = running.memory()

    before = running.settled_ns()
    done = wrk.run(
        running.url(target),
        effort.seconds,
        connections,
        fields,
        script=script,
        arguments=arguments,
        meanwhile=look,
    )
    spent = running.settled_ns() - before
    if not done.requests:
        raise Failed(done.errors or "no responses")
    values = {
        "cpu_us": spent / 1000 / done.requests,
        "per_second": done.per_second,
        "p50_us": done.p50_us,
        "p99_us": done.p99_us,
        "rss": float(seen[0].rss),
        "pss": float(seen[0].pss),
    }
    return Outcome(values, f"errors: {done.errors}" if done.errors else "")


def _with(note: str, outcome: Outcome) -> Outcome:
    outcome.note = "; ".join(filter(None, (note, outcome.note)))
    return outcome


def small_kept(running: Running, effort: Effort) -> Outcome:
    """1: 1 KiB, kept alive."""
    return _with(checked(running, site.SMALL), load(running, site.SMALL, effort, [KEPT]))


def small_new(running: Running, effort: Effort) -> Outcome:
    """2: 1 KiB, a new connection each."""
    checked(running, site.SMALL)
    return load(running, site.SMALL, effort, [CLOSED])


def many_heads(running: Running, effort: Effort) -> Outcome:
    """3: 10,000 files of 4 KiB, skewed, heads that all differ."""
    note = checked(running, f"/many/{site.MANY - 1:05}.html")
    for path in (running.place.root / "many").iterdir():
        site.into_memory(path)
    arguments = (running.server.prefix or "", str(site.MANY), str(HEADS))
    outcome = load(running, "/", effort, [], script="heads.lua", arguments=arguments, warm_s=HEADS_WARM_S)
    return _with(note, outcome)


def medium_kept(running: Running, effort: Effort) -> Outcome:
    """4: 100 KiB, kept alive."""
    return _with(checked(running, site.MEDIUM), load(running, site.MEDIUM, effort, [KEPT]))


def not_modified(running: Running, effort: Effort) -> Outcome:
    """6: conditional requests, with the validators that the server itself returned."""
    note = checked(running, site.SMALL)
    given = running.get(site.SMALL).fields
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    fields = {names[name]: given[name] for name in names if name in given}
    response = running.get(site.SMALL, fields)
    if response.status != 304:
        raise Failed(f"responds with {response.status} instead of 304")
    if response.body:
        raise Failed("a 304 with a body")
    spelled = [f"{name}: {value}" for name, value in fields.items()]
    return _with(note, load(running, site.SMALL, effort, [KEPT, *spelled]))
