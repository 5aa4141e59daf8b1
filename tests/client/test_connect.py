"""dial(): resolving, racing, Unix sockets and TLS, on real sockets but without any outside network."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from httpmini.client.options import Timeouts
from httpmini.client.transport.connect import dial
from httpmini.client.transport.connection import Connection
from httpmini.client.transport.proxy import ProxySettings
from httpmini.client.transport.routing import Routing, parse_override
from httpmini.client.transport.timings import Deadline, Timings
from httpmini.client.url import Url, parse_url
from httpmini.errors import NotConnected, NotResolved, TimedOut, TlsFailed, UsageError
from tests.conformance.scripted import Converse, serving, wait_for_end
from tests.support.processes import WAIT_S, eventually
from tests.support.tls import Authority
from tests.support.tools import tool

SOON_S = 1.0  # a limit that is meant to expire
NAME = "host.test"  # never resolved: an override gives its address


def connect(
    url: str,
    routing: Routing | None = None,
    timings: Timings | None = None,
    limits: dict[str, float] | None = None,
) -> Connection:
    """Call dial(), by default with limits that only a hang can reach."""
    timeouts = Timeouts(**{"connect_s": WAIT_S, "silence_s": WAIT_S, **(limits or {})})
    return dial(parse_url(url), routing or Routing(), timeouts, timings or Timings())


def towards(port: int, *addresses: str, family: Literal[0, 4, 6] = 0) -> Routing:
    """Return a routing on which NAME has these addresses."""
    return Routing(overrides={(NAME, port): addresses}, family=family)


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@contextmanager
def listening(*addresses: str) -> Iterator[list[socket.socket]]:
    """Listen on each of the addresses, all with one port."""
    for _ in range(20):  # a port that is free on one address may be taken on another
        with ExitStack() as stack:
            listeners: list[socket.socket] = []
            try:
                for address in addresses:
                    port = listeners[0].getsockname()[1] if listeners else 0
                    listener = socket.create_server((address, port), family=family_of(address))
                    listeners.append(stack.enter_context(listener))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            yield listeners
            return
    raise AssertionError(f"no port is free on all of {addresses}")


@contextmanager
def refusing(address: str = "127.0.0.1") -> Iterator[int]:
    """Reserve a port on which nothing listens."""
    with socket.socket(family_of(address)) as sock:
        sock.bind((address, 0))
        yield sock.getsockname()[1]


@contextmanager
def silent(listener: socket.socket) -> Iterator[None]:
    """Fill the backlog of ``listener``, so that the kernel does not accept further connections."""
    listener.listen(0)
    with socket.create_connection(listener.getsockname()[:2], WAIT_S):
        yield


def assert_connected(line: Connection, listener: socket.socket) -> None:
    """Check that bytes go both ways between ``line`` and a connection that ``listener`` has accepted."""
    listener.settimeout(WAIT_S)
    with line.sock, listener.accept()[0] as other:
        other.settimeout(WAIT_S)
        line.sock.sendall(b"to")
        assert other.recv(10) == b"to"
        other.sendall(b"fro")
        assert line.sock.recv(10) == b"fro"


# Addresses


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address(address: str) -> None:
    timings = Timings()
    with listening(address) as (listener,):
        line = connect(f"http://{bracketed(address)}:{listener.getsockname()[1]}/", timings=timings)
        assert line.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert line.sock.gettimeout() == WAIT_S
        assert (line.via_proxy, line.proxy_fields) == (False, ())
        assert_connected(line, listener)
    assert timings.resolve_s is not None
    assert timings.connect_s is not None
    assert 0 <= timings.resolve_s <= timings.connect_s <= timings.elapsed()
    assert (timings.tls_s, timings.first_byte_s, timings.total_s) == (None, None, None)


def test_localhost_is_looked_up() -> None:
    with listening("127.0.0.1") as (listener,):
        assert_connected(connect(f"http://localhost:{listener.getsockname()[1]}/"), listener)


FAMILIES: list[tuple[Literal[0, 4, 6], tuple[str, ...], int]] = [
    (0, ("127.0.0.1", "::1"), 4),
    (0, ("::1", "127.0.0.1"), 6),
    (4, ("::1", "127.0.0.1"), 4),
    (6, ("127.0.0.1", "::1"), 6),
]


@pytest.mark.parametrize(("family", "order", "taken"), FAMILIES)
def test_the_family_that_is_asked_for_or_that_comes_first(
    family: Literal[0, 4, 6], order: tuple[str, ...], taken: int
) -> None:
    with listening("127.0.0.1", "::1") as (four, six):
        port = four.getsockname()[1]
        assert_connected(
            connect(f"http://{NAME}:{port}/", towards(port, *order, family=family)), four if taken == 4 else six
        )


NO_ADDRESS: dict[str, tuple[str, Routing, str]] = {
    "not IPv6": ("http://127.0.0.1/", Routing(family=6), "127.0.0.1: .*only IPv6"),
    "not IPv4": ("http://[::1]/", Routing(family=4), "::1: .*only IPv4"),
    "overridden by the other kind": (f"http://{NAME}/", towards(80, "::1", family=4), "host.test: .*only IPv4"),
    "overridden by a name": (
        f"http://{NAME}/",
        towards(80, "localhost"),
        "overridden with localhost, which is not an address",
    ),
    "overridden by something else": (f"http://{NAME}/", towards(80, "127.1"), "which is not an address"),
    "overridden by an address and more": (f"http://{NAME}/", towards(80, "127.0.0.1\0"), "which is not an address"),
    "a label that is too long": (f"http://{'a' * 64}.test/", Routing(), "a{64}.test: this is not a host name"),
    "an empty label": ("http://a..test/", Routing(), "a..test: this is not a host name"),
}


@pytest.mark.parametrize(("url", "routing", "said"), NO_ADDRESS.values(), ids=NO_ADDRESS)
def test_no_address(url: str, routing: Routing, said: str) -> None:
    with pytest.raises(NotResolved, match=said):
        connect(url, routing)


def test_an_override_is_for_its_port_only() -> None:
    with listening("127.0.0.1") as (listener,), refusing() as other:
        port = listener.getsockname()[1]
        routing = Routing(overrides={("localhost", other): ("192.0.2.1",)})
        assert_connected(connect(f"http://LOCALHOST:{port}/", routing), listener)


# The system's resolver in a network namespace of its own, whose only name server runs in the same process.
RESOLVER = """
import fcntl, json, socket, struct, threading
from httpmini.client.transport.connect import dial
from httpmini.client.transport.routing import Routing
from httpmini.client.options import Timeouts
from httpmini.client.transport.timings import Timings
from httpmini.client.url import parse_url
from httpmini.errors import FetchError

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:  # SIOCSIFFLAGS: the loopback is up and running
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh22x", b"lo", 0x41))

def answer_questions():
    while True:
        question, client = server.recvfrom(4096)
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, kind = labels[0], struct.unpack_from("!H", question, at + 1)[0]
        if name == "silent":
            continue
        data = {1: bytes([127, 0, 0, 1]), 28: bytes(15) + b"\\1"}.get(kind) if name in ("both", f"only{kind}") else None
        flags = 0x8180 if name in ("both", "only1", "only28") else 0x8183
        record = b"\\xc0\\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data if data else b""
        head = question[:2] + struct.pack("!HHHHH", flags, 1, bool(data), 0, 0)
        server.sendto(head + question[12 : at + 5] + record, client)

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
threading.Thread(target=answer_questions, daemon=True).start()

def ask(name, family, **limits):
    try:
        timeouts = Timeouts(**{"connect_s": 20, **limits})
        with dial(parse_url(f"http://{name}.test:{port}/"), Routing(family=family), timeouts, Timings()).sock as sock:
            return "connected to " + sock.getpeername()[0]
    except FetchError as error:
        return f"{type(error).__name__}: {error}"

with socket.create_server(("127.0.0.1", 0)) as four:
    port = four.getsockname()[1]
    with socket.create_server(("::1", port), family=socket.AF_INET6) as six:
        print(json.dumps({
            "both, 4": ask("both", 4),
            "both, 6": ask("both", 6),
            "only A": ask("only1", 0),
            "only AAAA": ask("only28", 0),
            "only AAAA, 4": ask("only28", 4),
            "no such name": ask("missing", 0),
            "silence": ask("silent", 0, connect_s=0.3),
            "silence, and a total limit": ask("silent", 0, total_s=0.3),
            "threads": sorted(thread.name for thread in threading.enumerate() if "resolver" in thread.name),
        }))
"""


def test_names_are_looked_up_within_the_limit(tmp_path: Path) -> None:
    """A resolver that hangs for minutes delays neither the error nor the end of the process."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    (tmp_path / "script.py").write_text(RESOLVER)
    mount = 'for file in resolv.conf nsswitch.conf; do [ ! -e /etc/$file ] || mount --bind "$0/$file" /etc/$file; done'
    shell = f'{mount}; exec "$1" -W error "$0/script.py"'
    apart = [tool("unshare", "util-linux"), "--map-root-user", "--mount", "--net", "sh", "-c", shell]
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [*apart, str(tmp_path), sys.executable],
        capture_output=True,
        check=False,
        text=True,
        timeout=WAIT_S,
        env={**os.environ, "PYTHONPATH": root, "LC_ALL": "C"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "both, 4": "connected to 127.0.0.1",
        "both, 6": "connected to ::1",
        "only A": "connected to 127.0.0.1",
        "only AAAA": "connected to ::1",
        "only AAAA, 4": "NotResolved: only28.test: No address associated with hostname (only IPv4 was requested)",
        "no such name": "NotResolved: missing.test: Name or service not known",
        "silence": "TimedOut: silent.test was not resolved within 0.3 s (the limit for: connect)",
        "silence, and a total limit": "TimedOut: silent.test was not resolved within 0.3 s (the limit for: total)",
        "threads": ["httpmini-resolver"] * 2,  # those two; the others have ended
    }


# The race


def test_an_address_that_does_not_answer_does_not_hold_up_the_next() -> None:
    timings = Timings()
    with listening("::1", "127.0.0.1") as (dead, live), silent(dead):
        port = live.getsockname()[1]
        line = connect(f"http://{NAME}:{port}/", towards(port, "::1", "127.0.0.1"), timings)
        assert line.sock.getpeername()[0] == "127.0.0.1"
        assert_connected(line, live)
    assert timings.resolve_s is not None
    assert timings.connect_s is not None
    assert timings.connect_s - timings.resolve_s >= 0.25  # it had its quarter of a second (RFC 8305 §5)


def waiting_for_an_answer(port: int) -> int:
    """Return the number of IPv4 sockets on this machine with an unanswered SYN to ``port``."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "02" and row[2].endswith(f":{port:04X}") for row in rows)


def test_the_first_address_may_win_after_the_second_was_asked() -> None:
    """The first address replies late, the second not at all. (The kernel repeats a SYN after a second.)"""
    with listening("127.0.0.2", "127.0.0.1") as (late, dead), silent(dead), silent(late):
        port = late.getsockname()[1]

        def make_room() -> None:
            eventually(lambda: waiting_for_an_answer(port) == 2, "both have been asked")
            late.accept()[0].close()

        thread = threading.Thread(target=make_room)
        thread.start()
        line = connect(f"http://{NAME}:{port}/", towards(port, "127.0.0.2", "127.0.0.1"))
        thread.join(WAIT_S)
        assert line.sock.getpeername()[0] == "127.0.0.2"
        assert waiting_for_an_answer(port) == 0  # the second was abandoned
        assert_connected(line, late)


def test_an_address_that_refuses_costs_no_time() -> None:
    refused = [f"127.0.0.{number}" for number in range(2, 102)]  # at a quarter of a second each: 25 s
    with listening("127.0.0.1") as (listener,):
        port = listener.getsockname()[1]
        routing = towards(port, *refused, "127.0.0.1")
        assert_connected(connect(f"http://{NAME}:{port}/", routing, limits={"connect_s": 10}), listener)


@pytest.mark.parametrize("network", ["127.0.0", "224.0.0"], ids=["refused by a peer", "refused by the kernel"])
def test_an_address_that_refuses_costs_no_time_while_another_is_silent(network: str) -> None:
    refused = [f"{network}.{number}" for number in range(2, 102)]
    with listening("::1", "127.0.0.1") as (dead, live), silent(dead):
        port = live.getsockname()[1]
        routing = towards(port, "::1", *refused, "127.0.0.1")
        assert_connected(connect(f"http://{NAME}:{port}/", routing, limits={"connect_s": 10}), live)


def test_every_failure_is_named_and_families_take_turns() -> None:
    with refusing("127.0.0.1") as port, pytest.raises(NotConnected) as caught:
        connect(f"http://{NAME}:{port}/", towards(port, "127.0.0.1", "127.0.0.3", "127.0.0.2", "::1", "127.0.0.1"))
    order = ("127.0.0.1", "[::1]", "127.0.0.3", "127.0.0.2")
    failures = "; ".join(f"{address}:{port}: Connection refused" for address in order)
    assert str(caught.value) == f"cannot connect to {NAME} port {port} ({failures}); is it running?"


def test_other_failures_are_named_too() -> None:
    """A broadcast address accepts no connections on any network."""
    with refusing() as port, pytest.raises(NotConnected) as caught:
        connect(f"http://{NAME}:{port}/", towards(port, "255.255.255.255", "127.0.0.1"))
    assert f"(255.255.255.255:{port}: Network is unreachable; 127.0.0.1:{port}: Connection refused)" in str(
        caught.value
    )


def soon(phase: str) -> dict[str, float]:
    """The limit that expires."""
    return {f"{phase}_s": SOON_S}


@pytest.mark.parametrize("phase", ["connect", "total"])
def test_nobody_answers(phase: str) -> None:
    with listening("::1", "127.0.0.1") as (six, four), silent(six), silent(four):
        port = four.getsockname()[1]
        with pytest.raises(TimedOut) as caught:
            connect(f"http://{NAME}:{port}/", towards(port, "127.0.0.2", "::1", "127.0.0.1", "::1"), limits=soon(phase))
    assert (caught.value.phase, caught.value.limit_s) == (phase, SOON_S)
    failures = f"127.0.0.2:{port}: Connection refused; [::1]:{port}: no reply; 127.0.0.1:{port}: no reply"
    assert str(caught.value) == (
        f"no connection to {NAME} port {port} ({failures}) within {SOON_S:g} s (the limit for: {phase})"
    )


def test_no_time_is_left_at_all() -> None:
    timings = Timings()
    timings.started -= 60
    with listening("127.0.0.1") as (listener,), pytest.raises(TimedOut) as caught:
        connect(f"http://127.0.0.1:{listener.getsockname()[1]}/", timings=timings, limits={"total_s": 60})
    assert caught.value.phase == "total"


@pytest.mark.parametrize("connect_s", [1e9, float("inf")])
def test_a_limit_may_be_longer_than_the_kernel_can_count(connect_s: float) -> None:
    with listening("127.0.0.1") as (listener,):
        assert_connected(
            connect(f"http://localhost:{listener.getsockname()[1]}/", limits={"connect_s": connect_s}), listener
        )


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        highest = max(int(number) for number in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        with pytest.raises(OSError, match="Too many open files"):  # noqa: PT012
            while True:
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


@pytest.mark.parametrize("routing", [Routing(), Routing(unix_socket="socket")], ids=["TCP", "Unix"])
def test_no_descriptor_is_left(routing: Routing) -> None:
    with no_descriptor_left(), pytest.raises(NotConnected, match="Too many open files"):
        connect("http://127.0.0.1:1/", routing)


def test_a_deadline_is_the_sooner_of_two() -> None:
    timings = Timings()
    cases = [(10.0, None, "connect", 10.0), (10.0, 60.0, "connect", 10.0), (10.0, 5.0, "total", 5.0)]
    for connect_s, total_s, phase, limit_s in cases:
        deadline = Deadline.for_connecting(Timeouts(connect_s=connect_s, total_s=total_s), timings)
        assert (deadline.phase, deadline.limit_s) == (phase, limit_s)
        assert 0 < deadline.remaining() <= limit_s


OVERRIDES = {
    "example.org:443:192.0.2.1": (("example.org", 443), ("192.0.2.1",)),
    "EXAMPLE.org:80:192.0.2.1,2001:db8::1": (("example.org", 80), ("192.0.2.1", "2001:db8::1")),
    "example.org:80:[2001:db8::1], 192.0.2.1": (("example.org", 80), ("2001:db8::1", "192.0.2.1")),
    "example.org:80:::1": (("example.org", 80), ("::1",)),
    "[::1]:80:127.0.0.1": (("::1", 80), ("127.0.0.1",)),
    "b\u00fccher.test:80:127.0.0.1": (("xn--bcher-kva.test", 80), ("127.0.0.1",)),
}


@pytest.mark.parametrize(("text", "expected"), OVERRIDES.items())
def test_overrides(text: str, expected: tuple[tuple[str, int], tuple[str, ...]]) -> None:
    assert parse_override(text) == expected


NO_OVERRIDES = [
    "",
    "example.org",
    "example.org:80",
    "example.org:80:",
    ":80:127.0.0.1",
    "example.org::127.0.0.1",
    "example.org:http:127.0.0.1",
    "example.org:70000:127.0.0.1",
    "example.org:80:localhost",
    "example.org:80:127.0.0.1,",
    "example.org:80:127.0.0.300",
    "exa mple.org:80:127.0.0.1",
]


@pytest.mark.parametrize("text", NO_OVERRIDES)
def test_what_is_no_override(text: str) -> None:
    with pytest.raises(UsageError):
        parse_override(text)


# Unix sockets


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, since the path of a Unix socket is limited to 107 bytes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def listening_at(path: str, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(backlog)
        yield listener


@pytest.mark.parametrize("path", ["socket", "\0httpmini test"])
def test_a_unix_socket_is_taken_for_every_host_and_beside_every_proxy(here: Path, path: str) -> None:
    timings = Timings()
    routing = Routing(unix_socket=path, proxies=ProxySettings("http://127.0.0.1:1/"))
    with listening_at(path) as listener:
        line = connect("http://nowhere.invalid/", routing, timings)
        assert not line.via_proxy
        assert_connected(line, listener)
    assert timings.resolve_s is None
    assert timings.connect_s is not None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing", "cannot connect to the socket nothing: No such file or directory"),
        ("file", "cannot connect to the socket file: Connection refused"),
        ("folder/socket", "cannot connect to the socket folder/socket: No such file or directory"),
        ("a" * 200, "AF_UNIX path too long"),
        ("file\0b", "the path contains a NUL"),
    ],
)
def test_what_is_no_unix_socket(here: Path, path: str, said: str) -> None:
    (here / "file").touch()
    with pytest.raises(NotConnected, match=said):
        connect("http://localhost/", Routing(unix_socket=path))


def test_a_unix_socket_with_a_full_backlog(here: Path) -> None:
    with listening_at("socket", backlog=0) as listener, socket.socket(socket.AF_UNIX) as first:
        first.connect("socket")
        with pytest.raises(TimedOut, match=r"its backlog is full.* within 1 s \(the limit for: connect\)"):
            connect("http://localhost/", Routing(unix_socket="socket"), limits=soon("connect"))
        listener.accept()[0].close()
        assert_connected(connect("http://localhost/", Routing(unix_socket="socket")), listener)


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def secret(context: ssl.SSLContext) -> Converse:
    """Speak TLS as a server and send "secret" once; a client that does not trust it gets nothing."""

    def converse(sock: socket.socket) -> None:
        try:
            tls = context.wrap_socket(sock, server_side=True)
        except OSError:
            return
        with tls:
            tls.sendall(b"secret")
            wait_for_end(tls)

    return converse


def port_of(url: str) -> int:
    return parse_url(url).port


@pytest.mark.parametrize("trailing", ["", "."])
@pytest.mark.parametrize("name", ["host.test", "b\u00fccher.test", "under_score.test"])
def test_tls(authority: Authority, name: str, trailing: str) -> None:
    ascii_name = name.encode("idna").decode()
    context = authority.server(ascii_name)
    asked: list[str | None] = []
    context.sni_callback = lambda _sock, server_name, _context: asked.append(server_name)
    timings = Timings()
    with serving(secret(context), 1) as url:
        port = port_of(url)
        overrides = {(ascii_name + trailing, port): ("127.0.0.1",)}
        routing = Routing(overrides=overrides, tls=authority.client())
        line = connect(f"https://{name}{trailing}:{port}/", routing, timings)
        with line.sock as sock:
            assert isinstance(sock, ssl.SSLSocket)
            assert sock.gettimeout() == WAIT_S
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.recv(100) == b"secret"
    assert asked == [ascii_name]
    assert timings.connect_s is not None
    assert timings.tls_s is not None
    assert timings.connect_s <= timings.tls_s


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_tls_with_an_address(authority: Authority, address: str) -> None:
    with serving(secret(authority.server("127.0.0.1", "::1")), 1) as url:
        port = port_of(url)
        routing = Routing(overrides={(address, port): ("127.0.0.1",)}, tls=authority.client())
        with connect(f"https://{bracketed(address)}:{port}/", routing).sock as sock:
            assert sock.recv(100) == b"secret"


def test_tls_over_a_unix_socket(here: Path, authority: Authority) -> None:
    context = authority.server(NAME)

    def serve() -> None:
        with listener.accept()[0] as sock:
            secret(context)(sock)

    with listening_at("socket") as listener:
        listener.settimeout(WAIT_S)
        thread = threading.Thread(target=serve)
        thread.start()
        with connect(f"https://{NAME}/", Routing(unix_socket="socket", tls=authority.client())).sock as sock:
            assert sock.recv(100) == b"secret"
        thread.join(WAIT_S)


YESTERDAY, TOMORROW = timedelta(days=-1), timedelta(days=1)


def test_certificates_that_are_refused(authority: Authority) -> None:
    mine, system = authority.client(), None
    cases: list[tuple[ssl.SSLContext, ssl.SSLContext | None, str]] = [
        (authority.server(NAME, begins=YESTERDAY * 2, ends=YESTERDAY), mine, "has expired (by this machine's clock"),
        (authority.server(NAME, begins=TOMORROW, ends=TOMORROW * 2), mine, "is not valid yet (by this machine's clock"),
        (authority.server("other.test"), mine, f"is not for {NAME} but for other names"),
        (authority.server(f"sub.{NAME}", "127.0.0.1"), mine, f"is not for {NAME} but for other names"),
        (authority.server(NAME, self_signed=True), mine, "is self-signed and not trusted here; SSL_CERT_FILE"),
        (authority.server(NAME), system, "is signed by an authority that is not known here; SSL_CERT_FILE"),
        (authority.server(NAME, whole_chain=True), system, "is signed by an authority that is not trusted here"),
    ]
    for context, trusted, said in cases:
        with serving(secret(context), 1) as url:
            port = port_of(url)
            routing = Routing(overrides={(NAME, port): ("127.0.0.1",)}, tls=trusted)
            with pytest.raises(TlsFailed) as caught:
                connect(f"https://{NAME}:{port}/", routing)
        assert str(caught.value).startswith(f"no TLS with {NAME}:{port}: the certificate {said}")


def test_a_certificate_for_another_address(authority: Authority) -> None:
    server = secret(authority.server("127.0.0.2", "localhost"))
    with serving(server, 1) as url, pytest.raises(TlsFailed, match=r"is not for 127\.0\.0\.1 but for other addresses"):
        connect(f"https://127.0.0.1:{port_of(url)}/", Routing(tls=authority.client()))


def test_the_file_that_the_message_speaks_of(authority: Authority) -> None:
    """SSL_CERT_FILE makes the system's trust include this authority."""
    with serving(secret(authority.server("127.0.0.1")), 1) as url:
        program = (
            "import sys; from httpmini.client import options, url\n"
            "from httpmini.client.transport import connect, routing, timings\n"
            "there = url.parse_url(sys.argv[1])\n"
            "line = connect.dial(there, routing.Routing(), options.Timeouts(), timings.Timings())\n"
            "with line.sock as sock: print(sock.recv(100).decode())"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, url.replace("http:", "https:")],
            capture_output=True,
            check=False,
            timeout=WAIT_S,
            cwd=Path(__file__).parent.parent.parent,
            env={**os.environ, "SSL_CERT_FILE": str(authority.certificate)},
        )
    assert (done.stdout, done.stderr) == (b"secret\n", b"")


def say(data: bytes) -> Converse:
    def converse(sock: socket.socket) -> None:
        sock.sendall(data)
        wait_for_end(sock)

    return converse


def close_at_once(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_RDWR)


def reset_at_once(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_after_hello(sock: socket.socket) -> None:
    sock.recv(5)
    reset_at_once(sock)


NOT_TLS: dict[str, tuple[Converse, str]] = {
    "HTTP": (say(b"HTTP/1.0 400 Bad Request\r\n\r\n"), "does not speak TLS on this port; did you mean http://?"),
    "HTML": (say(b"<html><title>400</title></html>"), "does not speak TLS"),
    "SSH": (say(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak TLS"),
    "a refusal": (say(b"\x15\x03\x03\x00\x02\x02\x28"), "the server refuses"),
    "an old version": (say(b"\x15\x03\x01\x00\x02\x02\x46"), "no version of TLS in common"),
    "an unknown name": (say(b"\x15\x03\x03\x00\x02\x02\x70"), "the server does not know the name 127.0.0.1"),
    "another alert": (say(b"\x15\x03\x03\x00\x02\x02\x50"), "tlsv1 alert internal error"),
    "closed": (close_at_once, "closed the connection during the handshake"),
    "half a record": (lambda sock: sock.sendall(b"\x16\x03\x03"), "the connection during the handshake"),
    "reset": (reset_after_hello, "closed the connection during the handshake"),
}


@pytest.mark.parametrize(("converse", "said"), NOT_TLS.values(), ids=NOT_TLS)
def test_what_is_no_tls(authority: Authority, converse: Converse, said: str) -> None:
    with serving(converse, 1) as url, pytest.raises(TlsFailed) as caught:
        connect(url.replace("http:", "https:"), Routing(tls=authority.client()))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_no_version_in_common(authority: Authority) -> None:
    server, client = authority.server("127.0.0.1"), authority.client()
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(secret(server), 1) as url, pytest.raises(TlsFailed, match="no version of TLS in common"):
        connect(url.replace("http:", "https:"), Routing(tls=client))


@pytest.mark.parametrize("phase", ["connect", "total"])
def test_a_handshake_that_does_not_end(authority: Authority, phase: str) -> None:
    with serving(wait_for_end, 1) as url, pytest.raises(TimedOut) as caught:
        connect(url.replace("http:", "https:"), Routing(tls=authority.client()), limits=soon(phase))
    assert caught.value.phase == phase
    said = f"the TLS handshake with 127.0.0.1:{port_of(url)} was not complete within {SOON_S:g} s"
    assert str(caught.value).startswith(said)


def test_a_handshake_that_drips(authority: Authority) -> None:
    """Each byte comes in time, but not all of them together."""

    def drip(sock: socket.socket) -> None:
        sock.sendall(b"\x16\x03\x03\x40\x00")
        sock.settimeout(0.02)
        while True:
            try:
                if sock.recv(65536) == b"":
                    return
            except TimeoutError:
                sock.sendall(b"\0")

    with serving(drip, 1) as url, pytest.raises(TimedOut, match="the TLS handshake"):
        connect(url.replace("http:", "https:"), Routing(tls=authority.client()), limits=soon("connect"))


def test_a_name_that_no_certificate_could_be_for(authority: Authority) -> None:
    name = "a" * 64 + ".test"
    with serving(wait_for_end, 1) as url:
        port = port_of(url)
        routing = Routing(overrides={(name, port): ("127.0.0.1",)}, tls=authority.client())
        with pytest.raises(TlsFailed, match="is not a name that a certificate can be for"):
            connect(f"https://{name}:{port}/", routing)


# Python 3.11 warns of a descriptor that wrap_socket() loses if the peer goes at just that moment. What matters is that
# it is closed, not that it is closed silently.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_servers_that_are_gone_before_tls_begins(authority: Authority) -> None:
    """Whichever call notices first, no descriptor stays open, even while the errors are kept."""
    context = authority.client()
    errors = []
    with serving(reset_at_once, 60) as url:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(60):
            with pytest.raises(
                (TlsFailed, NotConnected), match=r"closed the connection|Connection reset by peer"
            ) as caught:
                connect(url.replace("http:", "https:"), Routing(tls=context))
            errors.append(caught)
        eventually(lambda: len(os.listdir("/proc/self/fd")) <= before, "the server has closed its last socket as well")


@pytest.mark.parametrize("announced", [True, False])
def test_an_end_counts_only_when_it_was_said_in_tls(authority: Authority, announced: bool) -> None:
    """RFC 9112 §9.8: otherwise anyone on the path could truncate a response without a length."""

    def converse(sock: socket.socket) -> None:
        with authority_context.wrap_socket(sock, server_side=True) as tls:
            tls.sendall(b"some of it")
            if announced:
                tls.unwrap().close()

    authority_context = authority.server("127.0.0.1")
    authority_context.num_tickets = 0
    with (
        serving(converse, 1) as url,
        connect(url.replace("http:", "https:"), Routing(tls=authority.client())).sock as sock,
    ):
        assert isinstance(sock, ssl.SSLSocket)
        assert sock.recv(100) == b"some of it"
        if announced:
            assert sock.recv(100) == b""
            sock.unwrap().close()
        else:
            with pytest.raises(ssl.SSLEOFError):
                sock.recv(100)


def test_errors_call_the_host_what_the_person_called_it() -> None:
    with refusing() as port:
        url = Url("http", "xn--bcher-kva.test", port, name="b\u00fccher.test")
        routing = Routing(overrides={(url.host, port): ("127.0.0.1",)})
        with pytest.raises(NotConnected, match=f"cannot connect to b\u00fccher.test port {port} "):
            dial(url, routing, Timeouts(), Timings())
