"""The bench: ``python -m bench.compare [--quick] [--only 1,2] [--servers select,nginx] [--rounds 3]``."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import sys
import time
from pathlib import Path

from bench.compare import calls, growth, machine, processes, readme, report, site, svg
from bench.compare.catalogue import WORKLOADS
from bench.compare.results import Results, from_json
from bench.compare.run import Plan, rounds
from bench.compare.servers import BY_NAME, OURS, PATH, SERVERS, Server
from bench.compare.workloads import Effort

RESULTS = Path(__file__).resolve().parents[1] / "results"
README = RESULTS.parents[1] / "README.md"
PARTIAL = RESULTS / "partial"  # for runs that do not cover everything: they must not replace those that do
DESCRIPTORS = 100_000
FEW = ("select", "nginx", "nginx-cache", "lighttpd")
# Some workloads run on these servers only: the variants of nginx do not differ there, and frameworks that fail take
# long.
LARGE = tuple(name for name in BY_NAME if name not in ("nginx-quiet", "nginx-cache-quiet"))
CROWD = tuple(name for name in LARGE if name not in ("http.server", "uvicorn", "waitress", "granian"))
FULL = {"5": LARGE, "7": CROWD, "8": CROWD, "9": LARGE, "10": LARGE, "12": ("nginx-cache",)}
QUICK = {
    **dict.fromkeys("3456", FEW),
    "7": ("select",),
    "8": ("select",),
    "9": (),
    "10": ("select", "http.server"),
    "12": ("nginx-cache",),
}
KEYS = [*(workload.key for workload in WORKLOADS), growth.KEY, "calls"]


def parsed() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of the most important, under two minutes")
    parser.add_argument("--full", action="store_true", help="everything (the default)")
    parser.add_argument("--only", default="", help="workloads, such as 1,2,3: " + ", ".join(KEYS))
    parser.add_argument("--servers", default="", help="servers, such as select,nginx: " + ", ".join(BY_NAME))
    parser.add_argument("--rounds", type=int, default=0, help="number of rounds (3)")
    parser.add_argument("--seconds", type=int, default=0, help="seconds of load for each cell (2)")
    parser.add_argument("--output", type=Path, help="the folder for latest.json, .md and .svg (bench/results/)")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: redraw tables and chart")
    options = parser.parse_args()
    options.only = [key for key in options.only.split(",") if key]
    part = bool((options.quick or options.only or options.servers) and not options.redraw)
    options.output = options.output or (PARTIAL if part else RESULTS)
    options.servers = [name for name in options.servers.split(",") if name]
    unknown = [name for name in options.servers if name not in BY_NAME]
    unknown += [key for key in options.only if key not in KEYS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


def planned(options: argparse.Namespace, servers: list[Server]) -> Plan:
    """Return what to measure."""
    quick = options.quick
    effort = Effort(options.seconds or (1 if quick else 2), warm=not quick)
    wide = bool(options.servers)  # servers that were named are measured everywhere they can be
    return Plan(
        servers,
        [workload for workload in WORKLOADS if not options.only or workload.key in options.only],
        options.rounds or (1 if quick else 3),
        effort,
        {} if wide else QUICK if quick else FULL,
    )


def chosen(options: argparse.Namespace, scratch: Path, results: Results) -> list[Server]:
    """Return the servers that can run here; report the others as missing."""
    found = []
    for server in SERVERS:
        if options.servers and server.name not in options.servers:
            continue
        reason = server.missing(scratch)
        if reason:
            results.missing[server.name] = reason
            print(f"missing: {server.label}: {reason}")
        else:
            found.append(server)
    return found


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, flush=True)


def prepare() -> None:
    """Pin this process to the core of the load, raise the limit of descriptors, and make signals clean up."""
    processes.pin_to(processes.LOAD_CORE)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS), max(hard, DESCRIPTORS)))
    except (OSError, ValueError):  # only root may raise the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have set it to be ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if shutil.which("wrk", path=PATH) is None:
        sys.exit("The bench needs wrk: bench/install-tools installs it.")


def extras(options: argparse.Namespace, servers: list[Server], folder: Path, root: Path, results: Results) -> None:
    """Measure what is not part of the rounds: curves and system calls."""
    if growth.KEY in options.only or not (options.quick or options.only):
        growth.measure([server for server in servers if server.name in growth.SERVERS], folder, results, say)
    if "calls" in options.only or not (options.quick or options.only):
        ours = [server for server in servers if server.name in OURS]
        calls.measure(ours, list(calls.KEYS), folder, root, results, say)


def measure(options: argparse.Namespace) -> Results:
    """Measure everything that the options ask for. After Ctrl-C, return what there is so far."""
    begin = time.monotonic()
    results = Results()
    with processes.temporary_folder() as folder:
        (folder / "scratch").mkdir()
        servers = chosen(options, folder / "scratch", results)
        results.machine = machine.describe(servers)
        root = folder / "www"
        root.mkdir()
        site.make(root)
        try:
            plan = planned(options, servers)
            if plan.workloads:
                rounds(plan, folder, root, results, say)
            extras(options, servers, folder, root, results)
        except KeyboardInterrupt:
            say("stopped; results so far:")
            options.output = PARTIAL if options.output == RESULTS else options.output
    results.machine["took_s"] = round(time.monotonic() - begin)
    return results


def write(results: Results, folder: Path) -> None:
    """Write figures, tables and chart into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    (folder / "latest.md").write_text(report.markdown(results))
    (folder / "latest.svg").write_text(svg.draw(results))
    if folder == RESULTS:
        README.write_text(readme.redrawn(README.read_text(), results))


def main() -> None:
    """Measure or load the results, print them, and write them to files."""
    options = parsed()
    if options.redraw:
        results = from_json(json.loads((options.output / "latest.json").read_text()))
    else:
        prepare()
        results = measure(options)
    write(results, options.output)
    print(report.terminal(results))


if __name__ == "__main__":
    main()
