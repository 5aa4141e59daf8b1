"""Workloads 7 and 8: the throughput of workload 1 beside a crowd of other connections."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

from bench.compare import site
from bench.compare.processes import helper
from bench.compare.running import Failed, Running
from bench.compare.servers import Server
from bench.compare.workloads import KEPT, Effort, Outcome, checked, load

SCRIPTS = Path(__file__).parent / "load"
IDLE, SLOW = 9000, 500
OPEN_S = 20.0
ENOUGH = 0.99  # the share of the crowd that has to be connected, and still connected at the end


def _line(process: subprocess.Popen[bytes], word: str, seconds: float) -> tuple[int, str]:
    """Read a line of a helper; return the number after ``word``, and the rest."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise Failed(f"the crowd is not {word} after {seconds:.0f} s")
    words = process.stdout.readline().decode().split(maxsplit=2)
    if len(words) < 2 or words[0] != word:
        raise Failed("the crowd has broken down")
    return int(words[1]), words[2].strip() if len(words) > 2 else ""


def _compared(running: Running, effort: Effort, script: str, target: str, count: int) -> Outcome:
    """Measure workload 1 alone, then beside the crowd; return the ratios of the two."""
    alone = load(running, site.SMALL, effort, [KEPT])
    before = running.memory()
    command = [sys.executable, str(SCRIPTS / script), str(running.port), running.path(target), str(count)]
    with helper(command) as process:
        ready, reason = _line(process, "ready", OPEN_S)
        if ready < count * ENOUGH:
            raise Failed(f"{ready} of {count} connections: {reason}")
        after = running.memory()
        crowded = load(running, site.SMALL, effort, [KEPT])
        assert process.stdin is not None
        process.stdin.close()
        alive, _ = _line(process, "alive", OPEN_S)
    values = {
        **crowded.values,
        "kept_share": crowded.values["per_second"] / alone.values["per_second"],
        "cpu_ratio": crowded.values["cpu_us"] / alone.values["cpu_us"],
        "p99_ratio": crowded.values["p99_us"] / max(alone.values["p99_us"], 1.0),
        "more_mb": (after.pss - before.pss) / 1e6,
    }
    few = f"only {alive} of {count} are served at the end" if alive < count * ENOUGH else ""
    return Outcome(values, "; ".join(filter(None, (few, crowded.note))))


def idle(running: Running, effort: Effort) -> Outcome:
    """7: workload 1 with 9,000 idle kept connections."""
    note = checked(running, site.SMALL)
    if note:
        raise Failed(note)
    return _compared(running, effort, "idle.py", site.SMALL, IDLE)


def slow(running: Running, effort: Effort) -> Outcome:
    """8: workload 1 while 500 clients read a large file slowly."""
    checked(running, site.SMALL)
    return _compared(running, effort, "slow.py", site.HUGE, SLOW)


def no_processes(server: Server) -> str:
    """Return why a server is not measured with nine thousand idle connections; "" if it is."""
    return "not asked: a process for each client" if server.per_client else ""


def no_turns(server: Server) -> str:
    """Return why a server is not measured with slow readers; "" if it is."""
    return "not asked: one after another, so a slow reader holds up all" if server.in_turn else ""
