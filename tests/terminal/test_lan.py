"""Which addresses --lan listens on: in a network namespace with interfaces of every kind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from pyte.screens import Screen

from tests.support.processes import WAIT_S
from tests.support.terminal import HOME
from tests.support.tools import tool
from tests.terminal.conftest import StartTerminal

LAN = "192.168.7.23"
_MARGIN, _ZOOM = 4, 8  # of the picture that is read back
INTERFACES = {
    "eth0": (f"{LAN}/24", "203.0.113.5/24", "fd00:7::23/64"),
    "wlan0": ("10.1.2.3/8", "169.254.9.9/16"),
    "docker0": ("172.17.0.1/16",),
    "br-0123456789ab": ("172.18.0.1/16",),
    "ppp0": ("198.51.100.7/32", "2001:db8::7/64"),
}
NOTHING_PRIVATE = {"docker0": ("172.17.0.1/16",), "eth0": ("203.0.113.5/24",)}


def apart(interfaces: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return a wrapper that runs a command in a network namespace of its own, with these interfaces."""
    ip = tool("ip", "iproute2")
    steps = [f"{ip} link set lo up"]
    for name, addresses in interfaces.items():
        steps.append(f"{ip} link add {name} type bridge && {ip} link set {name} up")
        for address in addresses:
            steps.append(f"{ip} address add {address} dev {name} {'nodad' if ':' in address else ''}")
    script = " && ".join(steps) + ' && exec "$@"'
    return (tool("unshare", "util-linux"), "--map-root-user", "--net", "sh", "-c", script, "sh")


def run(folder: Path, interfaces: dict[str, tuple[str, ...]], *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [*apart(interfaces), sys.executable, "-m", "httpmini", "serve", *arguments]
    environment = {"PYTHONPATH": str(HOME)}
    return subprocess.run(
        program, cwd=folder, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=False
    )


def read_code(screen: Screen) -> str:
    """Return what the QR code on a screen says: two pixels for each character, one above the other."""
    lines = [line.rstrip() for line in screen.display if re.search("[█▀▄]{3}", line)]
    width = max(map(len, lines)) + 2 * _MARGIN
    light = [[False] * width] * _MARGIN
    rows = [[char in dark for char in f"{' ' * _MARGIN}{line}".ljust(width)] for line in lines for dark in ("█▀", "█▄")]
    pixels = [bytes(0 if dark else 255 for dark in row for _ in range(_ZOOM)) for row in (*light, *rows, *light)]
    octets = b"".join(line for line in pixels for _ in range(_ZOOM))
    image = memoryview(octets).cast("B", [len(pixels) * _ZOOM, width * _ZOOM])
    (code,) = zxingcpp.read_barcodes(image)
    return str(code.text)


def test_private_addresses_alone_and_the_code(share: StartTerminal) -> None:
    terminal = share("--lan", columns=100, wrapper=apart(INTERFACES))
    terminal.wait_for("▀.*\n.*▀")
    found = re.findall(r"http://(\S+):\d+/", terminal.text)
    assert found == ["localhost", LAN, "10.1.2.3", "[fd00:7::23]"]
    assert f"http://{LAN}:{terminal.port}/      anybody on it can read this folder" in terminal.text
    assert read_code(terminal.screen) == f"http://{LAN}:{terminal.port}/"
    assert terminal.end() == 0


SECURE = """\
Sharing ~/Pictures: 2 files, 64.0 MB. Ctrl-C stops.
  on this machine   https://localhost:PORT/
  on your network   https://192.168.7.23:PORT/
    anybody with the password can read this folder
  password          WORDS      with any user name
  certificate       for a day; browsers warn of it
  SHA-256           OCTETS OCTETS
    OCTETS OCTETS
"""


def test_https(share: StartTerminal) -> None:
    """The first lines name the certificate that clients see, and nothing warns of what TLS prevents."""
    terminal = share("--lan", "--tls", "--password", wrapper=apart({"eth0": (f"{LAN}/24",)}))
    terminal.wait_for("▀.*\n.*▀")
    shown = "\n".join(line for line in terminal.text.splitlines() if not re.search("[█▀▄]{2}", line)) + "\n"
    masked = re.sub(r"\b[A-F0-9]{2}(:[A-F0-9]{2}){7}\b", "OCTETS", shown.replace(f":{terminal.port}/", ":PORT/"))
    assert re.sub(r"\b[a-z]{4}(-[a-z]{4}){3}\b", "WORDS", masked) == SECURE
    assert read_code(terminal.screen) == f"https://{LAN}:{terminal.port}/"
    found = "".join(re.findall(r"(?:[A-F0-9]{2}:){7}[A-F0-9]{2}", terminal.text)).replace(":", "")
    inside = ("--preserve-credentials", "--user", "--net", "--target", str(terminal.process.pid))
    client = (sys.executable, "-c", FINGERPRINT, str(terminal.port))
    told = subprocess.run((tool("nsenter", "util-linux"), *inside, *client), capture_output=True, check=True)
    assert told.stdout.decode().strip().upper() == found
    assert terminal.end() == 0


FINGERPRINT = """
import hashlib, ssl, sys
print(hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", int(sys.argv[1]))))).hexdigest())
"""


def test_every_address(share: StartTerminal) -> None:
    """Public addresses are named as well, and what is inside of this machine is not."""
    terminal = share("-b", "*", wrapper=apart(INTERFACES))
    terminal.wait_for("Every address of this machine is open")
    found = re.findall(r"http://(\S+):\d+/", terminal.text)
    assert found[0] == "localhost"
    assert sorted(found[1:]) == sorted(
        [LAN, "10.1.2.3", "203.0.113.5", "198.51.100.7", "[fd00:7::23]", "[2001:db8::7]"]
    )
    assert "█" not in terminal.text
    assert terminal.end() == 0


@pytest.mark.parametrize("interfaces", [{}, NOTHING_PRIVATE], ids=["no network", "nothing private"])
def test_nobody_to_let_in(pictures: Path, interfaces: Any) -> None:
    done = run(pictures, interfaces, "--lan")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"httpmini: --lan: this machine has no private address .*\n", done.stderr)


def test_a_code_that_does_not_fit(share: StartTerminal) -> None:
    terminal = share("--lan", "--qr", columns=24, wrapper=apart({"eth0": (f"{LAN}/24",)}))
    terminal.wait_for(r"too\s+narrow")
    assert terminal.end() == 0
