"""certbot, and pebble as the authority: a certificate by way of the running server, and its renewal."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.processes import WAIT_S, ServerProcess, eventually
from tests.support.tls import Authority
from tests.support.tls_wire import converse_tls, unverified
from tests.support.tools import tool
from tests.support.wire import accepts, free_port, get

HOOK = Path(__file__).parents[2] / "conf" / "certbot" / "httpmini"
NAMES = ("example.org", "www.example.org")
REQUEST = [b"GET /small.txt HTTP/1.0\r\n\r\n"]


@contextmanager
def running(port: int, *command: str, **environment: str) -> Iterator[None]:
    """Run a program for as long as the block runs, which begins when the program listens."""
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: accepts(port) or process.poll() is not None, f"{command[0]} listens")
        assert process.poll() is None
        yield
    finally:
        process.kill()
        process.wait(WAIT_S)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def pebble(folder: Path, authority: Authority, challenged: int) -> Iterator[int]:
    """Run an authority that takes every name for 127.0.0.1, and looks for challenges at a port; yield its own port."""
    certificate, key = authority.pair("localhost")
    port, management, names, control = (free_port() for _ in range(4))
    settings = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": challenged,
        "tlsPort": free_port(),
    }
    file = folder / "pebble.json"
    file.write_text(json.dumps({"pebble": settings}))
    others = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", "")
    answers = (tool("pebble-challtestsrv", "pebble"), "-dns01", f"127.0.0.1:{names}", *others)
    with ExitStack() as stack:
        stack.enter_context(running(control, *answers, "-management", f"127.0.0.1:{control}"))
        ask = ("-config", str(file), "-dnsserver", f"127.0.0.1:{names}")
        at_once = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        stack.enter_context(running(port, tool("pebble", "pebble"), *ask, **at_once))
        yield port


@pytest.fixture
def home(tmp_path: Path, authority: Authority) -> Path:
    """A site with a certificate of another authority, so that plain requests are redirected."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "small.txt").write_text("small")
    (tmp_path / "tls").mkdir()
    for source, name in zip(authority.pair(*NAMES), ("fullchain.pem", "privkey.pem"), strict=True):
        (tmp_path / "tls" / name).write_bytes(source.read_bytes())
        (tmp_path / "tls" / name).chmod(0o600)
    return tmp_path


def certbot(home: Path, authority: Authority, *arguments: str) -> None:
    folders = [word for kind in ("config", "work", "logs") for word in (f"--{kind}-dir", str(home / f"certbot-{kind}"))]
    places = {"folder": str(home / "tls"), "group": str(os.getgid()), "REQUESTS_CA_BUNDLE": str(authority.certificate)}
    done = subprocess.run(
        [tool("certbot", "certbot"), *arguments, *folders, "--non-interactive"],
        env={"PATH": os.environ["PATH"], **places},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)


def served(server: ServerProcess, port: int) -> bytes:
    """Get a file by https at a port; return the certificate that came with it."""
    said, end = converse_tls(port, REQUEST, unverified(), NAMES[0])
    assert said.endswith(b"small")
    found = end.tls.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_webroot(home: Path, authority: Authority) -> None:
    """Only the challenge is answered without https; each new certificate is in use without a restart."""
    plain, port = free_port(), free_port()
    file = home / "httpmini.toml"
    file.write_text(
        f'[server]\nlisten = ["127.0.0.1:{plain}", "tls:127.0.0.1:{port}"]\n'
        f'[site]\nroot = "www"\nhosts = {json.dumps(NAMES)}\n'
        '[tls]\ncertificate = "tls/fullchain.pem"\nkey = "tls/privkey.pem"\nredirect = true\n'
    )
    server = ServerProcess(["-c", str(file)])
    seen = [served(server, port)]
    try:
        with pebble(home, authority, plain) as acme:
            assert get(plain, "/small.txt", "Host: example.org")[0] == 301
            names = [word for name in NAMES for word in ("-d", name)]
            at = ("--server", f"https://localhost:{acme}/dir", "--agree-tos", "--register-unsafely-without-email")
            webroot = ("--webroot", "-w", str(home / "www"), "--deploy-hook", f"sh {HOOK}")
            first, next_one = (
                ("certonly", *webroot, *names, *at),
                ("renew", "--force-renewal", "--no-random-sleep-on-renew"),
            )
            for count, arguments in enumerate((first, next_one), 1):
                certbot(home, authority, *arguments)
                server.process.send_signal(signal.SIGHUP)
                server.wait_for_line("(?<!not) reloaded: ", count)
                server.wait_for_line("fullchain.pem: a new certificate is in use", count)
                seen.append(served(server, port))
                assert ssl.PEM_cert_to_DER_cert(first_of(home / "tls" / "fullchain.pem")) == seen[-1]
        assert len(set(seen)) == 3
        server.assert_clean_end()
        challenges = [line for line in server.access_lines() if "/.well-known/acme-challenge/" in line]
        assert len(challenges) >= 2
        assert all('" 200 ' in line for line in challenges), challenges
    finally:
        server.kill()


def first_of(chain: Path) -> str:
    """Return the first certificate of a chain."""
    begin, middle, _ = chain.read_text().partition("-----END CERTIFICATE-----")
    return begin + middle + "\n"
