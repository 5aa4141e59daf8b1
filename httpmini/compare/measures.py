"""What a server takes of the machine: its processes are looked at several times a second, and asked at the end."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import msgspec

_LOOK_S = 0.05
_IDLE_S = 0.25  # in which a process that is idle uses no processor time
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Measures(msgspec.Struct):
    """What a server took.

    Attributes:
        processes: how many there were at most.
        threads: how many there were at most, over all processes.
        pss_kib: how much memory at most, with what is shared counted in parts; 0 if the system does not say.
        processor_s: processor time, without that of the start.
        switches: how often the kernel changed to another process or thread, without the start.
    """

    processes: int = 0
    threads: int = 0
    pss_kib: int = 0
    processor_s: float = 0.0
    switches: int = 0


def wait_until_idle(pid: int, most_s: float) -> None:
    """Wait until a process and its children do nothing, at most ``most_s`` seconds: a server loads some things late."""
    until, before = time.monotonic() + most_s, -1.0
    while time.monotonic() < until:
        stats = [_stat(one) for one in _with_children(pid)]
        used = sum(_ticks(stat) for stat in stats)
        if used == before and all(stat[:1] == ["S"] for stat in stats):
            return
        before = used
        time.sleep(_IDLE_S)


class Watch:
    """Looks at a process and those that it has started, in a thread, until it is told to end.

    Args:
        pid: the process.

    Attributes:
        measures: what was seen.
    """

    def __init__(self, pid: int) -> None:
        self.measures = Measures()
        self._pid = pid
        self._ended = threading.Event()
        self._before = _processor_s(pid), _switches(pid)
        self._thread = threading.Thread(target=self._look_often)
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def settle(self, processor_s: float, switches: int) -> None:
        """Take what the kernel tells of the process and its children when they have ended."""
        self.measures.processor_s = max(0.0, processor_s - self._before[0])
        self.measures.switches = max(0, switches - self._before[1])

    def _look_often(self) -> None:
        while not self._ended.wait(_LOOK_S):
            pids = _with_children(self._pid)
            seen = self.measures
            seen.processes = max(seen.processes, len(pids))
            seen.threads = max(seen.threads, sum(map(_threads, pids)))
            seen.pss_kib = max(seen.pss_kib, sum(map(_pss_kib, pids)))


def _with_children(pid: int) -> list[int]:
    """Return a process and its children, which have none themselves; zombies have no memory and do not count."""
    text = _read(pid, f"task/{pid}/children")
    return [pid, *(child for child in map(int, text.split()) if _read(child, "statm").split()[:1] not in ([], ["0"]))]


def _read(pid: int, name: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_text()
    return ""


def _number(text: str, name: str) -> int:
    line = next((line for line in text.splitlines() if line.startswith(name)), "")
    return int(line.split()[1]) if line else 0


def _threads(pid: int) -> int:
    return _number(_read(pid, "status"), "Threads:")


def _pss_kib(pid: int) -> int:
    return _number(_read(pid, "smaps_rollup"), "Pss:")


def _switches(pid: int) -> int:
    text = _read(pid, "status")
    return _number(text, "voluntary_ctxt_switches:") + _number(text, "nonvoluntary_ctxt_switches:")


def _stat(pid: int) -> list[str]:
    """Return what is known of a process, from its state on (proc_pid_stat(5)); nothing if it has ended."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _ticks(stat: list[str]) -> int:
    return sum(map(int, stat[11:15]))


def _processor_s(pid: int) -> float:
    return _ticks(_stat(pid)) / _TICKS_PER_S
