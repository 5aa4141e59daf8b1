"""Findings as one HTML page without anything outside of it: one server with its bytes, or a matrix of several."""

from __future__ import annotations

import jinja2

from httpmini.errors import visible
from httpmini.lint.result import Finding, Report


def to_html(reports: list[Report]) -> str:
    """Return a page about one server, or a table that compares several."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("httpmini.lint", "report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["visible"] = _visible_lines
    environment.filters["points"] = "{:g}".format
    template = environment.get_template("one.html" if len(reports) == 1 else "matrix.html")
    return template.render(report=reports[0], reports=reports, rows=_rows(reports))


def _visible_lines(text: str) -> str:
    """Return what was sent or received with its lines, and everything else that is not printable escaped."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _rows(reports: list[Report]) -> list[tuple[Finding, list[Finding | None]]]:
    """Return for each check, in the order in which they were met, what each server did."""
    by_server = [{finding.id: finding for finding in report.findings} for report in reports]
    first: dict[str, Finding] = {}
    for found in by_server:
        for name, finding in found.items():
            first.setdefault(name, finding)
    return [(finding, [found.get(name) for found in by_server]) for name, finding in first.items()]
