"""TLS with real sockets, in every mode: the same bytes, the same limits, and certificates that are exchanged."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import threading
from pathlib import Path

import pytest

from httpmini.client.client import Client
from httpmini.client.transport.routing import Routing
from httpmini.errors import FetchError
from httpmini.lint.cases import CASES
from tests.conftest import StartServer
from tests.support.processes import ServerProcess
from tests.support.sans_io import answers_to
from tests.support.tls import Authority
from tests.support.tls_wire import TlsEnd, converse_tls, unverified
from tests.support.wire import connect, converse, fields, free_port, get, mask_date, read_all, read_answer

CLIENTS = 5
SWAPS = {"select": 100, "prefork": 100}  # elsewhere fewer: a swap costs the same there, and clients cost more
FEWER_SWAPS = 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> tuple[Path, Path]:
    """Where the server has its certificate and its key: in a folder of their own."""
    (tmp_path / "tls").mkdir()
    files = tmp_path / "tls" / "fullchain.pem", tmp_path / "tls" / "privkey.pem"
    put(authority.pair("localhost", "127.0.0.1"), files)
    return files


@pytest.fixture(scope="module")
def truth(site: Path) -> dict[str, bytes]:
    return {case.name: mask_date(answers_to(site, [case.data])) for case in CASES}


def put(new: tuple[Path, Path], files: tuple[Path, Path]) -> None:
    """Replace the files, as certbot does: each at once."""
    for source, target in zip(new, files, strict=True):
        draft = target.with_suffix(".new")
        draft.write_bytes(source.read_bytes())
        draft.chmod(0o600)
        draft.replace(target)


def secure(files: tuple[Path, Path], more: str = "", listen: str = '"tls:127.0.0.1:0"') -> str:
    certificate, key = files
    return f'[server]\nlisten = [{listen}]\n{more}\n[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'


def certificate_of(port: int, name: str | None = None) -> bytes:
    """Return the certificate that the server shows."""
    _, end = converse_tls(port, [], unverified(), name)
    return end.tls.getpeercert(binary_form=True) or b""


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_every_wire_case(
    site: Path,
    mode: str,
    authority: Authority,
    files: tuple[Path, Path],
    truth: dict[str, bytes],
    start: StartServer,
) -> None:
    server = start(site, "--mode", mode, "--tls-cert", str(files[0]), "--tls-key", str(files[1]))
    assert server.banner.count("https://127.0.0.1:") == 1
    context = authority.client()
    for case in CASES:
        said, _ = converse_tls(server.port, [case.data], context, "localhost")
        assert mask_date(said) == truth[case.name], case.name
    assert server.descriptors() < 32, "descriptors leak"


def test_large_files_to_slow_readers(
    site: Path, mode: str, files: tuple[Path, Path], tmp_path: Path, start: StartServer
) -> None:
    """More than all buffers hold, while another client is served."""
    root = tmp_path / "www"
    root.mkdir()
    content = os.urandom(1 << 20) * 20
    (root / "large.bin").write_bytes(content)
    (root / "small.txt").write_bytes(b"small")
    server = start(root, "--mode", mode, config=secure(files))
    with connect(server.port) as sock:
        slow = TlsEnd(unverified())
        sock.sendall(slow.start())
        while not slow.is_established:
            sock.sendall(slow.hear(sock.recv(65536)))
        sock.sendall(slow.say(b"GET /large.bin HTTP/1.0\r\n\r\n"))
        slow.hear(sock.recv(1000))
        assert converse_tls(server.port, [b"GET /small.txt HTTP/1.0\r\n\r\n"], unverified())[0].endswith(b"small")
        slow.hear(read_all(sock))
    assert bytes(slow.said).endswith(content)
    assert slow.was_ended


def test_the_json_log(site: Path, mode: str, files: tuple[Path, Path], start: StartServer) -> None:
    log = '[log]\nformat = "json"\n'
    server = start(site, "--mode", mode, config=secure(files, listen='"tls:127.0.0.1:0", "127.0.0.1:0"') + log)
    converse_tls(server.port, [b"GET /ten.txt HTTP/1.0\r\n\r\n"], unverified())
    entry = json.loads(server.wait_for_line(r'^\{.*"target":"/ten.txt"'))
    assert (entry["tls"], entry["cipher"]) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    plain = int(re.findall(r"http://127.0.0.1:(\d+)/", server.banner)[0])
    get(plain, "/a%20b.txt")
    assert "tls" not in json.loads(server.wait_for_line(r'^\{.*"target":"/a%20b.txt"'))


def test_a_full_server(site: Path, mode: str, files: tuple[Path, Path], start: StartServer) -> None:
    """A client that has not finished its handshake has a slot, and one that is refused is told so through TLS."""
    more = 'max_clients = 1\noverflow = "refuse"\n'
    limits = "[limits]\nhead_s = 60\nidle_s = 60\nlinger_s = 60\n"
    server = start(site, "--mode", mode, config=secure(files, more) + limits)
    with connect(server.port) as first:
        busy = TlsEnd(unverified())
        first.sendall(busy.start())
        while not busy.is_established:
            first.sendall(busy.hear(first.recv(65536)))
        first.sendall(busy.say(b"GET /big.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
        busy.hear(first.recv(100))
        said, _ = converse_tls(server.port, [], unverified())
        assert said.startswith(b"HTTP/1.0 503 ")


def test_half_a_hello_is_ended_by_head_s(site: Path, mode: str, files: tuple[Path, Path], start: StartServer) -> None:
    limits = '[limits]\nhead_s = 0.3\n[log]\nlevel = "info"\n'
    server = start(site, "--mode", mode, config=secure(files) + limits)
    with connect(server.port) as sock:
        sock.sendall(TlsEnd(unverified()).start()[:50])
        assert read_all(sock) == b""
    server.wait_for_line("sent no whole TLS handshake within")


def test_without_tls(site: Path, mode: str, files: tuple[Path, Path], start: StartServer) -> None:
    server = start(site, "--mode", mode, config=secure(files))
    said = converse(server.port, [b"GET / HTTP/1.0\r\n\r\n"])
    assert said.startswith(b"HTTP/1.0 400 ")
    assert b"plain-on-tls" in said


def test_a_drain_says_goodbye(site: Path, mode: str, files: tuple[Path, Path], start: StartServer) -> None:
    server = start(site, "--mode", mode, config=secure(files))
    with connect(server.port) as sock:
        idle = TlsEnd(unverified())
        sock.sendall(idle.start())
        while not idle.is_established:
            sock.sendall(idle.hear(sock.recv(65536)))
        sock.sendall(idle.say(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
        while b"0123456789" not in idle.said:
            idle.hear(sock.recv(65536))
        server.process.send_signal(signal.SIGTERM)
        idle.hear(read_all(sock))
        assert idle.was_ended
    assert server.wait() == 0


def test_a_session_goes_on_in_another_process(
    site: Path, mode: str, files: tuple[Path, Path], start: StartServer
) -> None:
    """All processes read each other's tickets; after a reload they are of no use, and nothing fails."""
    server = start(site, "--mode", mode, config=secure(files))
    context = unverified()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # Python resumes these without more ado
    with connect(server.port) as sock, context.wrap_socket(sock) as tls:
        session = tls.session
    for _ in range(6):
        with connect(server.port) as sock, context.wrap_socket(sock, session=session) as tls:
            assert tls.session_reused
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_line("(?<!not) reloaded: ")
    with connect(server.port) as sock, context.wrap_socket(sock, session=session) as tls:
        tls.sendall(b"GET /ten.txt HTTP/1.0\r\n\r\n")
        assert tls.recv(65536).startswith(b"HTTP/1.0 200 ")


# Renewal.


def test_a_reload_takes_new_files_and_refuses_wrong_ones(
    site: Path, mode: str, authority: Authority, files: tuple[Path, Path], start: StartServer
) -> None:
    server = start(site, "--mode", mode, config=secure(files))
    first = der(files[0])
    assert certificate_of(server.port) == first
    with connect(server.port) as sock:
        kept = TlsEnd(unverified())
        sock.sendall(kept.start())
        while not kept.is_established:
            sock.sendall(kept.hear(sock.recv(65536)))
        put(authority.pair("localhost"), files)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("fullchain.pem: a new certificate is in use, until 20")
        server.wait_for_line("(?<!not) reloaded: ")
        sock.sendall(kept.say(b"GET /ten.txt HTTP/1.0\r\n\r\n"))  # a connection that is open goes on
        kept.hear(read_all(sock))
        assert bytes(kept.said).endswith(b"0123456789")
    second = der(files[0])
    assert certificate_of(server.port) == second != first
    files[1].write_bytes(authority.pair("localhost")[1].read_bytes())  # of another certificate
    server.process.send_signal(signal.SIGHUP)
    line = server.wait_for_line("tls.key = .*is not the key of tls.certificate = ")
    assert "the certificate from before stays, until 20" in line
    server.wait_for_line("(?<!not) reloaded: ", 2)
    assert certificate_of(server.port) == second


@pytest.mark.long
@pytest.mark.parametrize("mode", ["select", "prefork"])
def test_new_files_are_noticed(
    site: Path, mode: str, authority: Authority, files: tuple[Path, Path], start: StartServer
) -> None:
    """Nobody tells the server, and it is idle."""
    server = start(site, "--mode", mode, config=secure(files))
    put(authority.pair("localhost"), files)
    server.wait_for_line("fullchain.pem: a new certificate is in use")
    wait_for_certificate(server, der(files[0]))  # in prefork mode workers with the old one may still take clients
    assert not any("reloaded" in line for line in server.lines)


def wait_for_certificate(server: ServerProcess, expected: bytes) -> None:
    """Wait until new workers serve: each begins before the old ones go."""
    for _ in range(1000):
        if certificate_of(server.port) == expected:
            return
        threading.Event().wait(0.02)
    raise AssertionError("the workers go on with the old certificate")


def test_swaps_under_five_clients(
    site: Path, mode: str, authority: Authority, files: tuple[Path, Path], start: StartServer
) -> None:
    swaps = SWAPS.get(mode, FEWER_SWAPS)
    pairs = [authority.pair("localhost", "127.0.0.1") for _ in range(2)]
    server = start(site, "--mode", mode, config=secure(files))
    stop, failures, answers = threading.Event(), list[str](), [0] * CLIENTS

    def ask(number: int) -> None:
        with Client(routing=Routing(tls=authority.client())) as client:
            while not stop.is_set():
                try:
                    with client.fetch(f"https://127.0.0.1:{server.port}/ten.txt") as response:
                        if response.read() != b"0123456789":
                            failures.append("other content")
                    answers[number] += 1
                except FetchError as error:
                    failures.append(str(error))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        for number in range(swaps):
            put(pairs[number % 2], files)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("(?<!not) reloaded: ", number + 1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert min(answers) > 0
    assert sum("a new certificate is in use" in line for line in server.lines) == swaps


# Names, and listeners without TLS.


@pytest.fixture
def two_sites(authority: Authority, tmp_path: Path) -> tuple[str, list[Path]]:
    """A file with two sites, each with a certificate."""
    roots = [tmp_path / name for name in ("first", "second")]
    for root in roots:
        (root / "sub").mkdir(parents=True)
        (root / ".well-known" / "acme-challenge").mkdir(parents=True)
        (root / ".well-known" / "acme-challenge" / "token").write_text(f"proof of {root.name}")
        (root / "who.txt").write_text(root.name)
    pairs = [authority.pair("first.example", "www.first.example"), authority.pair("*.second.example")]
    text = '[server]\nlisten = ["tls:127.0.0.1:0", "127.0.0.1:0"]\n[tls]\nredirect = true\n'
    for root, hosts, pair in zip(roots, ('"First.example"', '"a.second.example"'), pairs, strict=True):
        text += f'[[site]]\nroot = "{root}"\nhosts = [{hosts}]\n'
        text += f'[site.tls]\ncertificate = "{pair[0]}"\nkey = "{pair[1]}"\n'
    return text, [pair[0] for pair in pairs]


def test_the_certificate_is_that_of_the_name(
    mode: str, two_sites: tuple[str, list[Path]], tmp_path: Path, start: StartServer
) -> None:
    text, certificates = two_sites
    server = start(tmp_path / "first", "--mode", mode, config=text)
    first, second = map(der, certificates)
    for name, expected in (
        ("first.example", first),
        ("a.second.example", second),
        ("A.Second.EXAMPLE", second),
        ("b.second.example", first),  # a name of no site
        ("unknown.example", first),
        (None, first),
    ):
        assert certificate_of(server.port, name) == expected, name
    said, _ = converse_tls(server.port, [b"GET /who.txt HTTP/1.0\r\nHost: a.second.example\r\n\r\n"], unverified())
    assert said.endswith(b"second")


def test_redirects_to_https(mode: str, two_sites: tuple[str, list[Path]], tmp_path: Path, start: StartServer) -> None:
    text, _ = two_sites
    server = start(tmp_path / "first", "--mode", mode, config=text)
    plain = int(re.findall(r"http://127.0.0.1:(\d+)/", server.banner)[0])
    base, other = f"https://First.example:{server.port}", f"https://a.second.example:{server.port}"
    for target, host, location in (
        ("/who.txt", "first.example", f"{base}/who.txt"),
        ("/sub/?a=b&c", "first.example:80", f"{base}/sub/?a=b&c"),
        ("/", "A.second.example", f"{other}/"),
        ("//x//y/..", "evil.example", f"{base}/x/y/.."),
        ("/%0d%0aX:%20y", "first.example", f"{base}/%0D%0AX:%20y"),
        ("http://a.second.example/z?q", "first.example", f"{other}/z?q"),
    ):
        status, named, _ = get(plain, target, f"Host: {host}")
        assert (status, named.get("location")) == (301, location), target
    status, _, body = get(plain, "/.well-known/acme-challenge/token", "Host: a.second.example")
    assert (status, body) == (200, b"proof of second")
    assert get(plain, "/.well-known/acme-challenge/nothing")[0] == 404
    assert (get(plain, "/100%")[0], get(plain, "/", "A b: c")[0]) == (400, 400)  # the site refuses them
    assert converse(plain, [b"POST / HTTP/1.0\r\n\r\n"]).startswith(b"HTTP/1.0 405 ")
    assert get(plain, "/who.txt", "X-Forwarded-Proto: https")[0] == 301  # said by nobody who is trusted
    said, _ = converse_tls(server.port, [b"GET /sub HTTP/1.0\r\n\r\n"], unverified())
    assert fields(said.partition(b"\r\n\r\n")[0])["location"] == "./sub/"  # stays where it is


def test_a_proxy_that_speaks_https_with_its_clients(
    site: Path, authority: Authority, files: tuple[Path, Path], start: StartServer
) -> None:
    text = secure(files, listen='"tls:127.0.0.1:0", "127.0.0.1:0"') + 'redirect = true\n[site]\nhosts = ["localhost"]\n'
    server = start(site, config=text + '[proxies]\ntrusted = ["127.0.0.1"]\n')
    plain = int(re.findall(r"http://127.0.0.1:(\d+)/", server.banner)[0])
    client = "X-Forwarded-For: 192.0.2.9"
    assert get(plain, "/ten.txt", client, "X-Forwarded-Proto: https")[2] == b"0123456789"
    for proto in ("http", "https, http", ""):
        assert get(plain, "/ten.txt", client, f"X-Forwarded-Proto: {proto}")[0] == 301


def test_tls_comes_and_goes_with_a_reload(
    site: Path, mode: str, files: tuple[Path, Path], tmp_path: Path, start: StartServer
) -> None:
    """The listener stays the same socket."""
    port = free_port()
    more = f'[site]\nroot = "{site}"\n[daemon]\nreadable = ["{files[0].parent}"]\n'
    plain = f'[server]\nlisten = ["127.0.0.1:{port}"]\n{more}'
    encrypted = secure(files, listen=f'"tls:127.0.0.1:{port}"') + more
    file = tmp_path / "etc" / "httpmini.toml"
    file.parent.mkdir()
    file.write_text(plain)
    server = ServerProcess(["-c", str(file), "--mode", mode])
    try:
        assert get(port, "/ten.txt")[0] == 200
        for number, text in enumerate((encrypted, plain, encrypted), 1):
            file.write_text(text)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("(?<!not) reloaded: ", number)
            if text is plain:
                assert get(port, "/ten.txt")[0] == 200
            else:
                assert converse_tls(port, [b"GET /ten.txt HTTP/1.0\r\n\r\n"], unverified())[0].endswith(b"0123456789")
        server.assert_clean_end()
    finally:
        server.kill()


def test_status_and_metrics(site: Path, mode: str, files: tuple[Path, Path], start: StartServer) -> None:
    server = start(site, "--mode", mode, "--status", config=secure(files))
    status = int(re.findall(r"status at http://127.0.0.1:(\d+)/", server.banner)[0])
    _, _, body = get(status, "/-/metrics")
    match = re.search(rb'^httpmini_tls_not_after_seconds\{name="localhost"\} (\d+)$', body, re.MULTILINE)
    assert match is not None
    expected = ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(str(files[0]))["notAfter"])  # type: ignore[attr-defined]
    assert int(match[1]) == expected


def test_no_ssl_without_tls(site: Path, start: StartServer) -> None:
    server = start(site)
    get(server.port, "/ten.txt")
    assert "libssl" not in Path(f"/proc/{server.pid}/maps").read_text()


def test_a_kept_connection(site: Path, mode: str, files: tuple[Path, Path], start: StartServer) -> None:
    server = start(site, "--mode", mode, config=secure(files))
    with connect(server.port) as sock, unverified().wrap_socket(sock) as tls:
        for _ in range(50):
            tls.sendall(b"GET /ten.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert read_answer(tls)[2] == b"0123456789"
