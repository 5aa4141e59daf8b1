"""Endpoints as operators write them, and the TCP listeners opened for them."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest

from httpmini.errors import CannotRun
from httpmini.server.listeners.endpoint import Endpoint, parse_endpoint
from httpmini.server.listeners.tcp import endpoint_of, open_listeners
from tests.support.wire import WAIT_S


@pytest.mark.parametrize(
    ("text", "host", "port", "spelt"),
    [
        ("127.0.0.1:8080", "127.0.0.1", "8080", "127.0.0.1:8080"),
        ("localhost:80", "localhost", "80", "localhost:80"),
        ("localhost:http", "localhost", "http", "localhost:http"),
        ("localhost:http-alt", "localhost", "http-alt", "localhost:http-alt"),
        ("[::1]:8080", "::1", "8080", "[::1]:8080"),
        ("[fe80::1%eth0]:8080", "fe80::1%eth0", "8080", "[fe80::1%eth0]:8080"),
        ("[::]:0", "::", "0", "[::]:0"),
        (":8080", "", "8080", ":8080"),
        ("*:8080", "", "8080", ":8080"),
        ("a.example:65535", "a.example", "65535", "a.example:65535"),
    ],
)
def test_endpoints(text: str, host: str, port: str, spelt: str) -> None:
    endpoint = parse_endpoint(text)
    assert endpoint == Endpoint(host, port)
    assert str(endpoint) == spelt
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "no port"),
        ("127.0.0.1", "no port"),
        ("localhost:", "no port"),
        (":", "no port"),
        ("8080", "no port"),
        ("[::1]", "brackets"),
        ("[::1]:", "no port"),
        ("::1:8080", "brackets"),
        ("::1", "brackets"),
        ("TLS::443", "small letters"),
        ("Unix:/run/x", "small letters"),
        ("tls:SystemD:web", "small letters"),
        ("https://127.0.0.1:443", "is a URL"),
        ("::", "no port"),
        ("1:2:80", "brackets"),
        ("[::1:80", "brackets"),
        ("::1]:80", "brackets"),
        ("127.0.0.1:65536", "65535"),
        ("127.0.0.1:99999999999999999999", "65535"),
        ("127.0.0.1: 80", "white space"),
        ("127.0.0.1 :80", "white space"),
        (" 127.0.0.1:80", "white space"),
        ("127.0.0.1:80\n", "white space"),
        ("local host:80", "white space"),
        ("127.0.0.1:-1", "port"),
        ("127.0.0.1:+80", "port"),
        ("127.0.0.1:8080/", "port"),
        ("http://localhost", "port"),
        ("127.0.0.1:\u0668\u0660", "port"),
        ("[]:8080", "."),
        ("[localhost:8080", "."),
        ("localhost]:8080", "."),
        ("local\0host:8080", "."),
    ],
)
def test_wrong_endpoints(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        parse_endpoint(text)


def open_all(*texts: str) -> list[socket.socket]:
    return open_listeners([parse_endpoint(text) for text in texts], 5)


@pytest.mark.parametrize(
    ("text", "family", "host"),
    [
        ("127.0.0.1:0", socket.AF_INET, "127.0.0.1"),
        ("[::1]:0", socket.AF_INET6, "::1"),
        ("0.0.0.0:0", socket.AF_INET, "0.0.0.0"),
    ],
)
def test_a_listener_listens(text: str, family: socket.AddressFamily, host: str) -> None:
    with ExitStack() as stack:
        (listener,) = map(stack.enter_context, open_all(text))
        port = listener.getsockname()[1]
        assert port > 0
        assert (listener.family, endpoint_of(listener)) == (family, Endpoint(host, str(port)))
        assert not listener.getblocking()
        assert not listener.get_inheritable()
        stack.enter_context(socket.create_connection((host, port), WAIT_S))  # 0.0.0.0 as a destination is this machine


def test_no_host_means_all_addresses_with_a_socket_for_each_family() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in open_all(":0")]
        hosts = {listener.getsockname()[0] for listener in listeners}
        assert hosts == {"0.0.0.0", "::"}
        assert all(
            listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
            for listener in listeners
            if listener.family == socket.AF_INET6
        )


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("nobody.invalid:0", ["nobody.invalid:0", "is the name right?"]),
        ("127.0.0.1:no-such-service", ["127.0.0.1:no-such-service"]),
        ("192.0.2.1:0", ["192.0.2.1:0", "this machine does not have that address"]),
        ("a" * 64 + ".invalid:0", ["not a host name"]),
        ("a..invalid:0", ["not a host name"]),
    ],
)
def test_endpoints_that_cannot_be_listened_on(text: str, fragments: list[str]) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(CannotRun) as caught:
        open_all("127.0.0.1:0", text)
    assert os.listdir("/proc/self/fd") == before  # the first one is closed again
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotRun) as caught:
            open_all("127.0.0.1:0", f"localhost:{port}")
    message = str(caught.value)
    assert f"127.0.0.1:{port} (localhost:{port})" in message
    assert "another program has this port" in message
