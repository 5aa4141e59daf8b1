"""How many worker processes the settings ask for, and how many cores there are for them.

A container, or a service with ``CPUQuota=``, sees all cores of the machine but may use them for a part of the time only
(cgroups(7)). With a worker for each core that it sees, all of them would stand still together when that time is over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from math import ceil, inf
from pathlib import Path, PurePosixPath

import msgspec

from httpmini.config import Config


def count_workers(config: Config, quota: float) -> int:
    """Return ``server.workers``; if that is 0, one for each core that this process may use.

    Args:
        config: the settings.
        quota: what ``read_quota`` has returned.
    """
    return config.server.workers or max(1, min(_count_cores(), ceil(quota) if quota < inf else _count_cores()))


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_quota(root: Path = Path("/")) -> float:
    """Return how many cores' worth of time the control groups of this process allow; ``inf`` without a quota.

    A group is bound by all groups around it, too.

    Args:
        root: where /proc and /sys are.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = list(_read_mounts((root / "proc/self/mountinfo").read_text()))
    except (OSError, UnicodeDecodeError):  # not Linux, or no /proc
        return inf
    quotas = [inf]
    for line in groups:
        number, controllers, path = line.split(":", 2)
        if number == "0" or "cpu" in controllers.split(","):
            is_v2 = number == "0"
            for mount in mounts:
                if mount.is_v2 == is_v2 and (is_v2 or mount.has_cpu):
                    quotas += [_quota_of(root / str(folder).lstrip("/")) for folder in mount.folders_of(path)]
    return min(quotas)


class _Mount(msgspec.Struct, frozen=True):
    """A mounted hierarchy of control groups.

    Attributes:
        is_v2: whether it is the unified one.
        has_cpu: whether it has the controller of the older kind.
        top: the group at its mount point.
        point: its mount point.
    """

    is_v2: bool
    has_cpu: bool
    top: str
    point: str

    def folders_of(self, path: str) -> list[PurePosixPath]:
        """Return the folders of a group and of the groups around it, as far as they can be seen."""
        point = PurePosixPath(self.point)
        top, group = PurePosixPath(self.top), PurePosixPath(path)
        if ".." in group.parts or not group.is_relative_to(top):  # seen from another namespace
            return [point]
        parts = group.relative_to(top).parts
        return [point.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


def _read_mounts(text: str) -> Iterator[_Mount]:
    """Find the control groups in /proc/self/mountinfo: proc_pid_mountinfo(5)."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(kind) > 2 and kind[0] in ("cgroup", "cgroup2"):
            has_cpu = "cpu" in kind[2].split(",")
            yield _Mount(kind[0] == "cgroup2", has_cpu, _unescape(fields[3]), _unescape(fields[4]))


def _unescape(text: str) -> str:
    if "\\" not in text:  # as nearly always; the expression takes a while to compile
        return text
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _quota_of(folder: Path) -> float:
    """Return the quota of one group, in cores."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota, period = ((folder / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
        return inf if quota.strip() in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # the root group has no quota
        return inf
