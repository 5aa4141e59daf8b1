"""The status pages: correct in every mode, whichever process responds, and closed to strangers."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import StartServer
from tests.support.processes import ServerProcess, eventually, ports_listened_on
from tests.support.wire import connect, get, read_answer, read_head

LARGE = 64 * 1024 * 1024
KEEP = b"GET /ten.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "ten.txt").write_bytes(b"0123456789")
    with open(folder / "large.bin", "wb") as file:
        file.truncate(LARGE)
    return folder


@pytest.fixture
def server(start: StartServer, root: Path, mode: str) -> ServerProcess:
    """Start a server with a public listener and a separate status listener."""
    settings = f'[server]\nmode = "{mode}"\nworkers = 2\nmax_clients = 3\n[status]\nlisten = ["127.0.0.1:0"]\n'
    return start(root, config=settings)


def report(server: ServerProcess) -> dict[str, Any]:
    """Return the status report from the status listener."""
    status, fields, body = get(status_port(server), "/-/status.json")
    assert (status, fields["content-type"], fields["cache-control"]) == (200, "application/json", "no-store")
    return dict(json.loads(body))


def row_of(server: ServerProcess, port: int) -> dict[str, Any]:
    """Return the report's row for the client at ``port``; empty if there is none yet."""
    return next((row for row in report(server)["connections"] if row["port"] == port), {})


def status_port(server: ServerProcess) -> int:
    """Return the port that the process listens on and the banner does not name."""
    [port] = ports_listened_on(server.pid) - {server.port}
    return port


def test_everything_is_counted(server: ServerProcess, mode: str) -> None:
    for _ in range(5):
        assert get(server.port, "/ten.txt")[0] == 200
    for target, status in (("/nothing", 404), ("/nothing", 404), ("/%00", 400)):
        assert get(server.port, target)[0] == status
    with connect(server.port) as sock:
        for _ in range(4):
            sock.sendall(KEEP)
            length = len(read_answer(sock)[2])
        port = sock.getsockname()[1]
        eventually(lambda: row_of(server, port).get("sent_bytes", 0) > 4 * 100, "what was sent is seen")
        client = row_of(server, port)
        assert (client["host"], client["state"], length) == ("127.0.0.1", "READ", 10)
        if mode in ("forking", "prefork"):
            assert client["process"] != server.pid
    # Other workers publish their counters at their next tick.
    eventually(lambda: report(server)["admitted"] == 9, "all are counted")
    eventually(lambda: report(server)["refusals"] == {"400": 1, "404": 2}, "refusals are counted")
    seen = report(server)
    assert (seen["mode"], seen["max_clients"], seen["main_process"]) == (mode, 3, server.pid)
    assert seen["sent_bytes"] > 12 * 100
    assert sum(row["requests"] for row in seen["processes"]) == seen["requests"]


def test_a_transfer_is_seen_while_it_lasts(server: ServerProcess) -> None:
    with connect(server.port) as sock:
        sock.sendall(b"GET /large.bin HTTP/1.0\r\n\r\n")
        read_head(sock)
        port = sock.getsockname()[1]

        def sent() -> int:
            rows = [row for row in report(server)["connections"] if row["port"] == port]
            return rows[0]["sent_bytes"] if rows and rows[0]["state"] == "WRITE" else -1

        if " iterative," not in server.banner:  # it does nothing else meanwhile
            eventually(lambda: sent() > 0, "it is being sent")
            before = sent()
            received = 0
            while received < LARGE // 2:
                received += len(sock.recv(1 << 20))
            eventually(lambda: sent() != before, "more was sent, or all of it")
        while sock.recv(1 << 20):
            pass
    eventually(lambda: report(server)["sent_bytes"] > LARGE, "all is counted when it is over")


def test_a_status_listener_has_its_own_slots(server: ServerProcess) -> None:
    """It accepts operators even if all slots are taken, and serves only the status pages."""
    socks = [connect(server.port) for _ in range(5)]
    try:
        for sock in socks[:3]:
            sock.sendall(KEEP)
            assert read_answer(sock)[2] == b"0123456789"
        eventually(lambda: report(server)["clients"] >= 3, "the clients are listed")
        assert get(status_port(server), "/-/health")[::2] == (200, b"ok\n")
        assert get(status_port(server), "/ten.txt")[0] == 404
        assert get(status_port(server), "/")[0] == 404
    finally:
        for sock in socks:
            sock.close()


def test_prometheus_reads_it(server: ServerProcess, mode: str) -> None:
    assert get(server.port, "/nothing")[0] == 404

    def samples() -> dict[str, float]:
        status, fields, body = get(status_port(server), "/-/metrics")
        assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        families = list(text_string_to_metric_families(body.decode()))
        assert all(family.documentation for family in families)
        assert {family.type for family in families} == {"counter", "gauge"}
        found = [sample for family in families for sample in family.samples]
        [info] = [sample for sample in found if sample.name == "httpmini_info"]
        assert info.labels["mode"] == mode
        return {sample.name + sample.labels.get("status", ""): sample.value for sample in found}

    eventually(lambda: samples().get("httpmini_refusals_total404") == 1, "the refusal is counted")
    assert samples()["httpmini_max_clients"] == 3
    assert samples()["httpmini_start_time_seconds"] > 1.7e9


@pytest.mark.parametrize("page", ["status", "status.json", "metrics", "health"])
@pytest.mark.parametrize(
    ("allow", "said", "expected"),
    [
        ("", (), 200),
        ("", ("Host: localhost:8080",), 200),
        ("", ("Host: [::1]:8080",), 200),
        ("", ("Host: rebound.example",), 404),
        ("", ("Host: 127.0.0.1.example",), 404),
        ("", ("X-Forwarded-For: 127.0.0.1",), 404),
        ("", ("Forwarded: for=127.0.0.1",), 404),
        ("", ("Via: 1.1 proxy",), 404),
        ("", ("X-Real-IP: 127.0.0.1",), 404),
        ('allow = ["192.0.2.0/24"]', (), 404),
    ],
)
def test_closed_to_strangers(
    start: StartServer, root: Path, page: str, allow: str, said: tuple[str, ...], expected: int
) -> None:
    server = start(root, config=f"[status]\non_site = true\n{allow}\n")
    assert get(server.port, f"/-/{page}", *said)[0] == expected


def test_other_clients_get_the_sites_own_files_at_that_path(start: StartServer, root: Path) -> None:
    (root / "-").mkdir()
    (root / "-" / "status").write_bytes(b"theirs")
    server = start(root, config="[status]\non_site = true\n")
    assert b"Processes" in get(server.port, "/-/status")[2]
    assert get(server.port, "/-/status", "Host: h.example")[2] == b"theirs"
    assert get(server.port, "/-/else")[0] == 404


@pytest.mark.parametrize("mode", ["prefork", "forking"])
def test_counters_outlive_their_process(server: ServerProcess, mode: str) -> None:
    """This holds even if the process is killed."""
    with connect(server.port) as sock:
        for _ in range(5):
            sock.sendall(KEEP)
            read_answer(sock)
        port = sock.getsockname()[1]
        eventually(lambda: row_of(server, port).get("sent_bytes", 0) > 5 * 100, "what was sent is seen")
        row = row_of(server, port)
        before = report(server)
        os.kill(row["process"], signal.SIGKILL)
        assert sock.recv(1) == b""
    eventually(lambda: row["process"] not in [one["process"] for one in report(server)["processes"]], "it is gone")
    after = report(server)
    assert after["requests"] >= before["requests"] >= 5
    assert after["sent_bytes"] >= before["sent_bytes"]
    assert after["admitted"] >= before["admitted"]


def _has_counted(server: ServerProcess, requests: int) -> bool:
    return bool(report(server)["requests"] >= requests)


def test_totals_outlive_a_reload(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "httpmini.toml"
    settings = '[server]\nmode = "{}"\nworkers = 2\n[status]\nlisten = ["127.0.0.1:0"]\n'
    file.write_text(settings.format("select"))
    server = ServerProcess([str(root), "-c", str(file), "--port", "0"])
    try:
        for asked, mode in enumerate(["select", "prefork", "forking", "threading", "iterative", "prefork", "select"]):
            file.write_text(settings.format(mode))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("reloaded", asked + 1)
            assert get(server.port, "/ten.txt")[0] == 200
            eventually(partial(_has_counted, server, asked + 1), "it is counted")
            assert report(server)["mode"] == mode
        assert report(server)["admitted"] == 7
        server.assert_clean_end()
    finally:
        server.kill()


def test_an_impossible_status_listener(root: Path, tmp_path: Path, start: StartServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = tmp_path / "httpmini.toml"
        file.write_text(f'site.root = "{root}"\n')
        server = ServerProcess(["-c", str(file), "--port", "0"])
        try:
            port = taken.getsockname()[1]
            file.write_text(f'site.root = "{root}"\n[status]\nlisten = ["127.0.0.1:{port}"]\n')
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line(f"error: not reloaded: cannot listen on 127.0.0.1:{port}")
            assert get(server.port, "/ten.txt")[0] == 200
            server.assert_clean_end()
        finally:
            server.kill()


def relay(target: int) -> tuple[socket.socket, threading.Thread]:
    """Return a listener that passes one connection on to ``target``, as any relay of plain TCP does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", target)) as server:
            server.sendall(client.recv(65536))
            while data := server.recv(65536):
                client.sendall(data)

    thread = threading.Thread(target=run)
    thread.start()
    return listener, thread


@pytest.mark.parametrize("page", ["status", "status.json", "metrics", "health"])
def test_the_site_does_not_show_them(server: ServerProcess, page: str) -> None:
    """Neither to this machine nor to strangers through a relay of plain TCP; the status listener does."""
    assert get(server.port, f"/-/{page}", "Host: localhost")[0] == 404
    listener, thread = relay(server.port)
    with listener:
        assert get(listener.getsockname()[1], f"/-/{page}", "Host: localhost")[0] == 404
        thread.join()
    assert get(status_port(server), f"/-/{page}")[0] == 200


def test_a_port_of_its_own_when_asked(start: StartServer, root: Path) -> None:
    server = start(root, "--status")
    assert f"status at http://127.0.0.1:{status_port(server)}/-/status)" in server.banner
    assert report(server)["main_process"] == server.pid
    assert get(server.port, "/-/status")[0] == 404


@pytest.mark.parametrize(("value", "expected"), [("true", 200), ("false", 404)])
def test_the_old_name_of_the_switch(start: StartServer, root: Path, value: str, expected: int) -> None:
    server = start(root, config=f"[status]\nenabled = {value}\n")
    server.wait_for_line("status.enabled is now status.on_site; the old name still works")
    assert get(server.port, "/-/health")[0] == expected
