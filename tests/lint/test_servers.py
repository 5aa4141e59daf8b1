"""Other servers fail exactly what docs/lint.md says, and so does the student's server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from httpmini.lint.cases.site_tree import make_site
from httpmini.lint.checks import CHECKS
from httpmini.lint.lab import Lab
from httpmini.lint.result import Report
from httpmini.lint.runner import Runner
from httpmini.lint.spawn import Spawned
from tests.support.processes import run_command
from tests.support.tools import tool

HOME = Path(__file__).parents[2]
PAGE = (HOME / "docs/lint.md").read_text()
POINTS = {check.id: float(check.level.points) for check in CHECKS}


def _http_server(_: Path) -> str:
    return f"{sys.executable} -m http.server {{port}} --bind 127.0.0.1 -d {{root}}"


def _nginx(folder: Path) -> str:
    """A shell command, for the port is known only when it is started."""
    places = "".join(
        f"{name}_temp_path {folder}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = (
        f"daemon off; user root; worker_processes 1; pid {folder}/pid; error_log {folder}/error; "
        f"events {{ }} http {{ access_log off; {places} include /etc/nginx/mime.types; "
        "server { listen 127.0.0.1:PORT; root ROOT; autoindex on; } }"
    )
    return _with_file(folder, config, f"exec {tool('nginx', 'nginx-light')} -e {folder}/error -c")


def _lighttpd(folder: Path) -> str:
    config = (
        'server.port = PORT\nserver.bind = "127.0.0.1"\nserver.document-root = "ROOT"\n'
        'server.modules = ("mod_dirlisting")\ndir-listing.activate = "enable"\nindex-file.names = ("index.html")\n'
        'mimetype.assign = (".txt" => "text/plain", ".html" => "text/html", ".PNG" => "image/png")\n'
    )
    return _with_file(folder, config, f"exec {tool('lighttpd', 'lighttpd')} -D -f")


def _with_file(folder: Path, config: str, command: str) -> str:
    (folder / "template").write_text(config)
    script = folder / "start"
    script.write_text(
        f'#!/bin/sh\nsed "s|PORT|$1|; s|ROOT|$2|" {folder}/template > {folder}/config\n{command} {folder}/config\n'
    )
    script.chmod(0o755)
    return f"{script} {{port}} {{root}}"


def _busybox(_: Path) -> str:
    return f"{tool('busybox', 'busybox')} httpd -f -p 127.0.0.1:{{port}} -h {{root}}"


def _caddy(folder: Path) -> str:
    return (
        f"env HOME={folder} {tool('caddy', 'caddy')} file-server --listen 127.0.0.1:{{port}} --root {{root}} --browse"
    )


SERVERS: dict[str, Callable[[Path], str]] = {
    "http.server": _http_server,
    "nginx": _nginx,
    "lighttpd": _lighttpd,
    "busybox": _busybox,
    "caddy": _caddy,
}
# It depends on how much time passes between two requests.
SOMETIMES = {"lighttpd": {"changed-file"}}


def examine(command: str, folder: Path, *, alone: bool) -> Report:
    server = Spawned(command, make_site(folder / "site"))
    try:
        server.start()
        lab = Lab("127.0.0.1", server.port, 5.0, "/ten.txt", server.root, server)
        return Runner(lab, POINTS).run([check for check in CHECKS if alone or not check.alone], command, "all")
    finally:
        server.close()


@pytest.mark.parametrize("name", SERVERS)
def test_what_a_server_fails(name: str, tmp_path: Path) -> None:
    documented = _documented(name)
    report = examine(SERVERS[name](tmp_path), tmp_path, alone=False)
    failed = {finding.id for finding in report.failed()}
    assert not [finding.id for finding in report.findings if finding.outcome == "not run"]
    assert failed - SOMETIMES.get(name, set()) == documented - SOMETIMES.get(name, set())


@pytest.mark.parametrize("name", ["nginx"])
def test_by_its_url(name: str, tmp_path: Path) -> None:
    """A server that runs already fails the same, as often as it is asked; without its folder, less can be asked."""
    tmp_path.chmod(0o755)
    server = Spawned(SERVERS[name](tmp_path), make_site(tmp_path / "site"))
    try:
        server.start()
        url = f"http://127.0.0.1:{server.port}/ten.txt"
        alone = [_outcomes_by_url(url) for _ in range(3)]
        known = [_outcomes_by_url(url, "--root", str(server.root)) for _ in range(3)]
    finally:
        server.close()
    for found in alone, known:
        assert found[0] == found[1] == found[2]
    failed = {one for one, outcome in known[0].items() if outcome == "failed"}
    assert failed == _documented(name) & known[0].keys()
    assert {one for one, outcome in alone[0].items() if outcome == "failed"} <= failed
    asked = {"passed", "failed"}
    assert {one for one, outcome in alone[0].items() if outcome in asked} < {
        one for one, outcome in known[0].items() if outcome in asked
    }


def _outcomes_by_url(url: str, *more: str) -> dict[str, str]:
    _, said, errors = run_command("lint", url, "--profile", "files", "--timeout", "20", "--json", "-", *more)
    assert errors == b""
    return {one["id"]: one["outcome"] for one in json.loads(said)["findings"]}


def _documented(name: str) -> set[str]:
    """The checks that a server fails, as the page says."""
    row = re.search(rf"^\| {re.escape(name)}[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE)
    assert row is not None
    return set(re.findall(r"`([^`]+)`", row[1]))


def test_the_server_of_a_student(tmp_path: Path) -> None:
    program = tmp_path / "student_server"
    source = HOME / "examples/student_server.c"
    subprocess.run([tool("cc", "gcc"), "-w", "-o", program, source], check=True)
    server = Spawned(f"{program} {{port}} {{root}}", make_site(tmp_path / "site"))
    try:
        server.start()
        lab = Lab("127.0.0.1", server.port, 5.0, "/ten.txt", server.root, server)
        report = Runner(lab, POINTS).run([check for check in CHECKS if "course" in check.profiles], "it", "course")
    finally:
        server.close()
    rows = PAGE[PAGE.index("## A server that a student") : PAGE.index("## What other servers")]
    taught = set(re.findall(r"`([a-z-]+)`", "".join(line for line in rows.splitlines() if line.startswith("| `"))))
    assert {finding.id for finding in report.failed("must")} == taught | {"dots"}
    assert f"{report.earned:g} of {report.possible:g} points" in rows
    assert f"has {len(source.read_text().splitlines())} lines" in rows
