"""curl, OpenSSL's own client and sslyze against TLS; each says in its words what it thinks of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import WAIT_S, ServerProcess
from tests.support.tls import DAY, Authority
from tests.support.tools import tool

TEN = b"0123456789"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(site: Path, authority: Authority) -> Iterator[ServerProcess]:
    certificate, key = authority.pair("localhost", "127.0.0.1", ends=DAY * 60)
    flags = ["--port", "0", "--tls-cert", str(certificate), "--tls-key", str(key)]
    file = certificate.with_name("httpmini.toml")
    file.write_text("[limits]\nidle_s = 3\n")  # s_client waits for us to end a connection
    running = ServerProcess([str(site), "-c", str(file), *flags])
    try:
        yield running
        running.assert_clean_end()
    finally:
        running.kill()


def run(*command: str, said: bytes = b"", status: int | None = 0) -> str:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(command, input=said, capture_output=True, check=False, env=environment, timeout=WAIT_S)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert status is None or done.returncode == status, (done.returncode, text)
    return text


@pytest.mark.parametrize("option", ["--tlsv1.2", "--tlsv1.3", "--tls-max=1.2", "--no-alpn", "--http1.0", "--http2"])
def test_curl(server: ServerProcess, authority: Authority, option: str) -> None:
    """Two files on one connection, with the certificate checked."""
    urls = [f"{server.url}ten.txt", f"{server.url}sub/file.txt"]
    more = ["-H", "Connection: keep-alive", *option.split("=")]
    said = run(
        tool("curl", "curl"), "-sS", "--cacert", str(authority.certificate), *more, "-w", "%{num_connects} ", *urls
    )
    assert said == "01234567891 in sub\n0 "


def test_curl_refuses_another_name(server: ServerProcess, authority: Authority) -> None:
    where = ["--resolve", f"example.org:{server.port}:127.0.0.1", f"https://example.org:{server.port}/ten.txt"]
    run(tool("curl", "curl"), "-sS", "--cacert", str(authority.certificate), *where, status=60)


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(server: ServerProcess, version: str) -> None:
    command = [tool("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", version]
    said = run(*command, "-cipher", "ALL:@SECLEVEL=0", status=1)
    assert "alert protocol version" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_present_versions(server: ServerProcess, authority: Authority, version: str) -> None:
    command = [tool("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", version]
    checked = ["-CAfile", str(authority.certificate), "-verify_return_error", "-alpn", "h2,http/1.1", "-ign_eof"]
    said = run(*command, *checked, said=b"GET /ten.txt HTTP/1.0\r\n\r\n")
    assert TEN.decode() in said
    assert "ALPN protocol: http/1.1" in said
    assert "Verify return code: 0 (ok)" in said
    assert "Compression: NONE" in said
    assert "closed\n" in said  # by a goodbye


def test_renegotiation_is_refused(server: ServerProcess) -> None:
    """ "R" at the beginning of a line asks for it; the connection goes on without, or ends."""
    command = [tool("openssl", "openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2"]
    said = run(*command, said=b"R\n", status=None)
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


def test_sslyze_finds_nothing(server: ServerProcess) -> None:
    """Nothing but the authority of this test, which nobody trusts, and curves that Python cannot switch off."""
    program = Path(sys.executable).with_name("sslyze")
    if not program.exists():
        tool("sslyze", "sslyze (PyPI)")
    said = run(str(program), "--mozilla_config=intermediate", f"127.0.0.1:{server.port}", status=None)
    assert "Attempted to connect" in said
    found = [line.split(":")[0].strip(" *") for line in said.partition("COMPLIANCE")[2].splitlines() if " * " in line]
    assert set(found) <= {"certificate_path_validation", "tls_curves"}, said
    for check in (
        "Deflate Compression",
        "CCS Injection",
        "Downgrade Attacks",
        "Heartbleed",
        "ROBOT Attack",
        "Client Renegotiation DoS Attack",
        "Secure Renegotiation",
        "Extended Master Secret",
    ):
        after = said.partition(check)[2]
        assert after.partition("OK - ")[0].count("\n") <= 2, check
    assert "VULNERABLE" not in said
