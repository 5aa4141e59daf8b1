"""Workload 12: our client beside requests, small files over one kept connection."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.compare import site
from bench.compare.running import Failed, Running
from bench.compare.workloads import Effort, Outcome, checked
from httpmini.client.client import Client

PARTS = 5  # in each round, so that other load on the machine meets both alike
OURS, THEIRS = 1000, 200  # requests of one part


@dataclass(frozen=True)
class Spent:
    """What one request took, in microseconds."""

    wall: float
    cpu: float


def spent(fetch: Callable[[str], bytes], url: str, count: int) -> Spent:
    """Fetch ``url`` so many times, and return what each request took."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        fetch(url)
    took, used = time.perf_counter() - wall, time.process_time() - cpu
    return Spent(took / count * 1e6, used / count * 1e6)


def small_files(running: Running, effort: Effort) -> Outcome:
    """12: 1 KiB over one kept connection, by ``Client`` and by ``requests.Session``, in turn."""
    try:
        import requests
    except ImportError as error:
        raise Failed("the Python module requests is not installed") from error
    checked(running, site.SMALL)
    url = running.url(site.SMALL)
    with Client() as ours, requests.Session() as theirs:
        pairs = [
            (
                spent(lambda url: theirs.get(url, timeout=10).content, url, THEIRS),
                spent(lambda url: ours.fetch(url).read(), url, OURS),
            )
            for _ in range(PARTS * max(1, effort.repeats // 3))
        ]
    return Outcome(
        {
            "ours_per_second": 1e6 / statistics.median(one.wall for _, one in pairs),
            "theirs_per_second": 1e6 / statistics.median(one.wall for one, _ in pairs),
            "times_rate": statistics.median(theirs.wall / ours.wall for theirs, ours in pairs),
            "ours_cpu_us": statistics.median(one.cpu for _, one in pairs),
            "theirs_cpu_us": statistics.median(one.cpu for one, _ in pairs),
            "times_cpu": statistics.median(theirs.cpu / ours.cpu for theirs, ours in pairs),
        }
    )
