"""The status pages.

| /-/status      | a page that keeps itself up to date |
| /-/status.json | the same report for programs; ``httpmini ctl status`` reads it |
| /-/metrics     | metrics in Prometheus' text format, version 0.0.4 |
| /-/health      | "ok" |
| /-/timeline    | what has happened on the last connections, with ``serve --trace`` |

They take precedence over the site for clients that may see them. Any other client gets what the site has at these
paths.
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
from httpmini.site.pages import NOSNIFF, Drawn
from httpmini.version import __version__
from httpmini.work import Pending

BELOW = "/-/"
_NO_STORE = ("Cache-Control", "no-store")
# Fields that a proxy adds. They tell a client on this machine from one that comes through a proxy on this machine.
_THROUGH_A_PROXY = ("forwarded", "via:", "x-forwarded-", "x-real-ip")


class Facts(msgspec.Struct, frozen=True):
    """The parts of the report that change only with a reload.

    Attributes:
        mode: the name of the mode.
        max_clients: how many clients are served at the same time.
        main_process: the process number of the main process.
        started: when the server started, in seconds since the epoch.
    """

    mode: str
    max_clients: int
    main_process: int
    started: float


class Report(msgspec.Struct, frozen=True):
    """The contents of ``/-/status.json``.

    Attributes:
        version: the version of httpmini.
        mode: the name of the mode.
        main_process: the process number of the main process.
        started: when the server started, as an HTTP date.
        uptime_s: seconds since then.
        clients: how many clients are being served, idle ones included.
        max_clients: how many can be served at the same time.
        admitted: how many clients have been admitted since the start.
        requests: how many requests have been answered since the start.
        sent_bytes: how many bytes have been sent since the start, heads included.
        refusals: how many responses had each status of 400 and above, by status.
        reloads: how many reloads have succeeded.
        failed_reloads: how many reloads have failed.
        reload_problem: why the last reload was refused; "" if it was not, and on the site's own listeners.
        certificates: when each certificate expires, in seconds since the epoch, by its first name.
        refused_certificates: why files that have changed are not used; none on the site's own listeners.
        processes: one row for each process that serves.
        connections: one row for each client that is shown.
    """

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
    reload_problem: str
    processes: list[ProcessRow]
    connections: list[ClientRow]
    certificates: dict[str, float] = {}
    refused_certificates: tuple[str, ...] = ()


class Nothing(msgspec.Struct, frozen=True):
    """An empty site, for the status listener, which serves nothing but the status pages.

    Attributes:
        other: renders its refusals.
    """

    other: Respond

    def respond(self, _request: Request, _host: str, /) -> Response:
        """Return a 404 for every request."""
        return self.refuse(ProtocolError(REASONS["not-found"]))

    def refuse(self, error: ProtocolError) -> Response:
        """Return the refusal as the other site renders it."""
        return self.other.refuse(error)


def page_of(request: Request, host: str, allowed: AddressRules | None) -> str:
    """Return the name of the status page that a request gets; empty if it is for the site.

    Args:
        request: the request.
        host: the address of the client.
        allowed: the addresses that may see the pages; None for every client.
    """
    if not request.target.startswith(BELOW) or request.method not in ("GET", "HEAD"):
        return ""
    name = request.target.partition("?")[0].removeprefix(BELOW)
    return name if name in _PAGES and (allowed is None or _may_see(request, host, allowed)) else ""


class StatusPages(msgspec.Struct, frozen=True):
    """A site with the status pages laid over it.

    Attributes:
        site: the site below them.
        board: the state of all processes.
        facts: the parts of the report that change only with a reload.
        allowed: the addresses that may see the pages; None for every client of this listener.
        wall: returns the time of day, in seconds since the epoch.
    """

    site: Respond
    board: Scoreboard
    facts: Facts
    allowed: AddressRules | None
    wall: Callable[[], float] = time.time

    def respond(self, request: Request, host: str, /) -> Response | Pending[Response]:
        """Return the status page at the target, or what the site responds."""
        name = page_of(request, host, self.allowed)
        if name == "timeline" and self.board.recording is None:
            name = ""
        if name:
            media_type, (text, fields) = _PAGES[name](self)
            return Response(200, Headers((("Content-Type", media_type), _NO_STORE, *fields)), (text,))
        return self.site.respond(request, host)

    def refuse(self, error: ProtocolError) -> Response:
        """Return the refusal as the site renders it."""
        return self.site.refuse(error)

    def report(self) -> Report:
        """Return the present state of the server."""
        seen = self.board.read()
        facts = self.facts
        return Report(
            version=__version__,
            mode=facts.mode,
            main_process=facts.main_process,
            started=format_date(int(facts.started)),
            uptime_s=round(self.wall() - facts.started, 3),
            clients=sum(row.clients for row in seen.processes),
            max_clients=facts.max_clients,
            admitted=sum(row.admitted for row in seen.processes),
            requests=sum(row.requests for row in seen.processes),
            sent_bytes=sum(row.sent_bytes for row in seen.processes),
            refusals={str(status): count for status, count in sorted(_add_up(seen).items())},
            reloads=sum(row.reloads for row in seen.processes),
            failed_reloads=sum(row.failed_reloads for row in seen.processes),
            reload_problem=self.board.reload_problem if self.allowed is None else "",
            processes=sorted(seen.processes, key=lambda row: row.process),
            connections=seen.clients,
            certificates=self.board.certificates,
            refused_certificates=self.board.refused_certificates if self.allowed is None else (),
        )


def _may_see(request: Request, host: str, allowed: AddressRules) -> bool:
    """Return whether the client at ``host`` may see the status pages.

    Its address has to be allowed, and the request must not come through a proxy, which would ask for any client. A
    client on this machine also has to name this machine in Host: a browser here may be running a page of another site
    whose name was pointed at this machine (DNS rebinding).
    """
    if not allowed.permits(host) or request.headers.has_any(*_THROUGH_A_PROXY):
        return False
    is_here = host == LOCAL or ip_address(host.partition("%")[0]).is_loopback
    return not is_here or _names_this_machine(request.headers.get("Host") or "")


def _names_this_machine(host: str) -> bool:
    """Return whether a Host field is empty, "localhost" or an address, with or without a port."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name in ("", "localhost"):
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _add_up(seen: Snapshot) -> dict[int, int]:
    """Return how often each status occurred in all processes."""
    total: dict[int, int] = {}
    for row in seen.processes:
        for status, count in row.outcomes.items():
            total[status] = total.get(status, 0) + count
    return total


def _draw_page(status: StatusPages) -> tuple[str, Drawn]:
    has_timeline = status.board.recording is not None
    drawn = pages.draw("status.html", report=status.report(), has_timeline=has_timeline)
    return "text/html; charset=utf-8", drawn


def _draw_timeline(status: StatusPages) -> tuple[str, Drawn]:
    from httpmini.timeline.page import draw_timeline  # loaded by whoever made the recording

    if status.board.recording is None:
        raise LookupError("there is no recording")
    return "text/html; charset=utf-8", draw_timeline(status.board.recording(), is_live=True)


def _draw_json(status: StatusPages) -> tuple[str, Drawn]:
    return "application/json", Drawn(msgspec.json.encode(status.report()) + b"\n", (NOSNIFF,))


def _draw_metrics(status: StatusPages) -> tuple[str, Drawn]:
    text = "".join(line + "\n" for line in _metrics(status.report(), status.facts.started))
    return "text/plain; version=0.0.4; charset=utf-8", Drawn(text.encode(), (NOSNIFF,))


def _draw_health(_status: StatusPages) -> tuple[str, Drawn]:
    return "text/plain; charset=utf-8", Drawn(b"ok\n", (NOSNIFF,))


_PAGES: dict[str, Callable[[StatusPages], tuple[str, Drawn]]] = {
    "status": _draw_page,
    "status.json": _draw_json,
    "metrics": _draw_metrics,
    "health": _draw_health,
    "timeline": _draw_timeline,
}


def _metrics(report: Report, started: float) -> Iterator[str]:
    """Yield the lines of the report in the text format for Prometheus.

    https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    for name, kind, text, value in (
        ("requests_total", "counter", "Requests answered.", report.requests),
        ("sent_bytes_total", "counter", "Bytes sent, heads included.", report.sent_bytes),
        ("admitted_clients_total", "counter", "Clients admitted.", report.admitted),
        ("clients", "gauge", "Clients being served, idle ones included.", report.clients),
        ("max_clients", "gauge", "Clients that can be served at the same time.", report.max_clients),
        ("processes", "gauge", "Processes serving clients.", len(report.processes)),
        ("reloads_total", "counter", "Reloads that succeeded.", report.reloads),
        ("failed_reloads_total", "counter", "Reloads that failed; the old settings stayed.", report.failed_reloads),
        ("start_time_seconds", "gauge", "When the server started, in seconds since the epoch.", started),
    ):
        yield from _head(name, kind, text)
        yield f"httpmini_{name} {value}"
    yield from _head("refusals_total", "counter", "Responses with a status of 400 or above.")
    for status, count in report.refusals.items():
        yield f'httpmini_refusals_total{{status="{status}"}} {count}'
    if report.certificates:
        yield from _head("tls_not_after_seconds", "gauge", "When a certificate expires, in seconds since the epoch.")
    for name, end in report.certificates.items():
        yield f'httpmini_tls_not_after_seconds{{name="{name}"}} {end:.0f}'
    yield from _head("info", "gauge", "Always 1.")
    yield f'httpmini_info{{version="{report.version}",mode="{report.mode}"}} 1'


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP httpmini_{name} {text}", f"# TYPE httpmini_{name} {kind}"
