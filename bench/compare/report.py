"""The results as tables."""

from __future__ import annotations

from bench.compare import machine
from bench.compare.results import Results
from bench.compare.servers import BY_NAME
from bench.compare.workloads import WORKLOADS

COLUMNS = (
    ("cpu_us", "µs/request", 1.0),
    ("per_second", "requests/s", 1.0),
    ("p50_us", "p50 µs", 1.0),
    ("p99_us", "p99 µs", 1.0),
    ("pss", "MB", 1e-6),
)


def terminal(results: Results) -> str:
    """Everything, to be read at once."""
    parts = ["", machine.in_words(results.machine)]
    for workload in WORKLOADS:
        if any(cell.workload == workload.key for cell in results.cells):
            parts += ["", f"{workload.key}. {workload.title}", *_rows(results, workload.key)]
    return "\n".join(parts)


def _rows(results: Results, key: str) -> list[str]:
    lines = [f"{'':34}" + "".join(f"{title:>12}" for _, title, _ in COLUMNS)]
    for server in results.servers():
        if not results.of(key, server):
            continue
        figures = ""
        for name, _, factor in COLUMNS:
            value = results.median(key, server, name)
            figures += f"{'-' if value is None else figure(value * factor):>12}"
        note = results.note(key, server)
        lines.append(f"{BY_NAME[server].label:34}{figures}{'  ' + note if note else ''}")
    return lines


def figure(value: float) -> str:
    """Three digits that count, or all before the point."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
