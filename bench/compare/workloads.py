"""What a workload is, and those that wrk makes alone: 1, 2, 3, 4 and 6."""

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
WARM_S = 3  # workload 3 before it is measured: its pool of heads goes round once, and each file meets every cache


@dataclass
class Effort:
    """How long a cell may take, and how often single things are repeated."""

    seconds: int = 2
    repeats: int = 3
    warm: bool = True


@dataclass
class Outcome:
    """What a workload found out about a server."""

    values: dict[str, float]
    note: str = ""


def _nobody(_server: Server) -> str:
    return ""


@dataclass(frozen=True)
class Workload:
    """One of the issue's list."""

    key: str
    title: str
    run: Callable[[Running, Effort], Outcome]
    excuse: Callable[[Server], str] = _nobody  # why a server is not asked to
    once: bool = False  # who fails in the first round is not asked again: it takes long to find out


def checked(running: Running, target: str) -> str:
    """One answer with the right bytes before anything is measured; says whether connections are kept."""
    answer = running.get(target)
    if answer.status != 200:
        raise Failed(f"answers {answer.status}")
    if answer.body != site.content(running.place.root, target):
        raise Failed("answers with other bytes")
    return "" if answer.kept else "keeps no connection"


def load(
    running: Running,
    target: str,
    effort: Effort,
    fields: list[str],
    *,
    connections: int = CONNECTIONS,
    script: str = "plain.lua",
    arguments: tuple[str, ...] = (),
) -> Outcome:
    """wrk, and what it cost the server."""
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
        raise Failed(done.errors or "no answers")
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
    if effort.warm:
        wrk.run(running.url("/"), WARM_S, CONNECTIONS, [], script="heads.lua", arguments=arguments)
    return _with(note, load(running, "/", effort, [], script="heads.lua", arguments=arguments))


def medium_kept(running: Running, effort: Effort) -> Outcome:
    """4: 100 KiB, kept alive."""
    return _with(checked(running, site.MEDIUM), load(running, site.MEDIUM, effort, [KEPT]))


def not_modified(running: Running, effort: Effort) -> Outcome:
    """6: conditional requests, with whatever the server itself gave to ask by."""
    note = checked(running, site.SMALL)
    given = running.get(site.SMALL).fields
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    fields = {names[name]: given[name] for name in names if name in given}
    answer = running.get(site.SMALL, fields)
    if answer.status != 304:
        raise Failed(f"answers {answer.status} instead of 304")
    if answer.body:
        raise Failed("a 304 with a body")
    spelled = [f"{name}: {value}" for name, value in fields.items()]
    return _with(note, load(running, site.SMALL, effort, [KEPT, *spelled]))
