"""One worker for each core that this process may use: affinity, and the quotas of control groups of both kinds."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path

import pytest

from httpmini.config import Flags, load
from httpmini.daemon.workers import count_workers, read_quota
from tests.conftest import StartServer

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 - cgroup cgroup rw,cpu,cpuacct\n"
MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
CPUSET = "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
ROOT = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"

# What /proc/self/cgroup and /proc/self/mountinfo say, the files below /sys/fs/cgroup, and the quota.
CASES = {
    "v2, a tenth of a core": ("0::/a", ROOT + V2, {"a/cpu.max": "10000 100000"}, 0.1),
    "v2, one and a half": ("0::/a", V2, {"a/cpu.max": "150000 100000"}, 1.5),
    "v2, no quota": ("0::/a", V2, {"a/cpu.max": "max 100000"}, inf),
    "v2, the root group has no file": ("0::/", V2, {}, inf),
    "v2, a group around it": ("0::/a/b/c", V2, {"a/cpu.max": "20000 10000", "a/b/c/cpu.max": "max 100000"}, 2.0),
    "v2, the least counts": ("0::/a/b", V2, {"a/cpu.max": "300000 100000", "a/b/cpu.max": "100000 50000"}, 2.0),
    "v2, and the least is outside": ("0::/a/b", V2, {"a/cpu.max": "100000 100000", "a/b/cpu.max": "9 3"}, 1.0),
    "v2, a namespace of its own": ("0::/", V2, {"cpu.max": "50000 100000"}, 0.5),
    "v2, of another namespace": ("0::/../b", V2, {"cpu.max": "50000 100000", "b/cpu.max": "9 3"}, 0.5),
    "v2, a container without a namespace": (
        "0::/docker/1",
        V2.replace(" / ", " /docker/1 ", 1),
        {"cpu.max": "200000 100000"},
        2.0,
    ),
    "v2, a name with a blank": ("0::/a b", V2, {"a b/cpu.max": "200000 100000"}, 2.0),
    "v2, mounted at a name with a blank": (
        "0::/a",
        V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/my\\040groups"),
        {"my groups/a/cpu.max": "200000 100000"},
        2.0,
    ),
    "v2, nonsense": ("0::/a", V2, {"a/cpu.max": "many"}, inf),
    "v1": (
        "3:memory:/m\n2:cpu,cpuacct:/a",
        MEMORY + V1,
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "25000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
        0.25,
    ),
    "v1, no quota": (
        "2:cpu,cpuacct:/a",
        V1,
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
        inf,
    ),
    "v1, a group around it": (
        "2:cpuacct,cpu:/a/b",
        V1,
        {
            "cpu,cpuacct/a/cpu.cfs_quota_us": "300000\n",
            "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1\n",
            "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
        },
        3.0,
    ),
    "v1 beside v2 without a controller": (
        "3:cpuset:/\n2:cpu,cpuacct:/a\n0::/u",
        CPUSET + V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "100000", "cpu,cpuacct/a/cpu.cfs_period_us": "50000"},
        2.0,
    ),
    "not mounted": ("0::/a", ROOT, {"a/cpu.max": "10000 100000"}, inf),
}


def make_root(folder: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    for path, text in {
        "proc/self/cgroup": groups + "\n",
        "proc/self/mountinfo": mounts,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_the_quota_of_control_groups(tmp_path: Path, case: str) -> None:
    groups, mounts, files, quota = CASES[case]
    assert read_quota(make_root(tmp_path, groups, mounts, files)) == quota


def test_without_control_groups(tmp_path: Path) -> None:
    assert read_quota(tmp_path) == inf
    assert read_quota() > 0  # this machine, whatever it has


@pytest.mark.parametrize(("quota", "most"), [(0.1, 1), (1.0, 1), (1.5, 2), (2.0, 2), (inf, 1000)])
def test_one_worker_for_each_core_that_may_be_used(quota: float, most: int) -> None:
    cores = len(os.sched_getaffinity(0))
    assert count_workers(load(None, Flags()), quota) == min(cores, most)


def test_a_number_in_the_settings_counts(tmp_path: Path) -> None:
    file = tmp_path / "httpmini.toml"
    file.write_text(f'[server]\nworkers = 7\n[site]\nroot = "{tmp_path}"\n')
    assert count_workers(load(str(file), Flags()), 0.1) == 7


def test_the_affinity_counts(start: StartServer, site: Path) -> None:
    one = str(min(os.sched_getaffinity(0)))
    server = start(site, config='[server]\nmode = "prefork"\n', wrapper=("taskset", "-c", one))
    assert "(mode prefork, 1 workers, " in server.banner
    assert len(server.children()) == 1
