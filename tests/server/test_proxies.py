"""The real client behind proxies: only the headers of trusted proxies count."""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from httpmini.protocol.message import Headers
from httpmini.server.http.forwarded import Source, TrustedProxies
from httpmini.server.http.proxy_protocol import ProxyHeader, read_proxy_header
from httpmini.server.limits.address_rules import AddressRules
from httpmini.server.listeners.peer import Peer, accepted_host, client_host
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

NOBODY = ""  # refused

# Forwarding fields, and the client that they name.
X_FORWARDED_FOR: dict[str, tuple[str, str]] = {
    "nothing: the proxy's own": ("", "127.0.0.1"),
    "one": ("X-Forwarded-For: 192.0.2.7", "192.0.2.7"),
    "with port": ("X-Forwarded-For: 192.0.2.7:4711", "192.0.2.7"),
    "the last port": ("X-Forwarded-For: 192.0.2.7:65535", "192.0.2.7"),
    "IPv6": ("X-Forwarded-For: 2001:db8::7", "2001:db8::7"),
    "IPv6 in brackets": ("X-Forwarded-For: [2001:DB8::7]:80", "2001:db8::7"),
    "IPv6, spelled out": ("X-Forwarded-For: 2001:0db8:0:0:0:0:0:07", "2001:db8::7"),
    "IPv4 in IPv6": ("X-Forwarded-For: ::ffff:192.0.2.7", "192.0.2.7"),
    "forged by the client": ("X-Forwarded-For: 1.1.1.1, 192.0.2.7", "192.0.2.7"),
    "forged rubbish": ('X-Forwarded-For: "x, 192.0.2.7', "192.0.2.7"),
    "through two of ours": ("X-Forwarded-For: 1.1.1.1, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
    "only ours": ("X-Forwarded-For: 10.9.9.9, 10.1.2.3", "10.9.9.9"),
    "two fields": ("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.7"),
    "two fields, the first empty": ("X-Forwarded-For:\r\nx-forwarded-for: 192.0.2.7", "192.0.2.7"),
    "Forwarded is not for us": ("Forwarded: for=198.51.100.1\r\nX-Forwarded-For: 192.0.2.7", "192.0.2.7"),
    "Forwarded alone is not for us": ("Forwarded: for=198.51.100.1", "127.0.0.1"),
    "other fields are not for us": (
        "X-Real-IP: 1.1.1.1\r\nX-Client-IP: 1.1.1.1\r\nX_Forwarded_For: 1.1.1.1",
        "127.0.0.1",
    ),
    "rubbish": ("X-Forwarded-For: 192.0.2.7, nonsense", NOBODY),
    "rubbish before one of ours": ("X-Forwarded-For: nonsense, 10.1.2.3", NOBODY),
    "unknown": ("X-Forwarded-For: 192.0.2.7, unknown", NOBODY),
    "no address": ("X-Forwarded-For: 999.0.0.1", NOBODY),
    "half an address": ("X-Forwarded-For: 192.0.2", NOBODY),
    "octal or not": ("X-Forwarded-For: 192.0.2.07", NOBODY),
    "no port": ("X-Forwarded-For: 192.0.2.7:", NOBODY),
    "a port too high": ("X-Forwarded-For: 192.0.2.7:65536", NOBODY),
    "a port much too high": ("X-Forwarded-For: 1.2.3.4:99999", NOBODY),
    "IPv4 in brackets": ("X-Forwarded-For: [192.0.2.7]", NOBODY),
    "a zone": ("X-Forwarded-For: fe80::1%eth0", NOBODY),
    "quoted": ('X-Forwarded-For: "192.0.2.7"', NOBODY),
    "a path": ("X-Forwarded-For: unix:", NOBODY),
    "empty": ("X-Forwarded-For:", NOBODY),
    "empty at the end": ("X-Forwarded-For: 203.0.113.9,", NOBODY),
    "empty at the end, with a blank": ("X-Forwarded-For: 203.0.113.9,\t ", NOBODY),
    "two fields, the last empty": ("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For:", NOBODY),
    "commas alone": ("X-Forwarded-For: ,,", NOBODY),
    "more proxies than anybody has": ("X-Forwarded-For: 192.0.2.7" + ", 10.0.0.1" * 16, NOBODY),
    "many proxies": ("X-Forwarded-For: 192.0.2.7" + ", 10.0.0.1" * 15, "192.0.2.7"),
}
FORWARDED: dict[str, tuple[str, str]] = {
    "nothing: the proxy's own": ("", "127.0.0.1"),
    "one": ("Forwarded: for=192.0.2.7;proto=http;by=10.0.0.1", "192.0.2.7"),
    "IPv6": ('Forwarded: For="[2001:db8::7]:4711"', "2001:db8::7"),
    "a port with a made-up name": ('Forwarded: for="192.0.2.7:_p-1"', "192.0.2.7"),
    "quoted pairs": (r'Forwarded: for="192\.0.2\.7"', "192.0.2.7"),
    "several": ("Forwarded: for=1.1.1.1, for=192.0.2.7;by=x, for=10.0.0.3", "192.0.2.7"),
    "empty parameters": ("Forwarded: ;for=192.0.2.7;;proto=http; by=x;", "192.0.2.7"),
    "two fields": ("Forwarded: for=1.1.1.1\r\nForwarded: for=192.0.2.7", "192.0.2.7"),
    "an element in a quoted string": ('Forwarded: for=192.0.2.7;host="x, for=198.51.100.1"', "192.0.2.7"),
    "a parameter in a quoted string": ('Forwarded: host=";for=198.51.100.1;x=";for=192.0.2.7', "192.0.2.7"),
    "a quote in a quoted string": (r'Forwarded: for=192.0.2.7;host="\", for=198.51.100.1, x=\""', "192.0.2.7"),
    "a quote that is not closed": ('Forwarded: for="x, for=192.0.2.7', "192.0.2.7"),
    "such a quote, and quotes of ours": ('Forwarded: for="x, for="192.0.2.7";host="h"', "192.0.2.7"),
    "such a quote in another field": ('Forwarded: for="x\r\nForwarded: for=192.0.2.7', "192.0.2.7"),
    "a backslash at the end of another field": ('Forwarded: for="\\\r\nForwarded: for=192.0.2.7', "192.0.2.7"),
    "X-Forwarded-For is not for us": ("Forwarded: for=192.0.2.7\r\nX-Forwarded-For: 1.1.1.1", "192.0.2.7"),
    "X-Forwarded-For alone is not for us": ("X-Forwarded-For: 1.1.1.1", "127.0.0.1"),
    "unknown": ("Forwarded: for=192.0.2.7, for=unknown", NOBODY),
    "hidden": ("Forwarded: for=_hidden", NOBODY),
    "hidden before one of ours": ("Forwarded: for=_hidden, for=10.0.0.1", NOBODY),
    "an empty client": ('Forwarded: for=""', NOBODY),
    "no value": ("Forwarded: for=", NOBODY),
    "two clients": ("Forwarded: for=198.51.100.1;for=192.0.2.7", NOBODY),
    "the same client twice": ("Forwarded: for=192.0.2.7;For=192.0.2.7", NOBODY),
    "another parameter twice": ("Forwarded: for=192.0.2.7;by=x;by=y", NOBODY),
    "no client": ("Forwarded: proto=http", NOBODY),
    "no client at the end": ("Forwarded: for=192.0.2.7, proto=http", NOBODY),
    "empty": ("Forwarded:", NOBODY),
    "empty at the end": ("Forwarded: for=192.0.2.7,", NOBODY),
    "IPv6 without brackets": ('Forwarded: for="2001:db8::7"', NOBODY),
    "IPv6 without quotes": ("Forwarded: for=[2001:db8::7]", NOBODY),
    "IPv4 with a port, without quotes": ("Forwarded: for=192.0.2.7:80", NOBODY),
    "a port too high": ('Forwarded: for="192.0.2.7:65536"', NOBODY),
    "a quote that is not closed, at the end": ('Forwarded: for=198.51.100.1, for="192.0.2.7', NOBODY),
    "blanks around the sign": ("Forwarded: for = 192.0.2.7", NOBODY),
    "commas and a quote": ("Forwarded: " + "," * 4000 + '"', NOBODY),
}
FIELDS = {"x-forwarded-for": X_FORWARDED_FOR, "forwarded": FORWARDED}


@pytest.mark.parametrize("source", FIELDS)
def test_the_client_of_a_request(start: StartServer, root: Path, mode: str, source: str) -> None:
    """This holds for cached responses too, and if the next request on a connection has another client.

    Who cannot be read is nobody, and refused.
    """
    server = start(root, config=settings(mode, f'{TRUSTED}\nclient_from = "{source}"'))
    for number, (case, (fields, expected)) in enumerate(FIELDS[source].items()):
        with connect(server.port) as sock:
            for line in ("HTTP/1.0", "HTTP/1.1\r\nHost: h") * (2 if expected else 1):
                more = f"{fields}\r\n" if fields else ""
                head = f"GET /small.txt?{number} {line}\r\nConnection: keep-alive\r\n{more}\r\n"
                sock.sendall(head.encode())
                status, _, body = read_answer(sock)
                assert (status, body == b"small") == ((200, True) if expected else (403, False)), case
                if not expected:
                    break
    for number, (case, (_, expected)) in enumerate(FIELDS[source].items()):
        outcome = "200 " if expected else "403 .*reason=client-unknown"
        server.wait_for_line(rf'"GET /small\.txt\?{number} HTTP/1\.[01]" {outcome}', 4 if expected else 1)
        hosts = {one.split()[0] for one in server.lines if f"/small.txt?{number} " in one}
        assert hosts == {expected or "127.0.0.1"}, case


def test_without_the_setting_proxies_write_x_forwarded_for(start: StartServer, root: Path) -> None:
    server = start(root, config=settings("select", TRUSTED))
    with connect(server.port) as sock:
        sock.sendall(b"GET /small.txt HTTP/1.0\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
        assert read_answer(sock)[2] == b"small"
    server.wait_for_line(r'^192\.0\.2\.7 - .*"GET /small\.txt HTTP/1\.0" 200 ')


@pytest.mark.parametrize("source", FIELDS)
def test_reading_arbitrary_values_as_fields(source: Source) -> None:
    """Whatever stands to the left of what our proxy has added changes nothing."""
    proxies = TrustedProxies([ip_network("10.0.0.0/8")], False, source, AddressRules())
    ours = {"x-forwarded-for": "192.0.2.7:80", "forwarded": 'for="192.0.2.7:80";host="h, x";proto=http'}[source]

    @given(st.text(st.characters(codec="iso-8859-1") | st.sampled_from('",;= \\:[]_'), max_size=60))
    @example('for="')
    @example('for="\\')
    def check(text: str) -> None:
        for fields in ([(source, f"{text}, {ours}")], [(source, text), (source, ours)]):
            found = proxies.find_client(Headers(fields), Peer("10.0.0.1", 1, 5), source)
            assert found == Peer("192.0.2.7", 80, 5)
        found = proxies.find_client(Headers([(source, text)]), Peer("10.0.0.1", 1), source)
        assert found is None or str(ip_address(found.host)) == found.host

    check()


def test_a_long_field_is_read_in_a_bounded_number_of_steps() -> None:
    """The steps are counted by what is looked at, so this does not depend on how busy the machine is."""
    proxies = TrustedProxies([ip_network("10.0.0.0/8")], False, "forwarded", AddressRules())
    for value in ("," * 16_000 + '"', "for=10.0.0.1," * 1200 + "for=10.0.0.1", 'a="' + ',b=";' * 3000):
        steps = 0

        def count(*_: object) -> None:
            nonlocal steps
            steps += 1

        sys.setprofile(count)
        try:
            assert proxies.find_client(Headers([("Forwarded", value)]), Peer("10.0.0.1", 1), "forwarded") is None
        finally:
            sys.setprofile(None)
        assert steps < 20_000


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
    server.wait_for_line(r'^192\.0\.2\.7 - .*"GET /small\.txt HTTP/1\.[01]" 403 .*reason=address-denied')
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
V2_MAPPED = v2(
    0x21,
    socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7") + bytes(16) + struct.pack("!HH", 4711, 80),
)
OPENINGS: dict[str, tuple[bytes, str]] = {
    "version 1, IPv4": (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n", "192.0.2.7"),
    "version 1, IPv6": (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "2001:db8::7"),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "version 1, unknown with more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
    "version 2, IPv4": (V2_IPV4, "192.0.2.7"),
    "version 2, IPv6 and more": (V2_IPV6, "2001:db8::7"),
    "version 2, its own": (v2(0, b"", 0x20), "127.0.0.1"),
    "version 2, its own, with addresses": (v2(0xFF, bytes(36), 0x20), "127.0.0.1"),
    "version 2, IPv4 in IPv6": (V2_MAPPED, "192.0.2.7"),
    "version 2, no family": (v2(0, b""), "127.0.0.1"),
    "version 2, datagrams": (v2(0x12, bytes(12)), "127.0.0.1"),
    "version 2, a unix socket": (v2(0x31, bytes(216)), "127.0.0.1"),
    "version 1, IPv4 in IPv6": (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 65535\r\n", "192.0.2.7"),
    "version 1, the longest": (b"PROXY UNKNOWN" + b" " + b"x" * 91 + b"\r\n", "127.0.0.1"),
    "version 1, unknown with rubbish": (b'PROXY UNKNOWN \r\n\0"'.replace(b"\r\n", b"\n\r") + b"\r\n", "127.0.0.1"),
    "from one of ours": (b"PROXY TCP4 10.0.0.3 10.0.0.1 4711 80\r\n", "10.0.0.3"),
}
LIES = "X-Forwarded-For: 198.51.100.9\r\nForwarded: for=198.51.100.9\r\n"
HEAD = f"GET /small.txt?{{}} HTTP/1.0\r\nConnection: keep-alive\r\n{LIES}\r\n"


def test_a_connection_begins_with_a_header(start: StartServer, root: Path, mode: str) -> None:
    """It may come together with the request, or byte by byte; it applies to the whole connection.

    Fields do not count, not even from a client that is trusted itself.
    """
    server = start(root, config=settings(mode, f'{TRUSTED}\nclient_from = "proxy-protocol"'))
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
        assert hosts == {expected}, list(OPENINGS)[number]


WRONG_OPENINGS: dict[str, bytes] = {
    "none": b"GET /small.txt HTTP/1.0\r\n\r\n",
    "none, a plain head": b"GET /small.txt HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
    "nearly": b"PROXY TCP4 192.0.2.7\r\n",
    "too long": b"PROXY TCP4 " + b"1" * 200,
    "too long by one": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "too long, unknown": b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    "no address": b"PROXY TCP4 999.0.0.1 10.0.0.1 1 2\r\n",
    "no port": b"PROXY TCP4 192.0.2.7 10.0.0.1 99999 2\r\n",
    "a port too high": b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 2\r\n",
    "a port of the proxy too high": b"PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n",
    "a port with a leading zero": b"PROXY TCP4 192.0.2.7 10.0.0.1 01 2\r\n",
    "an address with a leading zero": b"PROXY TCP4 192.0.2.07 10.0.0.1 1 2\r\n",
    "IPv6 that is said to be IPv4": b"PROXY TCP4 ::1 ::2 1 65\r\n",
    "IPv4 that is said to be IPv6": b"PROXY TCP6 192.0.2.7 10.0.0.1 1 65\r\n",
    "one of each": b"PROXY TCP6 ::1 10.0.0.1 1 65\r\n",
    "no address of the proxy": b"PROXY TCP6 ::1 :C2 1 65\r\n",
    "a zone": b"PROXY TCP6 fe80::1%1 ::1 1 65\r\n",
    "a word that begins like unknown": b'PROXY UNKNOWN"\r\n',
    "a family that does not exist": b"PROXY TCP5 ::1 ::2 1 65\r\n",
    "two blanks": b"PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n",
    "a blank at the end": b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 \r\n",
    "a bare line feed": b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n" + b"GET / HTTP/1.0\r\n\r\n",
    "lower case": b"proxy tcp4 192.0.2.7 10.0.0.1 1 2\r\n",
    "version 3": v2(0x11, bytes(12), 0x31),
    "version 2, an unknown command": v2(0x11, bytes(12), 0x22),
    "version 2, an unknown family": v2(0x41, bytes(12)),
    "version 2, an unknown transport": v2(0x13, bytes(12)),
    "too short": v2(0x11, bytes(4)),
    "too short for IPv6": v2(0x21, bytes(12)),
    "endless": V2 + b"\x21\x11\xff\xff",
}


def test_an_invalid_header_ends_the_connection(start: StartServer, root: Path, mode: str) -> None:
    server = start(root, config=settings(mode, 'trusted = ["127.0.0.1"]\nclient_from = "proxy-protocol"'))
    for number, wrong in enumerate(WRONG_OPENINGS.values(), 1):
        with connect(server.port) as sock:
            sock.sendall(wrong)
            with suppress(ConnectionResetError):
                assert read_all(sock) == b""
        server.wait_for_line(r"127\.0\.0\.1:\d+ began with ", number)
    with connect(server.port) as sock:  # a health check that sends nothing
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


def read_in_pieces(data: bytes, sizes: list[int]) -> str:
    """Return what is read of ``data`` when it arrives piece by piece, as a server reads it: until there is a result."""
    arrived = b""
    for size in [*sizes, len(data)]:
        arrived, data = arrived + data[:size], data[size:]
        try:
            header = read_proxy_header(arrived) if arrived else None
        except ValueError:
            return "refused"
        if header is not None:
            return repr((header, arrived[header.length :] + data))
    return "incomplete"


@pytest.mark.parametrize("opening", [*WRONG_OPENINGS.values(), *(opening for opening, _ in OPENINGS.values())])
def test_how_a_header_arrives_does_not_matter(opening: bytes) -> None:
    data = opening + b"GET / HTTP/1.0\r\n\r\n" + b" " * 120
    whole = read_in_pieces(data, [])
    assert whole.startswith("(" if opening in [one for one, _ in OPENINGS.values()] else ("refused", "incomplete"))
    assert read_in_pieces(data, [1] * len(data)) == whole
    for cut in range(1, len(opening) + 10):
        assert read_in_pieces(data, [cut]) == whole


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::FFFF:7F00:1", "127.0.0.1"),
        ("::", "::"),
        ("::1", "::1"),
        ("1::", "1::"),
        ("::127.0.0.1", "::7f00:1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
        ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("0:0:1:2:0:0:3:4", "::1:2:0:0:3:4"),
        ("10:0:0:2:3:4:5:60", "10::2:3:4:5:60"),
        ("64:ff9b::127.0.0.1", "64:ff9b::7f00:1"),
    ],
)
def test_an_address_has_one_spelling(text: str, expected: str) -> None:
    """That of RFC 5952, whatever the version of Python."""
    assert client_host(ip_address(text)) == expected


@given(
    st.integers(0, 2**128 - 1)
    | st.lists(st.sampled_from([0, 0, 0, 1, 0x10]), min_size=8, max_size=8).map(
        lambda groups: int("".join(f"{group:04x}" for group in groups), 16)
    )
)
def test_the_spelling_of_an_address_is_read_as_the_same_address(number: int) -> None:
    address = IPv6Address(number)
    text = client_host(address)
    assert ip_address(text) in (address, address.ipv4_mapped)
    if address.ipv4_mapped is None:
        assert text == address.compressed


def test_an_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address() -> None:
    assert accepted_host("::ffff:192.0.2.7") == "192.0.2.7"
    assert accepted_host("fe80::1%eth0") == "fe80::1%eth0"
    assert accepted_host("2001:db8::7") == "2001:db8::7"


def test_a_local_connection_has_no_client_whatever_addresses_follow() -> None:
    """§2.2: with LOCAL the real endpoints count, and family and addresses are skipped."""
    header = V2 + b"\x20\x11\x00\x0c" + bytes((192, 0, 2, 7, 192, 0, 2, 1)) + struct.pack("!HH", 4711, 80)
    assert read_proxy_header(header) == ProxyHeader(len(header), None)
