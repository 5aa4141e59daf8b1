"""The results as a list of tables, for a terminal or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.compare import bars, machine
from bench.compare.catalogue import TITLES
from bench.compare.results import Results
from bench.compare.servers import BY_NAME

MB = 1e-6
LOADED = (
    ("cpu_us", "µs/request", 1.0),
    ("per_second", "requests/s", 1.0),
    ("p50_us", "p50 µs", 1.0),
    ("p99_us", "p99 µs", 1.0),
    ("rss", "RSS MB", MB),
    ("pss", "PSS MB", MB),
)
CROWDED = (
    ("cpu_us", "µs/request", 1.0),
    ("per_second", "requests/s", 1.0),
    ("kept_share", "of workload 1", 1.0),
    ("p99_us", "p99 µs", 1.0),
    ("p99_ratio", "times p99 of 1", 1.0),
    ("more_mb", "more MB", 1.0),
)
COLUMNS = {
    "5": (
        ("mib_per_second_one", "MiB/s, one", 1.0),
        ("cpu_us_per_mib_one", "µs/MiB, one", 1.0),
        ("mib_per_second_eight", "MiB/s, eight", 1.0),
        ("cpu_us_per_mib_eight", "µs/MiB, eight", 1.0),
    ),
    "7": CROWDED,
    "8": CROWDED,
    "9": (("load_ms", "ms to load", 1.0), ("cpu_ms_per_page", "processor ms", 1.0)),
    "10": (("start_ms", "ms", 1.0),),
    "12": (
        ("ours_per_second", "httpmini/s", 1.0),
        ("theirs_per_second", "requests/s", 1.0),
        ("times_rate", "times", 1.0),
        ("ours_cpu_us", "httpmini µs", 1.0),
        ("theirs_cpu_us", "requests µs", 1.0),
        ("times_cpu", "times", 1.0),
    ),
}
SUMMARY = ("1", "2", "3", "4", "6")


@dataclass
class Table:
    """A table of strings. The first column is aligned left, the others right; the last one holds remarks."""

    title: str
    head: list[str]
    rows: list[list[str]]

    def for_terminal(self) -> str:
        """Return the table in columns; remarks may be of any length."""
        widths = [max(len(row[at]) for row in [self.head, *self.rows]) for at in range(len(self.head))]
        lines = [self.title]
        for row in [self.head, *self.rows]:
            first, *middle = (
                word.ljust(width) if at == 0 else word.rjust(width)
                for at, (word, width) in enumerate(zip(row[:-1], widths, strict=False))
            )
            lines.append("  ".join([first, *middle, row[-1]]).rstrip())
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """Return the table as Markdown, with the column of remarks only if there are any."""
        keep = len(self.head) if any(row[-1] for row in self.rows) else len(self.head) - 1
        lines = ["| " + " | ".join(row[:keep]) + " |" for row in [self.head, *self.rows]]
        lines.insert(1, "|---|" + "---:|" * (keep - 2) + ("---|" if keep == len(self.head) else "---:|"))
        return f"### {self.title}\n\n" + "\n".join(lines)


def terminal(results: Results) -> str:
    """Return all results as text for a terminal."""
    return "\n\n".join(["", _about(results), *(table.for_terminal() for table in tables(results)), _missing(results)])


def markdown(results: Results) -> str:
    """Return all results as a Markdown page."""
    parts = [f"<!-- Written by make bench. -->\n\n{_about(results)}"]
    parts += [table.as_markdown() for table in tables(results)]
    return "\n\n".join(filter(None, [*parts, _missing(results)])) + "\n"


def _about(results: Results) -> str:
    rounds = max((cell.round for cell in results.cells), default=0)
    figures = f"medians of {rounds} rounds" if rounds > 1 else "one round only: repeat before relying on it"
    named = {_product(name): version for name, version in results.machine["versions"].items() if version}
    versions = "; ".join(f"{product} {version}" for product, version in named.items())
    return f"{machine.in_words(results.machine)}; {figures}.\n{versions}."


def _product(name: str) -> str:
    """Return the name of the product without the mode or the way it is run."""
    return BY_NAME[name].label.split(",")[0]


def _missing(results: Results) -> str:
    named = [f"{BY_NAME[name].label} ({reason})" for name, reason in results.missing.items()]
    return "Missing: " + "; ".join(named) + "." if named else ""


def tables(results: Results) -> list[Table]:
    """Return every table that has rows."""
    found = [summary(results, results.servers()), _bars(results)]
    found += [_workload(results, key) for key in TITLES]
    found += [_calls(results), *_curves(results)]
    return [table for table in found if table.rows]


def summary(results: Results, servers: Sequence[str]) -> Table:
    """Return processor time per request of these servers under the workloads that wrk measures."""
    rows = []
    for server in servers:
        values = [results.median(key, server, "cpu_us") for key in SUMMARY]
        if any(value is not None for value in values):
            log = "" if BY_NAME[server].logs else "no access log"
            rows.append([BY_NAME[server].label, *map(figure, values), log])
    head = ["µs of processor per request", *(f"{key}: {SHORT[key]}" for key in SUMMARY), ""]
    return Table("Processor time", head, rows)


SHORT = {"1": "1 KiB kept", "2": "1 KiB new", "3": "4 KiB, all heads differ", "4": "100 KiB kept", "6": "304"}


def _bars(results: Results) -> Table:
    rows = []
    for each in bars.judged(results):
        must = f"{'at least' if each.bar.at_least else 'at most'} {each.bar.must:g}"
        aim = "-" if each.bar.aim is None else f"{each.bar.aim:g}"
        if each.verdict != "not measured":
            rows.append([each.bar.text, must, aim, figure(each.value), each.verdict, figure(each.beside), ""])
    return Table("Bars", ["bar", "must", "aim", "measured", "reached", "lighttpd", ""], rows)


def _workload(results: Results, key: str) -> Table:
    columns = COLUMNS.get(key, LOADED)
    rows = []
    for server in results.servers():
        if results.of(key, server):
            found = (results.median(key, server, name) for name, _, _ in columns)
            words = [figure(None if value is None else value * by[2]) for value, by in zip(found, columns, strict=True)]
            rows.append([BY_NAME[server].label, *words, results.note(key, server)])
    return Table(f"{key}. {TITLES[key]}", ["", *(title for _, title, _ in columns), ""], rows)


def _calls(results: Results) -> Table:
    rows = []
    for server, by_workload in results.calls.items():
        for key, counted in by_workload.items():
            each = ", ".join(
                f"{name} {count:g}" for name, count in counted.items() if name != "total" and count >= 0.05
            )
            rows.append([f"{BY_NAME[server].label}, {key}: {SHORT[key]}", f"{counted['total']:g}", each])
    return Table("System calls per request", ["", "all", "which"], rows)


def _curves(results: Results) -> list[Table]:
    found = []
    for kind, by_server in results.curves.items():
        points = sorted({point for curve in by_server.values() for point, _ in curve})
        rows = [
            [BY_NAME[server].label, *(figure(_at(curve, point)) for point in points), ""]
            for server, curve in by_server.items()
        ]
        head = ["µs of processor per request", *(f"{point:,.0f}" for point in points), ""]
        found.append(Table(f"11. Growth with {kind}", head, rows))
    return found


def _at(curve: list[list[float]], point: float) -> float | None:
    return next((value for x, value in curve if x == point), None)


def figure(value: float | None) -> str:
    """Return ``value`` with three significant digits, or as a whole number if that is longer."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
