"""Run checks within their bounds: eight at a time, sixty seconds, and no group beyond its third timeout."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from httpmini.errors import CannotRun
from httpmini.lint.check import Check, Failed, NotApplicable
from httpmini.lint.lab import Lab, NoAnswer, OutOfConnections, Session
from httpmini.lint.result import Finding, Outcome, Report
from httpmini.version import __version__

AT_ONCE = 8
MOST_S = 60.0
MOST_TIMEOUTS = 3
OLD_S = 3.0
_DYING_S = 0.1  # a server that its last client has killed needs a moment to end


class Runner:
    """Makes the checks of one examination.

    Args:
        lab: the server.
        points: what each check is worth, by its name.
        told: called with each finding, in the order in which they are ready.
    """

    def __init__(self, lab: Lab, points: dict[str, float], told: Callable[[Finding], None] = lambda _: None) -> None:
        self._lab = lab
        self._points = points
        self._told = told
        self._timeouts: Counter[str] = Counter()
        self._lock = threading.Lock()
        lab.until = time.monotonic() + MOST_S

    def run(self, checks: list[Check], server: str, profile: str) -> Report:
        """Make all checks: first those that do not disturb each other, then the others one by one.

        Raises:
            CannotRun: the server does not send the known file, which nearly all checks need.
        """
        self._wait_until_old()
        try:
            self._lab.body  # noqa: B018  (before the threads want it)
        except NoAnswer as error:
            raise CannotRun(f"{server}: {error}") from error
        together = [check for check in checks if not check.alone]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip((check.id for check in together), pool.map(self._make, together), strict=True))
        for check in checks:
            if check.alone:
                found[check.id] = self._make(check)
                self._revive()
        return Report(server, profile, __version__, [found[check.id] for check in checks])

    def _wait_until_old(self) -> None:
        """Wait until the files of a new folder may have dates: another version may follow in the same second.

        RFC 9110 §8.8.2.2 says why a server may send none, or a weak validator, until then.
        """
        if self._lab.root is not None:
            made = (self._lab.root / self._lab.target[1:]).lstat().st_ctime
            time.sleep(min(OLD_S, max(0.0, made + OLD_S - time.time())))

    def _revive(self) -> None:
        """Start a server that a check has ended, so that the next one is about its own matter."""
        spawned = self._lab.spawned
        if spawned is not None and spawned.wait(_DYING_S):
            self._lab.port = spawned.start_elsewhere()

    def _make(self, check: Check) -> Finding:
        session = Session(self._lab)
        outcome, detail = self._outcome(check, session)
        record = [(way, data.decode("iso-8859-1")) for way, data in session.record]
        finding = finding_of(check, self._points[check.id], outcome, detail, record)
        with self._lock:
            self._told(finding)
        return finding

    def _outcome(self, check: Check, session: Session) -> tuple[Outcome, str]:
        if time.monotonic() > self._lab.until:
            return "not run", f"the {MOST_S:g} s of an examination are over"
        if self._timeouts[check.group] >= MOST_TIMEOUTS:
            return "not run", f"{MOST_TIMEOUTS} checks of the group {check.group} have timed out"
        try:
            check.run(session)
        except Failed as failed:
            return "failed", str(failed)
        except NotApplicable as reason:
            return "not applicable", str(reason)
        except NoAnswer as reason:
            self._timeouts[check.group] += 1
            return "failed", str(reason)
        except (OutOfConnections, CannotRun) as reason:
            return "not run", str(reason) or "all of its connections are used"
        except OSError as error:
            return "failed", f"the connection failed: {error.strerror or error}"
        return "passed", ""


def finding_of(
    check: Check, points: float, outcome: Outcome, detail: str = "", record: list[tuple[str, str]] | None = None
) -> Finding:
    """Return the outcome of a check as a finding (``Finding`` explains the parts)."""
    about = check.id, check.title, check.level.value, check.section, check.explain, check.group
    return Finding(*about, points, outcome, detail, record or [])
