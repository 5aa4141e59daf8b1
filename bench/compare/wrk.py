"""Run wrk and parse its output."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.compare.processes import LOAD_CORE, pinned

LUA = Path(__file__).parent / "load"
TIMEOUT_S = 10  # for one response


@dataclass(frozen=True)
class Load:
    """The result of one run of wrk.

    Attributes:
        requests: how many responses arrived, without those that wrk counts as errors.
        seconds: how long the run took.
        p50_us: the median of the latency, in microseconds.
        p99_us: its 99th percentile.
        errors: the number and kinds of errors; "" if there were none.
    """

    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    errors: str

    @property
    def per_second(self) -> float:
        """Return responses per second."""
        return self.requests / self.seconds if self.seconds else 0.0


def run(
    url: str,
    seconds: int,
    connections: int,
    fields: list[str],
    *,
    script: str = "plain.lua",
    arguments: tuple[str, ...] = (),
    meanwhile: Callable[[], None] = lambda: None,
) -> Load:
    """Put a server under load; call ``meanwhile`` when half of the time is over."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"--timeout={TIMEOUT_S}s"]
    command += ["-s", str(LUA / script)]
    for field in fields:
        command += ["-H", field]
    with subprocess.Popen(
        pinned(LOAD_CORE, [*command, url, "--", *arguments]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            time.sleep(seconds / 2)
            meanwhile()
            out = process.communicate(timeout=seconds + 30)[0].decode()
        finally:
            process.kill()
    return parse(out)


def parse(out: str) -> Load:
    """Parse the line that the Lua scripts print."""
    line = re.search(r"^RESULT (.*)$", out, re.MULTILINE)
    if line is None:
        return Load(0, 0.0, 0.0, 0.0, f"wrk: {out.strip().splitlines()[-1] if out.strip() else 'no output'}")
    values = {name: float(value) for name, value in (pair.split("=") for pair in line[1].split())}
    kinds = ("connect", "read", "write", "timeout", "status")
    errors = ", ".join(f"{values[kind]:.0f} {kind}" for kind in kinds if values[kind])
    requests = int(values["requests"] - values["status"])
    return Load(requests, values["duration_us"] / 1e6, values["p50_us"], values["p99_us"], errors)
