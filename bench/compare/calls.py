"""System calls per request of each mode. strace counts them in separate runs, because it slows everything down."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.compare import processes, site, wrk
from bench.compare.results import Results
from bench.compare.running import Failed, Running, started
from bench.compare.servers import Server
from bench.compare.workloads import CLOSED, CONNECTIONS, HEADS, KEPT

ATTACH_S = 0.5
SECONDS = 2
KEYS = ("1", "2", "3", "4")


@contextlib.contextmanager
def counting(running: Running, out: Path) -> Iterator[None]:
    """Write the number of system calls of a server, and of the processes it starts, into the file ``out``."""
    command = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(out)]
    for pid in processes.tree(running.process.pid):
        command += ["-p", str(pid)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        time.sleep(ATTACH_S)
        if process.poll() is not None:
            raise Failed("strace is not permitted to attach here")
        yield
        process.send_signal(signal.SIGINT)
        process.wait(10)
    finally:
        process.kill()
        process.wait()


def parsed(text: str) -> dict[str, int]:
    """Return the number of calls by name."""
    rows = (line.split() for line in text.splitlines())
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit() and row[1] != "total"}


def of(running: Running, key: str, out: Path) -> dict[str, float]:
    """Return system calls per request under a workload, the most frequent first."""
    target = {"3": "/", "4": site.MEDIUM}.get(key, site.SMALL)
    fields = [] if key == "3" else [CLOSED if key == "2" else KEPT]
    arguments = (running.server.prefix, str(site.MANY), str(HEADS)) if key == "3" else ()
    script = "heads.lua" if key == "3" else "plain.lua"
    with counting(running, out):
        done = wrk.run(running.url(target), SECONDS, CONNECTIONS, fields, script=script, arguments=arguments)
    if not done.requests:
        raise Failed(done.errors or "no responses")
    found = {name: count / done.requests for name, count in parsed(out.read_text()).items()}
    shown = {name: round(count, 2) for name, count in sorted(found.items(), key=lambda row: -row[1]) if count >= 0.005}
    return {"total": round(sum(found.values()), 2), **shown}


def measure(
    servers: list[Server], keys: list[str], folder: Path, root: Path, results: Results, say: Callable[[str], None]
) -> None:
    """Count the system calls of each server under each of the workloads ``keys``."""
    if shutil.which("strace") is None:
        say("missing: strace; no system calls are counted")
        return
    for server in servers:
        for key in keys:
            place = folder / f"calls-{server.name}-{key}"
            try:
                with started(server, place, root) as running:
                    counted = of(running, key, place / "strace")
            except (OSError, Failed, subprocess.SubprocessError) as error:
                say(f"  calls {key} {server.name}: {error}")
                continue
            results.calls.setdefault(server.name, {})[key] = counted
            say(f"  calls {key} {server.name:18} " + ", ".join(f"{name} {value:g}" for name, value in counted.items()))
