"""Destinations of logs (files that are moved away, logrotate, syslog, the journal) and readers (goaccess, lnav)."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tools import tool
from tests.support.wire import connect, converse, get, read_answer

REPOSITORY = Path(__file__).parents[2]
CLIENTS = 4
PER_CLIENT = 400


def ask_much(port: int, begin: int) -> None:
    """Send requests with a number each: one on a connection of its own, seven on a shared one (a fork costs time)."""
    for number in range(begin, begin + PER_CLIENT, 8):
        get(port, f"/ten.txt?n={number}")
        with connect(port) as sock:
            for more in range(number + 1, number + 8):
                sock.sendall(b"GET /ten.txt?n=%d HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n" % more)
                assert read_answer(sock)[2] == b"0123456789"


def _has_grown(log: Path, size: int, clients: list[threading.Thread]) -> bool:
    return (log.exists() and log.stat().st_size > size) or not any(client.is_alive() for client in clients)


def under_load(port: int, log: Path, rotate: Callable[[], object], times: int) -> None:
    """Call ``rotate`` up to ``times`` times while clients send requests, each time after ``log`` has got new lines."""
    clients = [threading.Thread(target=ask_much, args=(port, n * PER_CLIENT)) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(times):
        size = log.stat().st_size if log.exists() else 0
        eventually(partial(_has_grown, log, size, clients), "there are lines, or the clients are done")
        if log.exists():
            rotate()
    for client in clients:
        client.join(WAIT_S * 3)
        assert not client.is_alive()


def assert_each_once(folder: Path) -> None:
    """Check that every request has exactly one line in all files together."""
    files = [path for path in folder.iterdir() if path.name.startswith("access")]
    assert len(files) > 1, "it was rotated"
    assert "-" not in "".join(path.name for path in files), "logrotate had no leftovers to move away"
    numbers = Counter(re.findall(r"n=(\d+)", "".join(path.read_text() for path in files)))
    assert numbers == dict.fromkeys(map(str, range(CLIENTS * PER_CLIENT)), 1)


@pytest.mark.parametrize("signalled", [False, True], ids=["by itself", "SIGUSR1"])
def test_a_log_that_is_moved_away_is_created_again(
    start: StartServer, old_site: Path, mode: str, tmp_path: Path, signalled: bool
) -> None:
    log = tmp_path / "logs" / "access.log"
    log.parent.mkdir()
    server = start(old_site, "--mode", mode, config=f'[log]\naccess = "{log}"\n')
    count = iter(range(1000))

    def move() -> None:
        log.rename(log.with_name(f"access.{next(count)}"))
        if signalled:
            server.process.send_signal(signal.SIGUSR1)

    under_load(server.port, log, move, 5)
    assert server.stop() == 0
    assert_each_once(log.parent)


@pytest.mark.parametrize("mode", ["select", "prefork", "threading"])
def test_logrotate(start: StartServer, old_site: Path, mode: str, tmp_path: Path) -> None:
    logrotate = tool("logrotate", "logrotate")
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "access.log"
    server = start(old_site, "--mode", mode, config=f'[log]\naccess = "{log}"\n')
    pid_file = tmp_path / "pid"
    pid_file.write_text(str(server.pid))
    conf = (REPOSITORY / "conf/logrotate/httpmini").read_text()
    conf = conf.replace("/var/log/httpmini", str(folder)).replace("/run/httpmini/httpmini.pid", str(pid_file))
    (tmp_path / "conf").write_text(conf.replace("compress", "nocompress").replace("delaynocompress", ""))
    (tmp_path / "conf").chmod(0o644)

    def rotate() -> None:
        command = [logrotate, "-f", "-s", str(tmp_path / "state"), str(tmp_path / "conf")]
        subprocess.run(command, check=True, timeout=WAIT_S)

    under_load(server.port, log, rotate, 4)
    assert server.stop() == 0
    assert_each_once(folder)


def test_a_folder_that_is_gone_costs_no_response(start: StartServer, site: Path, mode: str, tmp_path: Path) -> None:
    """Lines still go to the file that was moved away, and to a new one as soon as it can be created."""
    folder = tmp_path / "logs"
    folder.mkdir()
    log = folder / "access.log"
    # To the sandbox, a folder that is created later is a different one.
    server = start(site, "--mode", mode, config=f'[log]\naccess = "{log}"\n[daemon]\nsandbox = "off"\n')
    folder.rename(tmp_path / "moved")
    for number in range(3):
        assert get(server.port, f"/ten.txt?{number}")[0] == 200
    eventually(lambda: (tmp_path / "moved" / "access.log").read_text().count("\n") == 3, "lines")
    folder.mkdir()
    assert get(server.port, "/ten.txt?3")[0] == 200
    eventually(lambda: log.exists() and log.read_text().count("\n") == 1, "the new file has the last line")


@contextmanager
def datagrams(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(WAIT_S)
        yield sock


SYSLOG = re.compile(r"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d httpmini\[(\d+)\]: (.*)")
JOURNAL = re.compile(r"MESSAGE=(.*)\nPRIORITY=(\d)\nSYSLOG_IDENTIFIER=httpmini\nSYSLOG_FACILITY=3\n")


@pytest.mark.parametrize("place", ["syslog", "journal"])
def test_the_systems_log(
    start: StartServer, site: Path, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A response is logged with priority 6 (info), "all slots are taken" with 4 (warning)."""
    of_root = [(4, "daemon.user is not set")] if os.geteuid() == 0 else []
    monkeypatch.setenv(f"HTTPMINI_{place.upper()}", str(tmp_path / "log"))
    settings = (
        f'[server]\nmax_clients = 1\nworkers = 1\nmode = "{mode}"\n[log]\naccess = "{place}"\nerror = "{place}"\n'
    )
    with datagrams(tmp_path / "log") as listening:
        server = start(site, config=settings)
        assert get(server.port, "/ten.txt")[0] == 200
        said = [listening.recv(65536).decode() for _ in range(3 + len(of_root))]
        found: list[tuple[int, str]] = []
        for datagram in said:
            if place == "syslog":
                fields = SYSLOG.fullmatch(datagram)
                assert fields, datagram
                assert int(fields[1]) >> 3 == 3, "the facility is daemon"
                found.append((int(fields[1]) & 7, fields[3]))
            else:
                fields = JOURNAL.fullmatch(datagram)
                assert fields, datagram
                found.append((int(fields[2]), fields[1]))
        texts = sorted((level, text.split(" - - [")[0].split(":")[0]) for level, text in found)
        assert texts == [*of_root, (4, "max_clients reached"), (5, "max_clients left"), (6, "127.0.0.1")]
    assert get(server.port, "/ten.txt")[0] == 200, "without a log daemon"
    (tmp_path / "log").unlink()
    with datagrams(tmp_path / "log") as listening:
        assert get(server.port, "/ten.txt")[0] == 200
        said = [listening.recv(65536).decode() for _ in range(2)]
        if mode != "forking":  # there each child counts its own lost lines
            assert any("lines were lost here" in text for text in said), said


def test_no_system_log(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPMINI_SYSLOG", str(tmp_path / "nobody"))
    (tmp_path / "conf.toml").write_text('[log]\naccess = "syslog"\n')
    command = [sys.executable, "-m", "httpmini", "serve", str(site), "-c", str(tmp_path / "conf.toml"), "-p", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f'httpmini: log "syslog": cannot write to {tmp_path}/nobody: No such file or directory; '
        'write "stdout" or a file instead\n'
    )


def documented(beginning: str, log: Path) -> list[str]:
    """Return the command in docs/logs.md that starts with ``beginning``, applied to ``log``."""
    lines = (REPOSITORY / "docs/logs.md").read_text().splitlines()
    [line] = [line.strip() for line in lines if line.strip().startswith(beginning)]
    return [str(log) if word == "access.log" else word for word in shlex.split(line, comments=True)]


@pytest.fixture(params=["common", "combined", "json"])
def written(request: pytest.FixtureRequest, start: StartServer, site: Path, tmp_path: Path) -> tuple[str, Path]:
    """A log in one of the formats: three responses, a missing file, three refused requests."""
    log = tmp_path / "access.log"
    server = start(site, config=f'[log]\naccess = "{log}"\nformat = "{request.param}"\n')
    for target in ("/ten.txt", "/ten.txt?query", "/", "/nothing"):
        get(server.port, target, "User-Agent: tests/1", "Referer: http://127.0.0.1/")
    for said in (b"GET /\x01 HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00", b"DELETE / HTTP/1.0\r\n\r\n"):
        converse(server.port, [said])
    assert server.stop() == 0
    return str(request.param), log


def test_goaccess_reads_it(written: tuple[str, Path], tmp_path: Path) -> None:
    form, log = written
    command = documented("goaccess access.log --date" if form == "json" else "goaccess access.log --log", log)
    command = [tool("goaccess", "goaccess"), *command[1:]]
    if form == "common":
        command = [word.replace("COMBINED", "COMMON") for word in command]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*command, "--no-global-config", "-o", str(report)], capture_output=True, timeout=WAIT_S, check=True
    )
    general = json.loads(report.read_text())["general"]
    # A line for bytes that are not HTTP has no method and no target. goaccess counts it as failed; it reads the others.
    assert (general["total_requests"], general["unique_not_found"]) == (7, 1), done
    assert general["valid_requests"] >= 5
    assert general["bandwidth"] > 20


def test_lnav_reads_it(written: tuple[str, Path], tmp_path: Path) -> None:
    form, log = written
    lnav = tool("lnav", "lnav")
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    if form == "json":
        install = [lnav, *documented("lnav -i", log)[1:]]
        subprocess.run(install, env=home, cwd=REPOSITORY, check=True, timeout=WAIT_S, capture_output=True)
        command = documented("lnav -n -c", log)
    else:
        command = ["lnav", "-n", "-c", ";SELECT sc_status, count(*), 0 FROM access_log GROUP BY sc_status", str(log)]
    done = subprocess.run([lnav, *command[1:]], env=home, capture_output=True, text=True, timeout=WAIT_S, check=True)
    counts = dict(line.split()[:2] for line in done.stdout.splitlines()[1:])
    expected = {"200": "3", "400": "2", "404": "1", "405": "1"}
    if form != "json":  # lnav finds no method in a line for bytes that are not HTTP, and leaves its fields empty
        expected |= {"400": "1", "<NULL>": "1"}
    assert counts == expected, done.stdout


def test_a_full_disk_costs_lines_and_no_response(site: Path, mode: str, tmp_path: Path) -> None:
    """On a file system of a few pages, the number of missing lines is logged as soon as there is room again."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (tmp_path / "httpmini.toml").write_text(
        f'[server]\nmode = "{mode}"\nworkers = 1\n[log]\naccess = "{folder}/access.log"\n'
    )
    mount = f'mount -t tmpfs -o size=64k none "{folder}" && exec "$@"'
    server = ServerProcess(
        [str(site), "-c", str(tmp_path / "httpmini.toml"), "--port", "0"],
        wrapper=(tool("unshare", "util-linux"), "-rm", "sh", "-c", mount, "sh"),
    )
    seen = Path(f"/proc/{server.pid}/root{folder}")
    log = seen / "access.log"
    try:
        (seen / "filling").write_bytes(bytes(56 * 1024))  # 8 KiB are left; afterwards there is room for all that waits
        asked = 0
        while log.stat().st_size < 8192 or asked < 200:
            assert get(server.port, f"/ten.txt?{asked}")[0] == 200
            asked += 1
        (seen / "filling").unlink()
        assert get(server.port, "/ten.txt?last")[0] == 200
        eventually(lambda: "/ten.txt?last" in log.read_text(), "there is room again")
        text = log.read_text()
        server.assert_clean_end()
    finally:
        server.kill()
    lost = sum(int(count) for count in re.findall(r"^\((\d+) lines were lost here\)$", text, re.MULTILINE))
    written = len(re.findall(r'^\S+ - - .*"GET /ten\.txt\?\d+ HTTP/1\.0" 200 10 .*$', text, re.MULTILINE))
    if mode == "forking":  # each child counts its own, and the count dies with it
        assert written < asked
    else:
        assert lost > 0
        assert written + lost == asked
