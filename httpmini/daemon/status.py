"""What can be seen of the server from outside: a page, the same as JSON, numbers for Prometheus, whether it is well.

| /-/status      | a page that keeps itself up to date |
| /-/status.json | the same for programs; ``httpmini ctl status`` reads it |
| /-/metrics     | Prometheus' text format, version 0.0.4 |
| /-/health      | "ok" |

They lie over the site, for those only who may see them; for everybody else there is what the site has there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import msgspec

from httpmini.errors import ProtocolError
from httpmini.protocol.dates import format_date
from httpmini.protocol.message import Headers, Request, Response
from httpmini.reasons import REASONS
from httpmini.server.core.counters import ProcessRow
from httpmini.server.core.scoreboard import ClientRow, Scoreboard, Snapshot
from httpmini.server.http.virtual_hosts import Respond
from httpmini.server.limits.address_rules import AddressRules
from httpmini.server.listeners.peer import LOCAL
from httpmini.site import pages
from httpmini.version import __version__

BELOW = "/-/"
_NOT_KEPT = ("Cache-Control", "no-store")
# By these, one who asks through a proxy of this machine is told from one who is here.
_THROUGH_A_PROXY = ("forwarded", "via:", "x-forwarded-", "x-real-ip")


class Facts(msgspec.Struct, frozen=True):
    """What does not change until the next reload.

    Attributes:
        mode: the architecture.
        max_clients: how many are served at the same time.
        main_process: its number.
        started: when the server began, in seconds since the epoch.
    """

    mode: str
    max_clients: int
    main_process: int
    started: float


class Report(msgspec.Struct, frozen=True):
    """``/-/status.json``."""

    version: str
    mode: str
    main_process: int
    started: str
    uptime_s: float
    clients: int
    max_clients: int
    admitted: int
    requests: int
    sent_bytes: int
    refusals: dict[str, int]
    reloads: int
    failed_reloads: int
    processes: list[ProcessRow]
    connections: list[ClientRow]


class Nothing(msgspec.Struct, frozen=True):
    """A site without anything, for the door that leads to these pages only.

    Attributes:
        other: draws its refusals.
    """

    other: Respond

    def respond(self, _request: Request, _host: str, /) -> Response:
        """See ``Respond``."""
        return self.refuse(ProtocolError(REASONS["not-found"]))

    def refuse(self, error: ProtocolError) -> Response:
        """See ``Respond``."""
        return self.other.refuse(error)


class StatusPages(msgspec.Struct, frozen=True):
    """The pages over a site.

    Attributes:
        site: what is below.
        board: what goes on in all processes.
        facts: what does not change.
        allowed: who may see them; None for everybody who comes in by this door.
        now: the present, in seconds since the epoch.
    """

    site: Respond
    board: Scoreboard
    facts: Facts
    allowed: AddressRules | None
    now: Callable[[], float] = time.time

    def respond(self, request: Request, host: str, /) -> Response:
        """See ``Respond``."""
        if request.target.startswith(BELOW) and request.method in ("GET", "HEAD"):
            draw = _PAGES.get(request.target.partition("?")[0].removeprefix(BELOW))
            if draw is not None and (self.allowed is None or _may_see(request, host, self.allowed)):
                media_type, text = draw(self)
                return Response(200, Headers((("Content-Type", media_type), _NOT_KEPT)), (text,))
        return self.site.respond(request, host)

    def refuse(self, error: ProtocolError) -> Response:
        """See ``Respond``."""
        return self.site.refuse(error)

    def report(self) -> Report:
        """Everything at this moment."""
        seen = self.board.read()
        facts = self.facts
        return Report(
            version=__version__,
            mode=facts.mode,
            main_process=facts.main_process,
            started=format_date(int(facts.started)),
            uptime_s=round(self.now() - facts.started, 3),
            clients=sum(row.clients for row in seen.processes),
            max_clients=facts.max_clients,
            admitted=sum(row.admitted for row in seen.processes),
            requests=sum(row.requests for row in seen.processes),
            sent_bytes=sum(row.sent_bytes for row in seen.processes),
            refusals={str(status): count for status, count in sorted(_add_up(seen).items())},
            reloads=sum(row.reloads for row in seen.processes),
            failed_reloads=sum(row.failed_reloads for row in seen.processes),
            processes=sorted(seen.processes, key=lambda row: row.process),
            connections=seen.clients,
        )


def _may_see(request: Request, host: str, allowed: AddressRules) -> bool:
    """Whether an address may; and whoever comes from this machine has to have asked this machine.

    A page of another site can make its name that of this machine (DNS rebinding), and a proxy here asks for everybody.
    """
    if not allowed.permits(host) or request.headers.has_any(*_THROUGH_A_PROXY):
        return False
    is_here = host == LOCAL or ip_address(host.partition("%")[0]).is_loopback
    return not is_here or _names_this_machine(request.headers.get("Host") or "")


def _names_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name in ("", "localhost"):
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _add_up(seen: Snapshot) -> dict[int, int]:
    total: dict[int, int] = {}
    for row in seen.processes:
        for status, count in row.outcomes.items():
            total[status] = total.get(status, 0) + count
    return total


def _draw_page(status: StatusPages) -> tuple[str, bytes]:
    return "text/html; charset=utf-8", pages.draw("status.html", report=status.report())


def _draw_json(status: StatusPages) -> tuple[str, bytes]:
    return "application/json", msgspec.json.encode(status.report()) + b"\n"


def _draw_metrics(status: StatusPages) -> tuple[str, bytes]:
    text = "".join(line + "\n" for line in _metrics(status.report(), status.facts.started))
    return "text/plain; version=0.0.4; charset=utf-8", text.encode()


def _draw_health(_status: StatusPages) -> tuple[str, bytes]:
    return "text/plain; charset=utf-8", b"ok\n"


_PAGES: dict[str, Callable[[StatusPages], tuple[str, bytes]]] = {
    "status": _draw_page,
    "status.json": _draw_json,
    "metrics": _draw_metrics,
    "health": _draw_health,
}


def _metrics(report: Report, started: float) -> Iterator[str]:
    """See https://prometheus.io/docs/instrumenting/exposition_formats/."""
    for name, kind, text, value in (
        ("requests_total", "counter", "Requests that were answered.", report.requests),
        ("sent_bytes_total", "counter", "Bytes that were sent, heads included.", report.sent_bytes),
        ("admitted_clients_total", "counter", "Clients that were let in.", report.admitted),
        ("clients", "gauge", "Clients that are being served, idle ones too.", report.clients),
        ("max_clients", "gauge", "How many can be served at the same time.", report.max_clients),
        ("processes", "gauge", "Processes that serve.", len(report.processes)),
        ("reloads_total", "counter", "How often other settings were taken.", report.reloads),
        ("failed_reloads_total", "counter", "How often that failed, and the old ones stayed.", report.failed_reloads),
        ("start_time_seconds", "gauge", "When the server began, in seconds since the epoch.", started),
    ):
        yield from _head(name, kind, text)
        yield f"httpmini_{name} {value}"
    yield from _head("refusals_total", "counter", "Answers with a status of 400 and above.")
    for status, count in report.refusals.items():
        yield f'httpmini_refusals_total{{status="{status}"}} {count}'
    yield from _head("info", "gauge", "Always 1.")
    yield f'httpmini_info{{version="{report.version}",mode="{report.mode}"}} 1'


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP httpmini_{name} {text}", f"# TYPE httpmini_{name} {kind}"
