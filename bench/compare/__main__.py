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

from bench.compare import machine, processes, report, site
from bench.compare.results import Results
from bench.compare.run import Plan, rounds
from bench.compare.servers import BY_NAME, PATH, SERVERS, Server
from bench.compare.workloads import WORKLOADS, Effort

RESULTS = Path(__file__).resolve().parents[1] / "results"
FEW = ("select", "nginx", "nginx-cache", "lighttpd")
DESCRIPTORS = 100_000
NARROW = ("3", "4", "6")  # with --quick: only for these few


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, some of it, under two minutes")
    parser.add_argument("--full", action="store_true", help="everything (this is what happens without --quick)")
    parser.add_argument("--only", default="", help="workloads, such as 1,2,3")
    parser.add_argument("--servers", default="", help="servers, such as select,nginx: " + ", ".join(BY_NAME))
    parser.add_argument("--rounds", type=int, default=0, help="how often everything is repeated (3)")
    parser.add_argument("--seconds", type=int, default=0, help="how long a cell is loaded (2)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder for latest.json, .md and .svg")
    options = parser.parse_args()
    options.only = [key for key in options.only.split(",") if key]
    options.servers = [name for name in options.servers.split(",") if name]
    unknown = [name for name in options.servers if name not in BY_NAME]
    unknown += [key for key in options.only if key not in {workload.key for workload in WORKLOADS}]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


def planned(options: argparse.Namespace, servers: list[Server]) -> Plan:
    """What to do about it."""
    quick = options.quick
    keys = options.only or [workload.key for workload in WORKLOADS]
    effort = Effort(options.seconds or (1 if quick else 2), 3 if quick else 5, warm=not quick)
    wide = bool(options.only or options.servers)
    return Plan(
        servers,
        [workload for workload in WORKLOADS if workload.key in keys],
        options.rounds or (1 if quick else 3),
        effort,
        FEW,
        () if wide or not quick else NARROW,
    )


def chosen(options: argparse.Namespace, scratch: Path, results: Results) -> list[Server]:
    """The servers that can run here; the others are named."""
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
    """A line while it goes on."""
    print(text, flush=True)


def prepare() -> None:
    """One core for the load, as many descriptors as we may have, and an end that cleans up."""
    processes.pin_to(processes.LOAD_CORE)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS), max(hard, DESCRIPTORS)))
    except (OSError, ValueError):  # only root may have more than the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if shutil.which("wrk", path=PATH) is None:
        sys.exit("The bench needs wrk: bench/install-tools installs it.")


def main() -> None:
    """Measure, print, keep."""
    options = parsed()
    prepare()
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
            rounds(planned(options, servers), folder, root, results, say)
        except KeyboardInterrupt:
            say("stopped; what there is:")
    results.machine["took_s"] = round(time.monotonic() - begin)
    print(report.terminal(results))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "latest.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")


if __name__ == "__main__":
    main()
