"""The files in conf/ that run httpmini as a service."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from httpmini.config import load, rows
from httpmini.version import __version__
from tests.conftest import StartServer
from tests.support.processes import WAIT_S
from tests.support.tools import tool
from tests.support.wire import get

ROOT = Path(__file__).parents[2]
INSTALLED = "/opt/httpmini/bin/httpmini"
# In tenths. systemd calls a unit safe up to 1.9; ours stays below this (systemd.exec(5), systemd-analyze(1)).
EXPOSURE_TENTHS = 4


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units, with a command that exists on this machine."""
    command = Path(sys.executable).with_name("httpmini")
    assert command.exists()
    copies = []
    for unit in sorted((ROOT / "conf" / "systemd").glob("httpmini.s*")):
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(unit.read_text().replace(INSTALLED, str(command)))
    assert [copy.name for copy in copies] == ["httpmini.service", "httpmini.socket"]
    return copies


def analyse(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [tool("systemd-analyze", "systemd"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)


def test_systemd_understands_them(units: list[Path]) -> None:
    done = analyse("verify", *map(str, units))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_little_is_left_open(units: list[Path]) -> None:
    done = analyse("security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", str(units[0]))
    assert done.returncode == 0, done.stdout
    assert re.search(r"exposure level for httpmini\.service: 0\.\d SAFE", done.stdout), done.stdout


def _system_calls() -> dict[str, set[str]]:
    """Return systemd's groups of system calls with their members."""
    groups: dict[str, set[str]] = {}
    for line in analyse("syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            members = groups.setdefault(line.strip(), set())
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.add(line.strip())
    return groups


def _resolve(name: str, groups: dict[str, set[str]]) -> set[str]:
    return set().union(*(_resolve(one, groups) for one in groups[name])) if name in groups else {name}


def test_no_system_call_is_missing(start: StartServer, tmp_path: Path, mode: str) -> None:
    """The unit allows every call that the server makes: for its sandbox, limits, a reload, pages and large files."""
    allowed: set[str] = set()
    groups = _system_calls()
    for line in re.findall(
        r"^SystemCallFilter=(.*)$", (ROOT / "conf/systemd/httpmini.service").read_text(), re.MULTILINE
    ):
        named = set().union(*(_resolve(name, groups) for name in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    root = tmp_path / "root"
    root.mkdir()
    with open(root / "large.bin", "wb") as file:
        file.truncate(3_000_000)
    counts = tmp_path / "counts"
    limits = "[limits]\naddress_clients = 9\naddress_requests_per_s = 99.0\ntotal_bytes_per_s = 9000000\n"
    text = f'[server]\nmode = "{mode}"\nworkers = 2\n{limits}[status]\non_site = true\n[log]\naccess = "access.log"\n'
    server = start(root, config=text, wrapper=(tool("strace", "strace"), "-f", "-c", "-o", str(counts)))
    (process,) = server.children()
    for target in ("/", "/large.bin", "/large.bin", "/nowhere", "/-/status.json"):
        get(server.port, target, "Host: localhost")
    os.kill(process, signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")
    assert len(get(server.port, "/large.bin")[2]) == 3_000_000
    os.kill(process, signal.SIGTERM)  # strace does not pass signals on
    assert server.wait() == 0
    used = {line.split()[-1] for line in counts.read_text().splitlines()[2:-2]}
    assert {"landlock_restrict_self", "sendfile", "memfd_create"} <= used
    assert used - allowed == set()


def test_a_drain_ends_in_time() -> None:
    """The service manager waits longer than ``drain_s`` before it kills the server."""
    drain_s = next(float(row.default) for row in rows() if row.key == "limits.drain_s")
    unit = (ROOT / "conf/systemd/httpmini.service").read_text()
    script = (ROOT / "conf/openrc/httpmini").read_text()
    for pattern, text in ((r"^TimeoutStopSec=(\d+)$", unit), (r'^retry="TERM/(\d+)/', script)):
        match = re.search(pattern, text, re.MULTILINE)
        assert match is not None
        assert int(match[1]) > drain_s


def test_the_config_file_is_right(tmp_path: Path) -> None:
    """Its folders exist only on the machine that it is made for, so they are created here."""
    text = (ROOT / "conf/systemd/httpmini.toml").read_text()
    for folder in ("/srv/www", "/var/log/httpmini", "/run/httpmini"):
        assert f'"{folder}' in text
        here = tmp_path / folder[1:]
        here.mkdir(parents=True)
        text = text.replace(f'"{folder}', f'"{here}')
    file = tmp_path / "httpmini.toml"
    file.write_text(text)
    command = [sys.executable, "-m", "httpmini", "config", "check", "-c", str(file)]
    assert subprocess.run(command, capture_output=True, timeout=WAIT_S, check=False).returncode == 0


def test_the_openrc_script_is_executable_and_parses() -> None:
    script = ROOT / "conf/openrc/httpmini"
    assert script.stat().st_mode & 0o111
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_deploy_hook_of_certbot(tmp_path: Path) -> None:
    """Both files arrive whole, readable for the group, and replace older ones."""
    lineage, folder = tmp_path / "lineage", tmp_path / "tls"
    lineage.mkdir()
    environment = {"PATH": os.defpath, "RENEWED_LINEAGE": str(lineage), "folder": str(folder)}
    for text in ("first", "second"):
        for name in ("fullchain.pem", "privkey.pem"):
            (lineage / name).write_text(f"{text} {name}")
        command = ["sh", str(ROOT / "conf/certbot/httpmini")]
        subprocess.run(command, env={**environment, "group": str(os.getgid())}, check=True, timeout=WAIT_S)
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            "fullchain.pem": f"{text} fullchain.pem",
            "privkey.pem": f"{text} privkey.pem",
        }
    assert (folder / "privkey.pem").stat().st_mode & 0o777 == 0o640


def test_the_image_has_the_version_of_the_manifest() -> None:
    assert f"image: httpmini:{__version__}\n" in (ROOT / "conf/kubernetes/httpmini.yaml").read_text()


def test_files_that_go_into_the_image_exist() -> None:
    for line in (ROOT / "conf/docker/Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


def test_the_kubernetes_manifest(tmp_path: Path) -> None:
    """Its settings are right, the server listens on every port, and a drain ends before the process is killed."""
    parts = {part["kind"]: part for part in yaml.safe_load_all((ROOT / "conf/kubernetes/httpmini.yaml").read_text())}
    text = parts["ConfigMap"]["data"]["httpmini.toml"]
    assert '"/srv/www"' in text
    file = tmp_path / "httpmini.toml"
    file.write_text(text.replace('"/srv/www"', f'"{tmp_path}"'))
    settings = load(str(file))
    pod = parts["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings.server.listen == [f"*:{ports['http']}"]
    assert settings.status.listen == [f"*:{ports['status']}"]
    assert {container[probe]["httpGet"]["port"] for probe in ("readinessProbe", "livenessProbe")} == {"status"}
    assert parts["Service"]["spec"]["ports"][0]["targetPort"] in ports
    assert parts["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    wait_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] > wait_s + settings.limits.drain_s
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
