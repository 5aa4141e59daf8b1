"""``httpmini ctl``: control a running server from the same machine.

Signals go only to the process that has locked the pid file. The state of the server comes from /-/status.json on a unix
socket beside the pid file, which only root and the server's user can open. It exists whoever opened the listeners.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import msgspec

from httpmini.client.client import Client
from httpmini.client.options import Timeouts
from httpmini.client.transport.routing import Routing
from httpmini.config import Config
from httpmini.daemon.listeners import ctl_path
from httpmini.daemon.pid_file import find_owner, is_published
from httpmini.daemon.status import Report
from httpmini.errors import CannotRun, FetchError
from httpmini.server.listeners.endpoint import UNIX, Endpoint, parse_endpoint

_POLL_S = 0.05
_MARGIN_S = 10.0  # beyond drain_s, for the steps of a shutdown that drain_s does not cover
_RELOAD_S = 30.0
_START_S = 10.0
_SHOWN = 20  # clients at most
_MAX_REPORT_BYTES = 16 * 1024 * 1024
_AT_SOCKET = "http://localhost/-/status.json"
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (all addresses include this one)


def process_of(config: Config) -> int:
    """Return the process number of the server that runs with ``config``.

    Raises:
        CannotRun: no such server runs, or ``config`` has no pid file to find it by.
    """
    path = config.daemon.pid_file
    if not path:
        raise CannotRun("daemon.pid_file is not set, so the server cannot be found; set it and restart the server")
    process = find_owner(path)
    if process is None:
        raise CannotRun(f"no server runs with the pid file {path}")
    return process


def _ready_process_of(config: Config) -> int:
    """Return the process number of the server, once it understands signals: before that, most of them would end it.

    Raises:
        CannotRun: no such server runs, or it is only just starting or already ending.
    """
    end = time.monotonic() + _START_S
    while not is_published(config.daemon.pid_file):
        process = process_of(config)
        if time.monotonic() > end:
            raise CannotRun(
                f"process {process} is still starting, or already ending, and does not handle signals yet or any more"
            )
        time.sleep(_POLL_S)
    return process_of(config)


def stop(config: Config) -> int:
    """Make the server finish what it is sending and exit; wait until it has.

    Returns:
        Its process number.

    Raises:
        CannotRun: no server runs, it may not be signalled, or it does not exit in time.
    """
    process = _ready_process_of(config)
    _signal(process, signal.SIGTERM)
    end = time.monotonic() + config.limits.drain_s + _MARGIN_S
    while find_owner(config.daemon.pid_file) == process:
        if time.monotonic() > end:
            raise CannotRun(f"process {process} has not ended; kill -QUIT {process} ends it at once")
        time.sleep(_POLL_S)
    return process


def reopen_logs(config: Config) -> int:
    """Make the server open its logs again, after they have been moved away.

    Returns:
        Its process number.

    Raises:
        CannotRun: no server runs, or it may not be signalled.
    """
    process = _ready_process_of(config)
    _signal(process, signal.SIGUSR1)
    return process


def reload(config: Config) -> str:
    """Make the server reload its settings, and wait until it has.

    Returns:
        What happened, for the terminal.

    Raises:
        CannotRun: no server runs, it may not be signalled, it keeps its old settings, or it cannot say whether it does.
    """
    process = _ready_process_of(config)
    try:
        before = fetch_report(config)
    except CannotRun as error:
        _signal(process, signal.SIGHUP)
        raise CannotRun(f"asked process {process} to reload, but it cannot say whether it has: {error}") from error
    _signal(process, signal.SIGHUP)
    end = time.monotonic() + _RELOAD_S
    while time.monotonic() < end:
        if _has_reloaded(config, before):
            return f"process {process} has reloaded"
        time.sleep(_POLL_S)
    raise CannotRun(f"process {process} has not reloaded within {_RELOAD_S:g} s; its error log may say why")


def _has_reloaded(config: Config, before: Report) -> bool:
    """Return whether the server has reloaded since it gave the report ``before``.

    Raises:
        CannotRun: it has refused to, or has done so without the certificates that are in the files now.
    """
    try:
        after = fetch_report(config)
    except CannotRun:  # busy, or its status listener is being moved
        return False
    if after.failed_reloads > before.failed_reloads:
        raise CannotRun(f"not reloaded, the old settings stay: {after.reload_problem or 'the error log says why'}")
    has_reloaded = after.reloads > before.reloads
    if has_reloaded and after.refused_certificates:
        raise CannotRun("\n".join(f"reloaded, but {refused}" for refused in after.refused_certificates))
    return has_reloaded


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except OSError as error:
        raise CannotRun(f"cannot signal process {process}: {error.strerror}") from error


def fetch_report(config: Config) -> Report:
    """Fetch the report of the server, from the first of its addresses that serves one.

    Raises:
        CannotRun: none of them does.
    """
    problems: list[str] = []
    for routing, url in _sources(config):
        try:
            return _fetch_from(routing, url)
        except (FetchError, CannotRun) as error:
            problems.append(str(error))
    said = "; ".join(problems) or "set daemon.pid_file or status.listen, and restart the server"
    raise CannotRun(f"no status available: {said}")


def _fetch_from(routing: Routing, url: str) -> Report:
    with Client(timeouts=Timeouts(5, 5, 5, 10), routing=routing) as client:
        response = client.fetch(url)
        body = response.read(_MAX_REPORT_BYTES)
    if response.status != 200:
        raise CannotRun(f"{url}: status {response.status}")
    try:
        return msgspec.json.decode(body, type=Report)
    except msgspec.DecodeError as error:
        raise CannotRun(f"{url}: not a report of httpmini: {error}") from error


def _sources(config: Config) -> Iterator[tuple[Routing, str]]:
    """Yield the URLs where the report may be, with the route to each; the socket beside the pid file comes first."""
    if path := ctl_path(config):
        yield Routing(unix_socket=path), _AT_SOCKET
    for entry in (*config.status.listen, *(config.server.listen if config.status.on_site else ())):
        endpoint = parse_endpoint(entry)
        if endpoint.host == UNIX:
            yield Routing(unix_socket=endpoint.port), _AT_SOCKET
        elif endpoint.port.isdecimal() and endpoint.port != "0" and not endpoint.is_secure:
            host = _LOOPBACK.get(endpoint.host, endpoint.host)
            yield Routing(), f"http://{Endpoint(host, endpoint.port)}/-/status.json"


def lines_of(report: Report) -> Iterator[str]:
    """Yield the lines of ``report`` for a terminal."""
    up = _duration(report.uptime_s)
    yield f"httpmini {report.version}, mode {report.mode}, process {report.main_process}, up {up}"
    refused = ", ".join(f"{count} x {status}" for status, count in report.refusals.items()) or "none"
    yield f"clients    {report.clients} of {report.max_clients} now, {report.admitted} admitted since the start"
    yield f"requests   {report.requests}, {report.sent_bytes:,} bytes sent; refusals: {refused}"
    yield f"reloads    {report.reloads}, {report.failed_reloads} failed"
    yield f"{'process':>9} {'clients':>8} {'requests':>10} {'bytes sent':>16}"
    for row in report.processes:
        yield f"{row.process:>9} {row.clients:>8} {row.requests:>10} {row.sent_bytes:>16,}"
    if report.connections:
        yield f"{'client':<46} {'state':<7} {'bytes sent':>16} {'seconds':>9}"
    for client in report.connections[:_SHOWN]:
        where = str(Endpoint(client.host, str(client.port)))
        yield f"{where:<46} {client.state:<7} {client.sent_bytes:>16,} {client.seconds:>9.1f}"
    if len(report.connections) > _SHOWN:
        yield f"... and {len(report.connections) - _SHOWN} more"


def _duration(seconds: float) -> str:
    """Return ``seconds`` as ``3 d 04:05:06``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d " * bool(days) + f"{hours:02}:{minutes:02}:{rest:02}"
