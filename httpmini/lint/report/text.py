"""Findings for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from httpmini.errors import visible
from httpmini.lint.result import Finding, Report

_MARKS = {"not applicable": "  -  ", "not run": "  ?  "}
_TITLE_COLUMNS = 74


def lines(report: Report, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of a report: points, what was checked, where it comes from; with ``verbose`` also the bytes."""
    for finding in report.findings:
        yield from finding_lines(finding, verbose=verbose)
    yield f" {report.summary()}"


def _mark(finding: Finding) -> str:
    if finding.level == "decision" and not finding.points and finding.counts:
        return " yes " if finding.outcome == "passed" else " no  "
    return _MARKS.get(finding.outcome) or f"{finding.earned:g}/{finding.points:g}".center(5)


def finding_lines(finding: Finding, *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines about one check."""
    mark = _mark(finding)
    said = finding.title if finding.outcome == "passed" else f"{finding.title}: {visible(finding.detail)}"
    more = finding.section
    if finding.outcome == "failed":
        more += f"    lint --only {finding.id} -v"
    yield f" {mark}  {said:<{_TITLE_COLUMNS}}  {more}".rstrip()
    if not verbose:
        return
    if finding.outcome == "failed":
        yield f"        {finding.level}: {finding.explain}"
    for way, data in finding.record:
        for line in data.split("\n")[:40]:
            yield f"        {way} {visible(line[:200])}"
