"""The real client behind proxies: only the headers of trusted proxies count."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpmini.server.http.proxy_protocol import ProxyHeader, read_proxy_header
from tests.conftest import StartServer
from tests.support.wire import connect, read_all, read_answer

V2 = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "small.txt").write_bytes(b"small")
    return folder


def settings(mode: str, proxies: str, more: str = "") -> str:
    return f'[server]\nmode = "{mode}"\n{more}[proxies]\n{proxies}\n'


TRUSTED = 'trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]'

# Forwarding fields, and the client in the log.
FIELDS: dict[str, tuple[str, str]] = {
    "nothing": ("", "127.0.0.1"),
    "one": ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
    "with port": ("X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"),
    "IPv6": ("X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7"),
    "IPv6 in brackets": ("X-Forwarded-For: [2001:DB8::7]:80\r\n", "2001:db8::7"),
    "forged by the client": ("X-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n", "192.0.2.7"),
    "through two of ours": ("X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.1.2.3\r\n", "192.0.2.7"),
    "only ours": ("X-Forwarded-For: 10.9.9.9, 10.1.2.3\r\n", "10.9.9.9"),
    "two fields": ("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
    "rubbish": ("X-Forwarded-For: 192.0.2.7, nonsense\r\n", "127.0.0.1"),
    "rubbish before one of ours": ("X-Forwarded-For: nonsense, 10.1.2.3\r\n", "10.1.2.3"),
    "no address": ("X-Forwarded-For: 999.0.0.1\r\n", "127.0.0.1"),
    "empty": ("X-Forwarded-For:\r\n", "127.0.0.1"),
    "Forwarded": ("Forwarded: for=192.0.2.7;proto=http;by=10.0.0.1\r\n", "192.0.2.7"),
    "Forwarded, quoted": ('Forwarded: For="[2001:db8::7]:4711"\r\n', "2001:db8::7"),
    "Forwarded, several": ("Forwarded: for=1.1.1.1, for=192.0.2.7;by=x, for=10.0.0.3\r\n", "192.0.2.7"),
    "Forwarded, unknown": ("Forwarded: for=192.0.2.7, for=unknown\r\n", "127.0.0.1"),
    "Forwarded, hidden": ("Forwarded: for=_hidden\r\n", "127.0.0.1"),
    "Forwarded counts": ("X-Forwarded-For: 1.1.1.1\r\nForwarded: for=192.0.2.7\r\n", "192.0.2.7"),
}


def test_the_client_in_the_log(start: StartServer, root: Path, mode: str) -> None:
    """This holds for cached responses too, and if the next request on a connection has another client."""
    server = start(root, config=settings(mode, TRUSTED))
    with connect(server.port) as sock:
        for number, (fields, _) in enumerate(FIELDS.values()):
            for line in ("HTTP/1.0", "HTTP/1.1\r\nHost: h") * 3:
                head = f"GET /small.txt?{number} {line}\r\nConnection: keep-alive\r\n{fields}\r\n"
                sock.sendall(head.encode())
                assert read_answer(sock)[2] == b"small"
    for number, (_, expected) in enumerate(FIELDS.values()):
        server.wait_for_line(rf'"GET /small\.txt\?{number} HTTP/1\.[01]" 200 ', 6)
        hosts = {one.split()[0] for one in server.lines if f"/small.txt?{number} " in one}
        assert hosts == {expected}, list(FIELDS)[number]


def test_untrusted_peers_are_not_believed(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=settings(mode, 'trusted = ["192.0.2.0/24"]'))
    with connect(server.port) as sock:
        sock.sendall(b"GET /small.txt HTTP/1.0\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
        assert read_answer(sock)[2] == b"small"
    server.wait_for_line(r'^127\.0\.0\.1 - .*"GET /small\.txt HTTP/1\.0" 200 ')


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("rules", ['allow = ["198.51.100.0/24"]\n', 'deny = ["192.0.2.0/24", "127.0.0.0/8"]\n'])
def test_address_rules_apply_to_clients(start: StartServer, root: Path, mode: str, rules: str, version: str) -> None:
    """The proxy itself may always connect."""
    server = start(root, config=settings(mode, TRUSTED, rules))
    with connect(server.port) as sock:
        for host, status in (("198.51.100.1", 200), ("198.51.100.1", 200), ("192.0.2.7", 403)):
            field = f"Host: h\r\nConnection: keep-alive\r\nX-Forwarded-For: {host}\r\n"
            sock.sendall(f"GET /small.txt HTTP/{version}\r\n{field}\r\n".encode())
            assert read_answer(sock)[0] == status
    server.wait_for_line(r"^192\.0\.2\.7 - .* 403 .*reason=address-denied")
    with connect(server.port) as sock:  # a request of the proxy itself
        sock.sendall(b"GET /small.txt HTTP/1.0\r\n\r\n")
        assert read_answer(sock)[0] == 403


def v2(family: int, addresses: bytes, command: int = 0x21, more: bytes = b"") -> bytes:
    return V2 + bytes((command, family)) + struct.pack("!H", len(addresses + more)) + addresses + more


V2_IPV4 = v2(0x11, socket.inet_aton("192.0.2.7") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 80))
V2_IPV6 = v2(
    0x21,
    socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack("!HH", 4711, 80),
    more=b"\x04\x00\x03xyz",
)
OPENINGS: dict[str, tuple[bytes, str]] = {
    "version 1, IPv4": (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n", "192.0.2.7"),
    "version 1, IPv6": (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "2001:db8::7"),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "version 1, unknown with more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
    "version 2, IPv4": (V2_IPV4, "192.0.2.7"),
    "version 2, IPv6 and more": (V2_IPV6, "2001:db8::7"),
    "version 2, its own": (v2(0, b"", 0x20), "127.0.0.1"),
    "version 2, a unix socket": (v2(0x31, bytes(216)), "127.0.0.1"),
    "from one of ours": (b"PROXY TCP4 10.0.0.3 10.0.0.1 4711 80\r\n", "198.51.100.9"),
}
HEAD = "GET /small.txt?{} HTTP/1.0\r\nConnection: keep-alive\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n"


def test_a_connection_begins_with_a_header(start: StartServer, root: Path, mode: str) -> None:
    """It may come together with the request, or byte by byte; it applies to the whole connection."""
    protocol = settings(mode, f"{TRUSTED.replace('127.0.0.1', '127.0.0.1/32')}\nprotocol = true")
    server = start(root, config=protocol)
    for number, (opening, expected) in enumerate(OPENINGS.values()):
        with connect(server.port) as sock:
            request = HEAD.format(number).encode()
            if number % 2:
                sock.sendall(opening + request)
            else:
                for byte in opening:
                    sock.sendall(bytes((byte,)))
                sock.sendall(request)
            assert read_answer(sock)[2] == b"small"
            sock.sendall(request)
            assert read_answer(sock)[2] == b"small"
        server.wait_for_line(rf'"GET /small\.txt\?{number} HTTP/1\.0" 200 ', 2)
        hosts = {line.split()[0] for line in server.lines if f"/small.txt?{number} " in line}
        if expected == "127.0.0.1":  # trusted, so the field counts
            expected = "198.51.100.9"
        assert hosts == {expected}, list(OPENINGS)[number]


WRONG_OPENINGS: dict[str, bytes] = {
    "none": b"GET /small.txt HTTP/1.0\r\n\r\n",
    "none, a plain head": b"GET /small.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
    "nearly": b"PROXY TCP4 192.0.2.7\r\n",
    "too long": b"PROXY TCP4 " + b"1" * 200,
    "no address": b"PROXY TCP4 999.0.0.1 10.0.0.1 1 2\r\n",
    "no port": b"PROXY TCP4 192.0.2.7 10.0.0.1 99999 2\r\n",
    "version 3": v2(0x11, bytes(12), 0x31),
    "too short": v2(0x11, bytes(4)),
    "endless": V2 + b"\x21\x11\xff\xff",
}


def test_an_invalid_header_ends_the_connection(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=settings(mode, 'trusted = ["127.0.0.1"]\nprotocol = true'))
    for number, wrong in enumerate(WRONG_OPENINGS.values(), 1):
        with connect(server.port) as sock:
            sock.sendall(wrong)
            with suppress(ConnectionResetError):
                assert read_all(sock) == b""
        server.wait_for_line(r"127\.0\.0\.1:\d+ began with ", number)
    with connect(server.port) as sock:  # a health check that sends nothing
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", V2, V2 + b"\x21\x11", V2_IPV4[:20]]))
def test_reading_arbitrary_bytes_as_a_header(data: bytes, beginning: bytes) -> None:
    """It is read, refused or incomplete, and its length never exceeds the data."""
    try:
        opening = read_proxy_header(beginning + data)
    except ValueError:
        return
    assert opening is None or 0 < opening.length <= len(beginning + data)


@pytest.mark.parametrize("opening", [opening for opening, _ in OPENINGS.values()], ids=list(OPENINGS))
def test_an_incomplete_header_is_waited_for(opening: bytes) -> None:
    for length in range(len(opening)):
        assert read_proxy_header(opening[:length]) is None
    found = read_proxy_header(opening + b"GET /")
    assert isinstance(found, ProxyHeader)
    assert found.length == len(opening)
