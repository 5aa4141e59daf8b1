"""A request uses one generation from its first byte to its log line, even if a reload comes in between."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from httpmini.errors import ProtocolError
from httpmini.protocol.message import Request, Response
from httpmini.server.core.connection import Connection, Interest
from httpmini.server.core.turn import next_turn
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.heads import HeadReader
from httpmini.server.http.virtual_hosts import Respond, VirtualHosts
from httpmini.server.logs.access import TextLog
from httpmini.work import finish
from tests.conftest import StartServer
from tests.server.test_response_cache import Told, told
from tests.support.processes import WAIT_S, eventually, open_files
from tests.support.sans_io import PEER, deliver
from tests.support.small_site import write_tree
from tests.support.wire import connect, get

GET = b"GET /a.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"


@dataclass
class Interrupted:
    """A site that runs a callback while it responds."""

    site: Respond
    meanwhile: Callable[[], None]

    def respond(self, request: Request, host: str, /) -> Response:
        response = finish(self.site.respond(request, host))
        self.meanwhile()
        return response

    def refuse(self, error: ProtocolError) -> Response:
        return self.site.refuse(error)


def with_site(generation: HttpGeneration, site: Respond) -> HttpGeneration:
    hosts = VirtualHosts(replace(generation.hosts.default, site=site))
    return replace(generation, hosts=hosts, heads=HeadReader(generation.head_limits, hosts))


def ask(connection: Connection, data: bytes = GET, now: float = 0.0) -> bytes:
    deliver(connection, data, now, next_turn())
    return flush(connection, now)


def flush(connection: Connection, now: float = 0.0) -> bytes:
    said = b""
    while connection.output:
        piece = connection.output[0]
        assert isinstance(piece, bytes)
        said += piece
        connection.sent(len(piece), now)
    return said


def old_and_new(tmp_path: Path, toml: str = "") -> tuple[Told, Told]:
    """Return two generations, each with its own root and log."""
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    return (
        told(write_tree(tmp_path / "1" / "root", {"a.txt": b"old"})),
        told(write_tree(tmp_path / "2" / "root", {"a.txt": b"new"}), toml),
    )


def test_a_reload_inside_the_site_cannot_have_the_old_response_cached_for_the_new_root(tmp_path: Path) -> None:
    """In two threads, as in threading mode: one is inside the site while the other makes a new generation current."""
    old, new = old_and_new(tmp_path)
    service = old.service
    before, after = service.generation, new.service.generation
    in_site, reloaded = threading.Event(), threading.Event()

    def wait_for_the_reload() -> None:
        in_site.set()
        assert reloaded.wait(WAIT_S)

    service.generation = with_site(before, Interrupted(before.hosts.default.site, wait_for_the_reload))
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(ask(service.connect(PEER, 0.0))))
    thread.start()
    assert in_site.wait(WAIT_S)
    service.generation = after
    reloaded.set()
    thread.join(WAIT_S)
    assert said[0].endswith(b"old"), "the request began before the reload"
    assert len(before.cache) == 1, "cached in its own generation"
    assert len(after.cache) == 0
    for _ in range(3):
        assert ask(service.connect(PEER, 0.0)).endswith(b"new")
    assert (len(old.log), len(new.log)) == (1, 3), "each request is logged by its own generation"


def test_a_reload_at_any_moment_of_a_request(tmp_path: Path) -> None:
    """Wherever a reload splits a head, the request uses the generation of its first byte."""
    old, new = old_and_new(tmp_path, '[server]\nproduct = "another"\n')
    service, before, after = old.service, old.service.generation, new.service.generation
    for cut in range(1, len(GET)):
        service.generation = before
        connection = service.connect(PEER, 0.0)
        deliver(connection, GET[:cut], 0.0, next_turn())
        service.generation = after
        said = ask(connection, GET[cut:])
        assert said.endswith(b"old"), cut
        assert b"\r\nServer: httpmini/" in said
        assert len(old.log) == cut
        assert ask(connection).endswith(b"new"), "the next request uses the new generation"
        assert len(new.log) == cut


@pytest.mark.parametrize("idle_s", [1.0, 60.0])
def test_open_connections_get_the_new_timeouts(tmp_path: Path, idle_s: float) -> None:
    old, new = old_and_new(tmp_path, f"[limits]\nidle_s = {idle_s}\nsend_stall_s = 7\n")
    connection = old.service.connect(PEER, 0.0)
    ask(connection, now=5.0)
    assert connection.deadline == 5.0 + 15.0
    before, old.service.generation = old.service.generation, new.service.generation
    deliver(connection, GET, 6.0, next_turn())
    assert connection.deadline == 6.0 + 7.0
    flush(connection, 8.0)
    assert connection.deadline == 8.0 + idle_s
    old.service.generation = before
    for piece, moment in ((GET[:9], 9.0), (GET[9:], 10.0)):  # by the careful reader, too
        deliver(connection, piece, moment, next_turn())
    assert connection.deadline == 10.0 + 30.0
    flush(connection, 11.0)
    assert connection.deadline == 11.0 + 15.0
    connection.expire(connection.deadline)
    assert connection.interest is Interest.CLOSED


def test_a_generation_is_immutable(tmp_path: Path) -> None:
    old, _ = old_and_new(tmp_path)
    generation = old.service.generation
    with pytest.raises(AttributeError):
        generation.head_s = 1.0  # type: ignore[misc]


def descriptors_of(pid: int, path: Path) -> int:
    """Return how many descriptors of a process refer to a file."""
    return open_files(pid).count(str(path))


@pytest.mark.parametrize("mode", ["select", "threading"])
def test_the_log_of_an_old_generation_closes_with_its_last_request(
    start: StartServer, tmp_path: Path, mode: str
) -> None:
    size = 64 * 2**20  # more than all buffers hold
    root = write_tree(tmp_path / "root", {"a.txt": b"a"})
    with (root / "large.bin").open("wb") as file:
        file.truncate(size)
    text = f'[server]\nmode = "{mode}"\n[log]\naccess = "{tmp_path}/{{}}.log"\n'
    server = start(root, config=text.format("one"))
    with connect(server.port) as sock:
        sock.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        head = sock.recv(4096)
        (tmp_path / "config-0.toml").write_text(text.format("two"))
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for_line("reloaded: ")
        get(server.port, "/a.txt")
        assert descriptors_of(server.pid, tmp_path / "one.log") == 1, "its last request is not logged yet"
        received = len(head)
        while piece := sock.recv(2**20):
            received += len(piece)
        assert received > size
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    eventually(lambda: descriptors_of(server.pid, one) == 0, "the old log is closed")
    assert "GET /large.bin" in one.read_text()
    eventually(lambda: "GET /a.txt" in two.read_text(), "the new log has its line")
    assert "large" not in two.read_text()


def test_all_threads_see_a_consistent_second_in_the_text_log() -> None:
    """The second and its text are one value, so no thread sees a mixture."""
    wall = [0.0]
    lines: list[str] = []
    log = TextLog("common", lines.append, lambda: wall[0])
    for second in (0.0, 0.9, 1.0, 3600.0, 1.0):
        wall[0] = second
        log.write(PEER, "-", "text", 0.0)
    dates = [line.split("[")[1].split("]")[0] for line in lines]
    assert [date[-14:-6] for date in dates] == ["00:00:00", "00:00:00", "00:00:01", "01:00:00", "00:00:01"]
