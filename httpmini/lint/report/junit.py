"""Findings as JUnit XML, which most systems that run tests can show."""

from __future__ import annotations

from xml.etree import ElementTree

from httpmini.errors import visible
from httpmini.lint.result import Finding, Report


def to_junit(report: Report) -> bytes:
    """Return ``report`` as one test suite; only what failed as a must is a failure, the rest is skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"httpmini lint --profile {report.profile}",
        tests=str(len(report.findings)),
        failures=str(len(report.failed("must"))),
        skipped=str(sum(1 for finding in report.findings if _is_skipped(finding))),
        errors="0",
    )
    for finding in report.findings:
        case = ElementTree.SubElement(suite, "testcase", classname=finding.group, name=f"{finding.id}: {finding.title}")
        if finding.outcome == "failed" and finding.level == "must":
            ElementTree.SubElement(case, "failure", message=visible(finding.detail)).text = finding.explain
        elif _is_skipped(finding):
            ElementTree.SubElement(case, "skipped", message=visible(f"{finding.outcome}: {finding.detail}"))
    data: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _is_skipped(finding: Finding) -> bool:
    return finding.outcome != "passed" and not (finding.outcome == "failed" and finding.level == "must")
