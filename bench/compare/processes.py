"""Start, pin, measure and reliably stop processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = "0", "1"
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
CGROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
STOP_S = 5.0


def pin_to(core: str) -> None:
    """Pin this process and its future children to a core. Do nothing on a machine with one core."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {int(core)})


def pinned(core: str, command: list[str]) -> list[str]:
    """Return ``command`` prefixed so that it runs on ``core``."""
    return ["taskset", "-c", core, *command] if (os.cpu_count() or 1) > 1 else command


def tree(pid: int) -> list[int]:
    """Return the numbers of a process and all its descendants that still exist."""
    found = [pid]
    for task in _list(Path(f"/proc/{pid}/task")):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += tree(int(child))
    return found


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def processor_ns(pid: int) -> int:
    """Return the processor time of a process tree in user and kernel mode, including ended threads and children.

    Each process has a clock with nanosecond resolution; ``clock_getcpuclockid`` computes its number in this way. The
    time of children that were waited for comes in ticks of 10 ms, but no time is lost to rounding.
    """
    spent = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            spent += time.clock_gettime_ns((~each << 3) | 2)
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            spent += (int(fields[13]) + int(fields[14])) * TICK_NS
    return spent


@dataclass(frozen=True)
class Memory:
    """Resident memory of a process tree, in bytes.

    Attributes:
        rss: the sum over all processes; shared pages count in each.
        pss: the same with shared pages divided among the processes that share them.
    """

    rss: int = 0
    pss: int = 0


def memory(pid: int) -> Memory:
    """Return the memory that a process tree holds now."""
    rss = pss = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name == "Rss":
                    rss += int(rest.split()[0]) * 1024
                elif name == "Pss":
                    pss += int(rest.split()[0]) * 1024
    return Memory(rss, pss)


class Group:
    """A control group. It counts the processor time even of children that are never waited for."""

    def __init__(self, name: str) -> None:
        base = next((path for path in CGROUPS if (path / "cgroup.controllers").exists()), None)
        if base is None:
            raise OSError("this machine has no cgroup v2")
        self.path = base / name
        self.path.mkdir()

    def add(self, pid: int) -> None:
        """Move a process, and whatever it starts from now on, into the group."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def processor_ns(self) -> int:
        """Return the processor time that its processes have used."""
        words = (self.path / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) * 1000

    def remove(self) -> None:
        """Remove the group as soon as it is empty."""
        for _ in range(50):
            with contextlib.suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads its own session, and everything in that session."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def helper(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on the core of the load inside a ``with`` block; stop it in any case."""
    process = subprocess.Popen(
        pinned(LOAD_CORE, command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        stop(process)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a folder that other users can read, for servers that change their user; remove it afterwards."""
    path = Path(tempfile.mkdtemp(prefix="httpmini-bench-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
