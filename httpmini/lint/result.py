"""What an examination found, as plain values: the source of every report."""

from __future__ import annotations

from typing import Literal

import msgspec

from httpmini.errors import UsageError

Outcome = Literal["passed", "failed", "not applicable", "not run"]


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one check.

    Attributes:
        id, title, level, section, explain, group: of the check.
        points: what it is worth.
        outcome: how it went.
        detail: why it failed, or was not made.
        record: what was sent (``">"``) and received (``"<"``), as ISO-8859-1, shortened.
    """

    id: str
    title: str
    level: str
    section: str
    explain: str
    group: str
    points: float
    outcome: Outcome
    detail: str = ""
    record: list[tuple[str, str]] = []

    @property
    def earned(self) -> float:
        """The points that it brings."""
        return self.points if self.outcome == "passed" else 0

    @property
    def counts(self) -> bool:
        """Whether its points are part of the sum."""
        return self.outcome in ("passed", "failed")


class Report(msgspec.Struct, frozen=True):
    """All findings about one server.

    Attributes:
        server: what was examined: a command, or a URL.
        profile: the selection of checks.
        version: of httpmini.
        findings: in the order of the checks.
    """

    server: str
    profile: str
    version: str
    findings: list[Finding]

    @property
    def earned(self) -> float:
        """The points that the server has."""
        return sum(finding.earned for finding in self.findings)

    @property
    def possible(self) -> float:
        """The points that it could have."""
        return sum(finding.points for finding in self.findings if finding.counts)

    def failed(self, level: str = "") -> list[Finding]:
        """Return what failed, of one level or of all."""
        return [one for one in self.findings if one.outcome == "failed" and level in ("", one.level)]

    def summary(self) -> str:
        """Return the last line of a report."""
        musts = len(self.failed("must"))
        left = sum(finding.outcome == "not run" for finding in self.findings)
        said = f"{self.earned:g} of {self.possible:g} points; {musts} must{'' if musts == 1 else 's'} failed"
        return f"{said}; {left} not run" if left else said


def to_json(report: Report) -> bytes:
    """Return ``report`` as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def from_json(data: bytes, source: str) -> Report:
    """Read what ``to_json`` has written.

    Raises:
        UsageError: it is something else; names ``source``.
    """
    try:
        return msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: not a report of httpmini lint --json: {error}") from error
