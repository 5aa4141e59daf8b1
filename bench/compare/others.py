"""Workloads 5 (a large file), 9 (a page in a browser) and 10 (start-up)."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import statistics
import time

from bench.compare import reader, site
from bench.compare.running import Failed, Running, started
from bench.compare.workloads import Effort, Outcome

MIB = 2**20
CHROMIUM = ("--no-sandbox", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
ENTRIES = """() => { const page = performance.getEntriesByType('navigation')[0];
  const files = performance.getEntriesByType('resource');
  return [page.loadEventEnd, files.filter(file => file.responseStatus === 200).length]; }"""


def large(running: Running, effort: Effort) -> Outcome:
    """5: 1 GiB, one and eight connections."""
    running.get(site.SMALL)
    site.into_memory(running.place.root / site.HUGE[1:])
    values = {}
    for name, connections in (("one", 1), ("eight", 8)):
        before = running.settled_ns()
        got, took = reader.read(running, site.HUGE, site.HUGE_SIZE, connections, max(1.0, effort.seconds * 0.75))
        spent = running.settled_ns() - before
        if not got:
            raise Failed("received no bytes")
        values[f"mib_per_second_{name}"] = got / took / MIB
        values[f"cpu_us_per_mib_{name}"] = spent / 1000 / (got / MIB)
    return Outcome(values)


def browser(running: Running, effort: Effort) -> Outcome:
    """9: a page with 50 files in Chromium, a fresh context each time."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise Failed("playwright is not installed") from error
    program = shutil.which("chromium")
    if program is None:
        raise Failed("chromium is not installed")
    times = []
    before = running.settled_ns()
    try:
        with sync_playwright() as api:
            chromium = api.chromium.launch(executable_path=program, args=list(CHROMIUM))
            for _ in range(effort.repeats):
                context = chromium.new_context()
                page = context.new_page()
                page.goto(running.url(site.PAGE), wait_until="load", timeout=15_000)
                page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
                took_ms, files = page.evaluate(ENTRIES)
                if files != site.PAGE_FILES:
                    raise Failed(f"{files} of {site.PAGE_FILES} files arrived")
                times.append(float(took_ms))
                context.close()
            chromium.close()
    except Error as error:
        raise Failed(f"Chromium: {str(error).splitlines()[0]}") from error
    spent = running.settled_ns() - before
    return Outcome({"load_ms": statistics.median(times), "cpu_ms_per_page": spent / 1e6 / len(times)})


def start_up(running: Running, effort: Effort) -> Outcome:
    """10: process start to first response. ``running`` only says which server; fresh ones are started."""
    times = []
    for number in range(effort.repeats):
        folder = running.place.folder / f"start-{time.monotonic_ns()}-{number}"
        begin = time.monotonic()
        with started(running.server, folder, running.place.root, wait=False) as fresh:
            _wait_for_response(fresh, begin + 20)
            times.append((time.monotonic() - begin) * 1000)
    return Outcome({"start_ms": statistics.median(times)})


def _wait_for_response(running: Running, ends: float) -> None:
    while time.monotonic() < ends:
        with contextlib.suppress(ConnectionError, http.client.BadStatusLine):
            if running.get(site.SMALL).status == 200:
                return
        if running.process.poll() is not None:
            raise Failed(f"ended at once: {running.last_words()}")
        time.sleep(0.001)
    raise Failed("no response after 20 s")
