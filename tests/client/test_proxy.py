"""Proxies: which one for which URL, absolute-form requests, and tunnels through a small real proxy."""

from __future__ import annotations

import base64
import itertools
import os
import selectors
import socket
import ssl
import struct
import traceback
from collections.abc import Callable
from contextlib import suppress

import pytest

from httpmini.client.client import Client
from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.client.transport.connect import dial
from httpmini.client.transport.connection import Connection
from httpmini.client.transport.proxy import ProxySettings, authorization
from httpmini.client.transport.routing import Routing
from httpmini.client.transport.timings import Timings
from httpmini.client.url import parse_url
from httpmini.errors import BadUrl, BrokenResponse, FetchError, NotConnected, NotResolved, NoTunnel, TimedOut, TlsFailed
from httpmini.protocol.writer import request_head
from tests.conformance.scripted import Converse, End, read_request, script, serving, wait_for_end
from tests.support.processes import WAIT_S, eventually
from tests.support.tls import Authority
from tests.support.wire import read_all

PROXY, SECURE_PROXY, ALL_PROXY = "http://p:1/", "http://s:2/", "http://a:3/"

ENVIRONMENTS: dict[str, tuple[dict[str, str], str, str]] = {  # the proxies for http and for https
    "nothing": ({}, "", ""),
    "http": ({"http_proxy": PROXY}, PROXY, ""),
    "https": ({"https_proxy": SECURE_PROXY}, "", SECURE_PROXY),
    "HTTPS": ({"HTTPS_PROXY": SECURE_PROXY}, "", SECURE_PROXY),
    "HTTP_PROXY may be a field of a request": ({"HTTP_PROXY": PROXY}, "", ""),
    "all": ({"all_proxy": ALL_PROXY}, ALL_PROXY, ALL_PROXY),
    "ALL": ({"ALL_PROXY": ALL_PROXY}, ALL_PROXY, ALL_PROXY),
    "one and all": ({"http_proxy": PROXY, "all_proxy": ALL_PROXY}, PROXY, ALL_PROXY),
    "lower case is first": ({"https_proxy": SECURE_PROXY, "HTTPS_PROXY": ALL_PROXY}, "", SECURE_PROXY),
    "lower case is first for all": ({"all_proxy": ALL_PROXY, "ALL_PROXY": PROXY}, ALL_PROXY, ALL_PROXY),
    "HTTP, and all": ({"HTTP_PROXY": PROXY, "all_proxy": ALL_PROXY}, ALL_PROXY, ALL_PROXY),
    "none for http, one for the rest": ({"http_proxy": "", "all_proxy": ALL_PROXY}, "", ALL_PROXY),
    "blank": ({"http_proxy": " ", "https_proxy": SECURE_PROXY}, "", SECURE_PROXY),
    "none, in lower case": ({"https_proxy": "", "HTTPS_PROXY": SECURE_PROXY}, "", ""),
    "no scheme": ({"http_proxy": "p:1"}, PROXY, ""),
    "a path": ({"http_proxy": "http://p:1"}, PROXY, ""),
    "upper case": ({"http_proxy": "HTTP://P:1/"}, PROXY, ""),
    "no_proxy": ({"all_proxy": ALL_PROXY, "no_proxy": "example.org"}, "", ""),
    "NO_PROXY": ({"all_proxy": ALL_PROXY, "NO_PROXY": "example.org"}, "", ""),
    "no_proxy is first": ({"all_proxy": ALL_PROXY, "no_proxy": "", "NO_PROXY": "example.org"}, ALL_PROXY, ALL_PROXY),
}


@pytest.mark.parametrize(("environ", "http", "https"), ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_environment(environ: dict[str, str], http: str, https: str) -> None:
    proxies = ProxySettings.from_environment(environ)
    found = [proxies.for_url(parse_url(f"{scheme}://example.org/x")) for scheme in ("http", "https")]
    assert ["" if url is None else url.text for url in found] == [http, https]


def test_no_proxies() -> None:
    assert ProxySettings.none() == ProxySettings() == ProxySettings.from_environment({})
    assert ProxySettings.none().for_url(parse_url("http://example.org/")) is None


# no_proxy, and what it does and does not cover
DIRECT: dict[str, tuple[list[str], list[str]]] = {
    "": ([], ["http://example.org/"]),
    ",": ([], ["http://example.org/"]),
    "*": (["http://example.org/", "https://127.0.0.1:8080/", "http://[::1]/"], []),
    "a.test,*": (["http://example.org/"], []),
    "example.org": (
        ["http://example.org/", "http://EXAMPLE.org:81/", "https://example.org./", "http://a.b.example.org/"],
        ["http://notexample.org/", "http://example.org.evil.test/", "http://org/", "http://example.com/"],
    ),
    ".example.org": (
        ["http://www.example.org/", "http://a.b.example.org/", "http://example.org/"],
        ["http://notexample.org/", "http://example.org.evil.test/"],
    ),
    "*.example.org": (["http://www.example.org/"], ["http://notexample.org/"]),
    "Example.ORG.": (["http://example.org/"], []),
    "example.org:8080": (
        ["http://example.org:8080/", "https://example.org:8080/", "http://www.example.org:8080/"],
        ["http://example.org/", "https://example.org/", "http://example.org:808/"],
    ),
    "example.org:443": (["https://example.org/"], ["http://example.org/"]),
    "a.test, b.test c.test\td.test,,e.test": (
        [f"http://{name}.test/" for name in "abcde"],
        ["http://f.test/", "http://atest/"],
    ),
    "b\u00fccher.test": (["http://b\u00fccher.test/", "http://xn--bcher-kva.test/"], ["http://bcher.test/"]),
    "xn--bcher-kva.test": (["http://b\u00fccher.test/"], []),
    "fa\u00df.test": (["http://fa\u00df.test/", "http://xn--fa-hia.test/"], ["http://fass.test/"]),
    "fass.test": (["http://fass.test/"], ["http://fa\u00df.test/"]),
    "127.0.0.1": (["http://127.0.0.1/", "https://127.0.0.1:444/"], ["http://127.0.0.2/", "http://localhost/"]),
    "127.0.0.1:80": (["http://127.0.0.1/"], ["http://127.0.0.1:81/"]),
    ".0.0.1": ([], ["http://127.0.0.1/"]),
    "10.0.0.0/8": (["http://10.0.0.1/", "http://10.255.255.255/"], ["http://11.0.0.1/", "http://10.example.org/"]),
    "10.1.2.3/8": (["http://10.0.0.1/"], ["http://11.0.0.1/"]),
    "10.0.0.0/255.0.0.0": (["http://10.0.0.1/"], ["http://11.0.0.1/"]),
    "10.0.0.0/8:80": (["http://10.0.0.1/"], ["http://10.0.0.1:81/"]),
    "0.0.0.0/0": (["http://10.0.0.1/"], ["http://[::1]/", "http://localhost/"]),
    "::1": (["http://[::1]/", "http://[0:0::1]:81/"], ["http://[::2]/", "http://127.0.0.1/"]),
    "[::1]": (["http://[::1]/"], ["http://[::2]/"]),
    "[::1]:81": (["http://[::1]:81/"], ["http://[::1]/"]),
    "fd00::/8": (["http://[fd12::1]/"], ["http://[fe80::1]/"]),
    "fe80::1": (["http://[fe80::1%25eth0]/"], []),
    # An entry that cannot be parsed covers nothing.
    "10.0.0.0/99,[::1,]::1[,a:b:c,:80,http://example.org/,\u0661.test,.,*.,a" + "\u00fc" * 80: (
        [],
        ["http://10.0.0.1/", "http://[::1]/", "http://example.org/", "http://1.test/"],
    ),
}


@pytest.mark.parametrize(("rules", "direct", "proxied"), [(rules, *urls) for rules, urls in DIRECT.items()], ids=DIRECT)
def test_no_proxy(rules: str, direct: list[str], proxied: list[str]) -> None:
    proxies = ProxySettings.from_environment({"all_proxy": ALL_PROXY, "no_proxy": rules})
    found = {text: proxies.for_url(parse_url(text)) is None for text in (*direct, *proxied)}
    assert found == {**dict.fromkeys(direct, True), **dict.fromkeys(proxied, False)}


BAD_PROXIES = {
    "socks5://p:1080": "the proxy for http URLs (http_proxy or all_proxy): SOCKS proxies are not supported",
    "socks4a://p:1080": "SOCKS proxies are not supported, only http:// ones",
    "SOCKS5H://me:secret@p:1080": "SOCKS proxies are not supported",
    "https://p/": "https:// proxies are not supported",
    "ftp://p/": "ftp:// proxies are not supported",
    "http://": "the proxy for http URLs (http_proxy or all_proxy): http://",
    "http://p:0/": "http://p:0/",
    "http://p:http/": "the proxy for http URLs (http_proxy or all_proxy): http://p:http/",
    "http://me:secret@p:99999/": "the proxy for http URLs (http_proxy or all_proxy): http://p:99999/",
    "http://p\n/": "control characters",
}


@pytest.mark.parametrize(("text", "said"), BAD_PROXIES.items())
def test_what_is_no_proxy(text: str, said: str) -> None:
    proxies = ProxySettings(http=text, no_proxy=("direct.test",))
    assert (
        proxies.for_url(parse_url("http://direct.test/")) is None
    )  # an invalid proxy does no harm where it is not used
    assert proxies.for_url(parse_url("https://example.org/")) is None
    with pytest.raises(BadUrl) as caught:
        proxies.for_url(parse_url("http://example.org/"))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [
        ("", None),
        ("me@", b"me:"),
        ("me:secret@", b"me:secret"),
        ("me:a%3Ab%40c@", b"me:a:b@c"),
        ("%C3%BC:%E2%82%AC@", "\u00fc:\u20ac".encode()),
        ("a%0d%0aX:%20y@", b"a\r\nX: y"),
        (":@", b":"),
        ("caf\udce9:x@", b"caf\xe9:x"),  # an argument that was not UTF-8
    ],
)
def test_authorization(userinfo: str, credentials: bytes | None) -> None:
    fields = authorization(parse_url(f"http://{userinfo}proxy.test:3128/"))
    if credentials is None:
        assert fields == ()
    else:
        assert fields == (("Proxy-Authorization", "Basic " + base64.b64encode(credentials).decode()),)


# Plain http


def connect(url: str, proxy: str, **others: float | ssl.SSLContext | Limits | Timings) -> Connection:
    """Call dial() with ``proxy``."""
    limits, timings, context = (others.pop(name, None) for name in ("limits", "timings", "tls"))
    assert context is None or isinstance(context, ssl.SSLContext)
    assert timings is None or isinstance(timings, Timings)
    assert limits is None or isinstance(limits, Limits)
    seconds = {name: value for name, value in others.items() if isinstance(value, float)}
    timeouts = Timeouts(**{"connect_s": WAIT_S, "silence_s": WAIT_S, **seconds})
    routing = Routing(proxies=ProxySettings(proxy, proxy), tls=context)
    return dial(parse_url(url), routing, timeouts, timings or Timings(), limits or Limits())


def test_plain_http_goes_to_the_proxy_which_is_told_the_whole_url() -> None:
    said: list[bytes] = []

    def answer(sock: socket.socket) -> None:
        said.append(read_request(sock))
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nfrom the proxy")

    timings = Timings()
    with serving(answer, 1) as proxy:
        with_password = proxy.replace("//", "//me:secret@")
        url = parse_url("http://nowhere.test:8080/a?b")
        line = connect(url.text, with_password, timings=timings)
        assert line.via_proxy
        with line.sock as sock:
            fields = (("Host", url.host_field), *line.proxy_fields)
            sock.sendall(request_head("GET", url.text, fields))
            assert read_all(sock).endswith(b"\r\n\r\nfrom the proxy")
    assert said == [
        b"GET http://nowhere.test:8080/a?b HTTP/1.0\r\n"
        b"Host: nowhere.test:8080\r\n"
        b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n"
    ]
    assert timings.resolve_s is not None  # the proxy's name
    assert timings.connect_s is not None
    assert timings.tls_s is None


def test_what_is_kept_from_the_proxy_is_asked_directly() -> None:
    with serving(script([b"HTTP/1.0 200 OK\r\n\r\n"], End.CLOSE), 1) as url:
        proxies = ProxySettings("http://127.0.0.1:1/", no_proxy=("127.0.0.1",))
        line = dial(parse_url(url), Routing(proxies=proxies), Timeouts(), Timings())
        assert not line.via_proxy
        with line.sock as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert read_all(sock) == b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize("url", ["http://nowhere.test/", "https://nowhere.test/"])
def test_the_proxy_is_named_when_it_is_not_there(url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(NotConnected) as caught:
            connect(url, f"http://127.0.0.1:{port}/")
    said = f"cannot connect to the proxy 127.0.0.1 port {port} (127.0.0.1:{port}: Connection refused); is it running?"
    assert str(caught.value) == said


def test_the_proxy_is_named_when_it_has_no_address() -> None:
    with pytest.raises(NotResolved, match=r"^the proxy a\.\.test: this is not a host name"):
        connect("http://nowhere.test/", "http://a..test:3128/")


# Tunnels


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def relaying(target: int, heads: list[bytes], answer: bytes) -> Converse:
    """Run a proxy that connects every client to ``target`` on this machine, and sends ``answer``."""

    def converse(client: socket.socket) -> None:
        heads.append(read_request(client))
        with socket.create_connection(("127.0.0.1", target), WAIT_S) as server:
            client.sendall(answer)
            pump(client, server)

    return converse


def pump(client: socket.socket, server: socket.socket) -> None:
    """Relay bytes in both directions until either side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while ready := selector.select(WAIT_S):
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(65536)
                if not data:
                    return
                key.data.sendall(data)
    raise AssertionError("neither side said anything")


def secret(context: ssl.SSLContext) -> Converse:
    def converse(sock: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(sock, server_side=True) as tls:
            tls.sendall(b"secret")
            wait_for_end(tls)

    return converse


ESTABLISHED = b"HTTP/1.0 200 Connection established\r\n\r\n"
GOOD_ANSWERS = {
    "200": ESTABLISHED,
    "201": b"HTTP/1.1 201 Made\r\n\r\n",
    "with fields": b"HTTP/1.1 200 OK\r\nVia: 1.1 p\r\nProxy-Agent: p/1\r\n\r\n",
    "no phrase": b"HTTP/1.1 200\r\n\r\n",
    "bare LFs": b"HTTP/1.0 200 OK\n\n",
    "a length, which means nothing": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "102 before it": b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 More\r\nA: b\r\n\r\n" + ESTABLISHED,
}


@pytest.mark.parametrize("answer", GOOD_ANSWERS.values(), ids=GOOD_ANSWERS)
def test_https_goes_through_a_tunnel(authority: Authority, answer: bytes) -> None:
    """The proxy resolves the name; the certificate is still checked against it."""
    heads: list[bytes] = []
    timings = Timings()
    with (
        serving(secret(authority.server("nowhere.test")), 1) as server,
        serving(relaying(parse_url(server).port, heads, answer), 1) as proxy,
    ):
        line = connect("https://nowhere.test/a?b", proxy, tls=authority.client(), timings=timings)
        assert (line.via_proxy, line.proxy_fields) == (False, ())
        with line.sock as sock:
            assert isinstance(sock, ssl.SSLSocket)
            assert sock.gettimeout() == WAIT_S
            assert sock.recv(100) == b"secret"
    assert heads == [b"CONNECT nowhere.test:443 HTTP/1.0\r\nHost: nowhere.test:443\r\n\r\n"]
    assert timings.resolve_s is not None
    assert timings.connect_s is not None
    assert timings.tls_s is not None
    assert timings.resolve_s <= timings.connect_s <= timings.tls_s


def test_a_tunnel_for_which_the_proxy_wants_a_password(authority: Authority) -> None:
    heads: list[bytes] = []
    with (
        serving(secret(authority.server("fd00::1")), 1) as server,
        serving(relaying(parse_url(server).port, heads, ESTABLISHED), 1) as proxy,
    ):
        with_password = proxy.replace("//", "//me:secret@")
        with connect("https://[fd00::1]:8443/", with_password, tls=authority.client()).sock as sock:
            assert sock.recv(100) == b"secret"
    assert heads == [
        b"CONNECT [fd00::1]:8443 HTTP/1.0\r\nHost: [fd00::1]:8443\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n"
    ]


def test_a_proxy_that_puts_itself_in_between(authority: Authority) -> None:
    with (
        serving(secret(authority.server("proxy.test")), 1) as server,
        serving(relaying(parse_url(server).port, [], ESTABLISHED), 1) as proxy,
        pytest.raises(
            TlsFailed,
            match=r"no TLS with nowhere\.test:443: the certificate is not for nowhere\.test but for other names",
        ),
    ):
        connect("https://nowhere.test/", proxy, tls=authority.client())


# Python 3.11 warns of a descriptor that wrap_socket() loses if the peer goes at just that moment. What matters is that
# it is closed, not that it is closed silently.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_tunnels_that_end_where_they_begin(authority: Authority) -> None:
    """Whichever call notices first, no descriptor stays open, even while the errors are kept."""
    context = authority.client()
    errors = []

    def end(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(ESTABLISHED)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(end, 60) as proxy:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(60):
            with pytest.raises((TlsFailed, NotConnected), match=r"(closed|broke) the connection") as caught:
                connect("https://nowhere.test/", proxy, tls=context)
            errors.append(caught)
        eventually(lambda: len(os.listdir("/proc/self/fd")) <= before, "the proxy has closed its last socket as well")


def then_end(said: bytes) -> Converse:
    return script([said], End.HALF_CLOSE)


def reset(sock: socket.socket) -> None:
    read_request(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def endless(piece: bytes) -> Callable[[socket.socket], None]:
    def converse(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.0 200 OK\r\n")
        for _ in itertools.repeat(None):
            sock.sendall(piece)

    return converse


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
REFUSALS: dict[str, tuple[Converse, type[FetchError], str, str]] = {
    "403": (
        then_end(b"HTTP/1.0 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n"),
        NoTunnel,
        "",
        "refuses to connect to nowhere.test:443: 403 Forbidden",
    ),
    "502": (then_end(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), NoTunnel, "", "nowhere.test:443: 502 Bad Gateway"),
    "a redirection": (
        then_end(b"HTTP/1.0 302 Found\r\nLocation: http://evil.test/\r\n\r\n"),
        NoTunnel,
        "",
        "nowhere.test:443: 302 Found",
    ),
    "no phrase": (then_end(b"HTTP/1.0 503\r\n\r\n"), NoTunnel, "", "nowhere.test:443: 503"),
    "an odd phrase": (then_end(b"HTTP/1.0 403 \x9b31m\r\n\r\n"), NoTunnel, "", "403 \\x9b31m"),
    "the end": (then_end(b""), NotConnected, "", "closed the connection without responding to CONNECT"),
    "the end of half a head": (then_end(ESTABLISHED[:-2]), NotConnected, "", "without responding to CONNECT"),
    "interim and the end": (then_end(CONTINUE), NotConnected, "", "without responding to CONNECT"),
    "a reset": (reset, NotConnected, "", "broke the connection: Connection reset by peer"),
    "TLS": (then_end(b"\x15\x03\x01\x00\x02\x02\x16"), BrokenResponse, "not-http", "is not valid HTTP"),
    "SOCKS": (then_end(b"\x05\x00"), BrokenResponse, "not-http", "is not valid HTTP"),
    "ESC in the phrase": (then_end(b"HTTP/1.0 200 \x1b[m\r\n\r\n"), BrokenResponse, "status-line", ""),
    "a broken field": (then_end(b"HTTP/1.0 200 OK\r\nA b\r\n\r\n"), BrokenResponse, "field-colon", ""),
    "more than the answer": (
        then_end(ESTABLISHED + b"\x16\x03\x03"),
        BrokenResponse,
        "",
        "sent bytes after its response",
    ),
    "an endless head": (endless(b"A: b\r\n"), BrokenResponse, "head-long", ""),
    "an endless line": (endless(b"A" * 100), BrokenResponse, "head-long", ""),
    "many fields": (then_end(b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 600 + b"\r\n"), BrokenResponse, "fields-many", ""),
}


@pytest.mark.parametrize(("converse", "kind", "rule", "said"), REFUSALS.values(), ids=REFUSALS)
def test_no_tunnel(converse: Converse, kind: type[FetchError], rule: str, said: str) -> None:
    with serving(converse, 1) as proxy, pytest.raises(kind) as caught:
        connect("https://nowhere.test/", proxy)
    assert type(caught.value) is kind
    assert f"the proxy {parse_url(proxy).authority} " in str(caught.value)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
    if isinstance(caught.value, BrokenResponse):
        assert caught.value.rule == rule


def test_interim_answers_count_too() -> None:
    """Everything before the final response is limited like one head."""

    def converse(sock: socket.socket) -> None:
        read_request(sock)
        while True:
            sock.sendall(CONTINUE * 10)

    with serving(converse, 1) as proxy, pytest.raises(BrokenResponse) as caught:
        connect("https://nowhere.test/", proxy)
    assert caught.value.rule == "head-long"


@pytest.mark.parametrize(("room", "rule"), [(len(ESTABLISHED), None), (len(ESTABLISHED) - 1, "head-long")])
def test_the_limit_on_a_head(room: int, rule: str | None) -> None:
    """With enough room the response is accepted and TLS begins, which this proxy does not speak."""
    limits = Limits(head_bytes=room)
    with serving(then_end(ESTABLISHED), 1) as proxy, pytest.raises(FetchError) as caught:
        connect("https://nowhere.test/", proxy, limits=limits)
    assert isinstance(caught.value, TlsFailed) == (rule is None)
    assert getattr(caught.value, "rule", None) == rule


@pytest.mark.parametrize(
    ("userinfo", "said"),
    [
        (
            "",
            "requires a user name and password: 407 Who are you; put them into its URL, http://user:password@127.0.0.1:",
        ),
        ("me:secret@", "rejects this user name and password: 407 Who are you"),
    ],
)
def test_a_password_that_is_wanted(userinfo: str, said: str) -> None:
    answer = b'HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm="p"\r\n\r\n'
    with serving(then_end(answer), 1) as proxy, pytest.raises(NotConnected) as caught:
        connect("https://nowhere.test/", proxy.replace("//", f"//{userinfo}"))
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "times"), [("403 No", 1), ("407 Who", 1), ("302 There", 1), ("502 Later", 2), ("503 Later", 2)]
)
def test_a_proxy_that_says_no_is_not_asked_again(status: str, times: int) -> None:
    heard: list[bytes] = []

    def converse(sock: socket.socket) -> None:
        heard.append(read_request(sock))
        sock.sendall(f"HTTP/1.0 {status}\r\n\r\n".encode())
        wait_for_end(sock)

    with serving(converse, 3) as proxy:
        routing = Routing(proxies=ProxySettings("", proxy))
        with Client(routing=routing, retries=Retries(1, 0.01)) as client, pytest.raises(NoTunnel) as caught:
            client.fetch("https://nowhere.test/")
    assert (len(heard), caught.value.status, caught.value.exit_status) == (times, int(status[:3]), 4)


def drip(sock: socket.socket) -> None:
    """Each byte comes in time, but not all of them together."""
    sock.sendall(b"HTTP/1.0 200 OK\r\n")
    request = read_request(sock)
    assert request.startswith(b"CONNECT ")
    sock.settimeout(0.02)
    while True:
        try:
            if sock.recv(1) == b"":
                return
        except TimeoutError:
            sock.sendall(b"A")


@pytest.mark.parametrize("phase", ["connect", "total"])
@pytest.mark.parametrize("converse", [wait_for_end, drip], ids=["silence", "drip"])
def test_a_proxy_that_takes_its_time(converse: Converse, phase: str) -> None:
    with serving(converse, 1) as proxy, pytest.raises(TimedOut) as caught:
        connect("https://nowhere.test/", proxy, **{f"{phase}_s": 1.0})
    assert caught.value.phase == phase
    address = parse_url(proxy).authority
    assert str(caught.value).startswith(f"the proxy {address} had not connected to nowhere.test:443 within 1 s")


SECRET_PROXIES = [
    "http://u:se%23cret@h:3128",
    "http://u:se#cret@h:3128",
    "u:se/cret@h",
    "socks5://u:secret@h",
    "u:secret@h:x",
]


@pytest.mark.parametrize("text", SECRET_PROXIES)
def test_the_password_of_a_proxy_is_not_shown(text: str) -> None:
    settings = ProxySettings.from_environment({"all_proxy": text})
    shown = repr(settings) + repr(Routing(proxies=settings))
    for url in ("http://example.org/", "https://example.org/"):
        try:
            shown += repr(settings.for_url(parse_url(url)))
        except BadUrl as error:
            shown += "".join(traceback.format_exception(error))
    assert "cret" not in shown
    assert "u:" not in shown.replace("Bad_u:", "")
