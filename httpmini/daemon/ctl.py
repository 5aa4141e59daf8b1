"""``httpmini ctl``: what a person at the same machine asks of a server that runs.

Signals go to the process that has locked the pid file, and to no other; what can be seen comes from /-/status.json.
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
from httpmini.daemon.pid_file import find_owner
from httpmini.daemon.status import Report
from httpmini.errors import CannotRun, FetchError
from httpmini.server.listeners.tcp import UNIX, Endpoint, parse_endpoint

_LOOK_S = 0.05
_BESIDES_S = 10.0  # beyond drain_s: for what is not waited for in there
_RELOAD_S = 10.0
_SHOWN = 20  # clients
_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (where all addresses means this one)


def process_of(config: Config) -> int:
    """The server that runs with ``config``.

    Raises:
        CannotRun: there is none, or no pid file to find it by.
    """
    path = config.daemon.pid_file
    if not path:
        raise CannotRun(
            "daemon.pid_file is not set, so nobody knows which process it is; set it and start the server anew"
        )
    process = find_owner(path)
    if process is None:
        raise CannotRun(f"no server runs with the pid file {path}")
    return process


def stop(config: Config) -> int:
    """Have the server finish what it is sending, and wait until it has ended. Its number.

    Raises:
        CannotRun: none runs, it may not be signalled, or it does not end.
    """
    process = process_of(config)
    _signal(process, signal.SIGTERM)
    end = time.monotonic() + config.limits.drain_s + _BESIDES_S
    while find_owner(config.daemon.pid_file) == process:
        if time.monotonic() > end:
            raise CannotRun(f"process {process} has not ended; kill -QUIT {process} ends it at once")
        time.sleep(_LOOK_S)
    return process


def reload(config: Config) -> str:
    """Have the server take the settings of its file, and wait until it has done so.

    Returns:
        What became of it, as far as that can be seen.

    Raises:
        CannotRun: none runs, it may not be signalled, or it has not taken them.
    """
    process = process_of(config)
    try:
        before = fetch_report(config)
    except CannotRun:
        _signal(process, signal.SIGHUP)
        return f"asked process {process} to reload; its error log says what came of it"
    _signal(process, signal.SIGHUP)
    end = time.monotonic() + _RELOAD_S
    while time.monotonic() < end:
        try:
            after = fetch_report(config)
        except CannotRun:  # the pages have moved with the reload
            return f"asked process {process} to reload; its error log says what came of it"
        if after.failed_reloads > before.failed_reloads:
            raise CannotRun("not reloaded: the old settings stay; the error log says why")
        if after.reloads > before.reloads:
            return f"process {process} has reloaded"
        time.sleep(_LOOK_S)
    raise CannotRun(f"process {process} has not reloaded within {_RELOAD_S:g} s; its error log may say why")


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except OSError as error:
        raise CannotRun(f"cannot signal process {process}: {error.strerror}") from error


def fetch_report(config: Config) -> Report:
    """What the server says of itself, at the first of its addresses where it says anything.

    Raises:
        CannotRun: it does not.
    """
    said: list[str] = []
    for routing, url in _places(config):
        try:
            with Client(timeouts=Timeouts(5, 5, 5, 10), routing=routing) as client:
                response = client.fetch(url)
                body = response.read(16 * 1024 * 1024)
        except FetchError as error:
            said.append(str(error))
            continue
        if response.status != 200:
            said.append(f"{url}: status {response.status}")
            continue
        try:
            return msgspec.json.decode(body, type=Report)
        except msgspec.DecodeError as error:
            said.append(f"{url}: not a report of httpmini: {error}")
    raise CannotRun("no status to be had: " + ("; ".join(said) or "no address of this server has a number or a path"))


def _places(config: Config) -> Iterator[tuple[Routing, str]]:
    for entry in (*config.status.listen, *(config.server.listen if config.status.enabled else ())):
        endpoint = parse_endpoint(entry)
        if endpoint.host == UNIX:
            yield Routing(unix_socket=endpoint.port), "http://localhost/-/status.json"
        elif endpoint.port.isdecimal() and endpoint.port != "0":
            host = _HERE.get(endpoint.host, endpoint.host)
            yield Routing(), f"http://{Endpoint(host, endpoint.port)}/-/status.json"


def lines_of(report: Report) -> Iterator[str]:
    """``report`` for a terminal."""
    up = _duration(report.uptime_s)
    yield f"httpmini {report.version}, mode {report.mode}, process {report.main_process}, up {up}"
    refused = ", ".join(f"{count} x {status}" for status, count in report.refusals.items()) or "none"
    yield f"clients    {report.clients} of {report.max_clients} now, {report.admitted} let in since the start"
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
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d " * bool(days) + f"{hours:02}:{minutes:02}:{rest:02}"
