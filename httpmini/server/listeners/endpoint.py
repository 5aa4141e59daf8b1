"""Endpoints: where to listen, as an operator writes it in the settings or on the command line."""

from __future__ import annotations

import os
import re
from ipaddress import IPv6Address

import msgspec

INHERITED = "systemd"  # the host of an endpoint that names an inherited socket
UNIX = "unix"  # the host of an endpoint that is a path
SECURE = "tls:"  # before an endpoint whose clients speak TLS

# A number, or a service name: letters, digits and hyphens, at least one of them a letter (RFC 6335 §5.1).
_PORT = re.compile(r"[0-9]+|(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_-]*")
_HOST = re.compile(r"[^\[\]/:@?#\x00-\x1f]*")
_MAX_PATH_BYTES = 90  # of the 107 that unix(7) allows: leaves room for the suffix of the temporary name
SOCKET_NAME = re.compile(r"[ -9;-~]{1,255}")  # of an inherited socket: sd_listen_fds_with_names(3)


class Endpoint(msgspec.Struct, frozen=True):
    """An address to listen on, before any name in it is resolved.

    Attributes:
        host: a host name or an address; "" for every address of the machine; ``UNIX`` or ``INHERITED`` for the rest.
        port: a number or a service name; the path of a Unix socket; the name of an inherited socket.
        is_secure: whether its clients speak TLS.
    """

    host: str
    port: str
    is_secure: bool = False

    def __str__(self) -> str:
        where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return SECURE + where if self.is_secure else where


def parse_endpoint(text: str) -> Endpoint:
    """Parse one endpoint.

    Args:
        text: ``host:port``, ``[v6]:port``, ``:port``, ``*:port``, ``unix:path``, or ``systemd:name`` for an inherited
            socket; all but ``unix:`` with ``tls:`` before it, too.

    Raises:
        ValueError: the text is none of these; the message says what would be right.
    """
    if text.startswith(SECURE):
        return _parse_secure(text.removeprefix(SECURE))
    if text.startswith((f"{UNIX}:", f"{INHERITED}:")):
        return _parse_named(text)
    if any(character.isspace() for character in text):
        raise ValueError("contains white space")
    _refuse_prefix(text)
    if text.endswith("]"):
        raise ValueError('has no port after the brackets; write it, for example "[::1]:8080"')
    host, colon, port = text.rpartition(":")
    if not colon or not port:
        raise ValueError('has no port; write "host:port", for example "127.0.0.1:8080"')
    if not _PORT.fullmatch(port):
        raise ValueError('a port is a number or a service name, for example "127.0.0.1:8080" or "localhost:http-alt"')
    if port.isdecimal() and (len(port) > 5 or int(port) > 65535):
        raise ValueError("a port is at most 65535")
    return Endpoint(_parse_host(host), port)


def _parse_secure(text: str) -> Endpoint:
    """Parse what stands after ``tls:``."""
    if text.startswith((f"{UNIX}:", SECURE)):
        raise ValueError('needs an address and a port after "tls:", for example "tls:0.0.0.0:443"')
    if _PORT.fullmatch(text):
        raise ValueError(f'has no address; write "tls::{text}" for every address of this machine')
    endpoint = parse_endpoint(text)
    return Endpoint(endpoint.host, endpoint.port, True)


def _refuse_prefix(text: str) -> None:
    """Refuse what is no host before the first colon."""
    word = text.partition(":")[0].lower()
    if word in (SECURE.rstrip(":"), UNIX, INHERITED):
        raise ValueError(f'is written with small letters: "{word}:"')
    if "://" in text:
        raise ValueError('is a URL; write "host:port" for http and "tls:host:port" for https')


def _parse_host(text: str) -> str:
    """Return the host without brackets, "" for every address."""
    if text.startswith("[") and text.endswith("]"):
        return _parse_ipv6(text[1:-1])
    if ":" in text:
        raise ValueError('an IPv6 address needs brackets, for example "[::1]:8080"')
    if not _HOST.fullmatch(text):
        raise ValueError('is not a host and a port; write "host:port", for example "127.0.0.1:8080"')
    return "" if text == "*" else text


def _parse_ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except ValueError as error:
        raise ValueError('brackets may hold only an IPv6 address, for example "[::1]:8080"') from error
    return text


def _parse_named(text: str) -> Endpoint:
    """Parse an endpoint with a path or a name in place of an address."""
    kind, _, name = text.partition(":")
    if kind == UNIX and (not 0 < len(os.fsencode(name)) <= _MAX_PATH_BYTES or "\0" in name):
        raise ValueError(f'needs a path of at most {_MAX_PATH_BYTES} bytes, for example "unix:/run/httpmini/http"')
    if kind == INHERITED and not SOCKET_NAME.fullmatch(name):
        raise ValueError('needs a name of printable ASCII characters, for example "systemd:web"')
    return Endpoint(kind, name)
