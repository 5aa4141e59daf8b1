"""What is said on the command line, as values; and a client that is made of it."""

from __future__ import annotations

import base64
import getpass
import math
import netrc
import os
import re
import sys
from dataclasses import dataclass
from typing import Literal, TypeVar

from httpmini.client.client import Client
from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.client.transport.exchange import Trace
from httpmini.client.transport.proxy import ProxySettings
from httpmini.client.transport.routing import Routing
from httpmini.client.transport.routing import parse_override as parse_override  # one of the readers below
from httpmini.client.url import Url
from httpmini.errors import UsageError, visible
from httpmini.protocol.grammar import BAD_VALUE_OCTET, TOKEN

_SIZE = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,6})?)(?P<unit>[KMGT]?)(?:I?B)?", re.ASCII | re.IGNORECASE)
_UNITS = ("", "K", "M", "G", "T")
_Kind = TypeVar("_Kind", bound=Client)
MOST_TIMES = 1000
MOST_SEGMENTS = 32
_LONGEST_S = 366 * 86400.0


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """What ``get`` and ``mirror`` have in common; each attribute is a flag. Seconds and bytes are plain numbers."""

    fields: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    netrc: bool = False
    verbose: bool = False
    quiet: bool = False
    no_follow: bool = False
    max_redirs: int = Limits().redirects
    downgrade: bool = False
    retries: int = Retries().times
    connect_timeout: float = Timeouts().connect_s
    first_byte_timeout: float = Timeouts().first_byte_s
    silence_timeout: float = Timeouts().silence_s
    max_time: float | None = None
    max_size: int | None = None
    ipv4: bool = False
    ipv6: bool = False
    unix_socket: str | None = None
    resolve: tuple[tuple[tuple[str, int], tuple[str, ...]], ...] = ()
    proxy: str | None = None
    no_proxy: bool = False


def make_client(options: ClientOptions, kind: type[_Kind], *, decode: bool, trace: Trace | None) -> _Kind:
    """A client of this ``kind`` as ``options`` ask for it; a password that was left out is asked for.

    Raises:
        UsageError: options that exclude each other; a password that cannot be asked for; a netrc file that cannot be
            read.
        BadUrl: a proxy that is none.
    """
    if options.netrc:
        _check_netrc()
    limits = Limits()
    most = limits.decoded_bytes if options.max_size is None else options.max_size
    return kind(
        timeouts=Timeouts(
            options.connect_timeout, options.first_byte_timeout, options.silence_timeout, options.max_time
        ),
        limits=Limits(body_bytes=options.max_size, decoded_bytes=most, redirects=options.max_redirs),
        retries=Retries(options.retries),
        routing=_routing(options),
        headers=options.fields,
        auth=None if options.user is None else _credentials(options.user),
        use_netrc=options.netrc,
        follow=not options.no_follow,
        downgrade=options.downgrade,
        decode=decode,
        trace=trace,
    )


def _routing(options: ClientOptions) -> Routing:
    if options.ipv4 and options.ipv6:
        raise UsageError("-4 and -6 exclude each other; without either, both are tried")
    if options.proxy is not None and options.no_proxy:
        raise UsageError("--proxy and --no-proxy exclude each other")
    family: Literal[0, 4, 6] = 4 if options.ipv4 else 6 if options.ipv6 else 0
    return Routing(
        family=family,
        overrides=dict(options.resolve),
        unix_socket=options.unix_socket,
        proxies=_proxies(options),
    )


def _proxies(options: ClientOptions) -> ProxySettings:
    if options.proxy is not None:
        return ProxySettings(options.proxy, options.proxy)
    return ProxySettings.none() if options.no_proxy else ProxySettings.from_environment(os.environ)


def _credentials(text: str) -> tuple[str, str]:
    """``user:password``, or ``user``, whose password is then asked for at the terminal."""
    user, colon, password = text.partition(":")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("-u: user name and password must be UTF-8 text") from error
    return user, password if colon else _ask_password(user)


def _ask_password(user: str) -> str:
    """From the terminal itself, wherever standard input and output lead."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError as error:
        raise UsageError(
            f"-u {user}: there is no terminal to ask for the password at; write it into ~/.netrc and say --netrc"
        ) from error
    try:
        return getpass.getpass(f"Password for {visible(user)}: ")
    except EOFError as error:
        raise UsageError(f"-u {user}: no password was given") from error


def _check_netrc() -> None:
    """Who asks for it should not be left to guess why a server wants a password all the same."""
    try:
        netrc.netrc()
    except OSError as error:
        raise UsageError(f"--netrc: cannot read ~/.netrc: {error.strerror}") from error
    except (UnicodeError, netrc.NetrcParseError) as error:
        said = error.msg if isinstance(error, netrc.NetrcParseError) else "it is not text"
        raise UsageError(f"--netrc: ~/.netrc cannot be used: {said}") from error


def own_credentials(url: Url) -> tuple[tuple[str, str], ...]:
    """The field for a user name and a password in ``url`` itself (RFC 7617 §2)."""
    if url.username is None:
        return ()
    token = base64.b64encode(f"{url.username}:{url.password or ''}".encode(errors="surrogateescape")).decode("ascii")
    return (("Authorization", f"Basic {token}"),)


def parse_field(text: str) -> tuple[str, str]:
    """``Name: value``; without a value, the field is left out where we would send it.

    Raises:
        UsageError: it is no field, or one that this client spells itself.
    """
    name, colon, value = text.partition(":")
    value = value.strip(" \t")
    try:
        named = TOKEN.fullmatch(name.encode("ascii"))
        right = colon and named and not BAD_VALUE_OCTET.search(value.encode("iso-8859-1"))
    except UnicodeEncodeError:
        right = False
    if not right:
        raise UsageError(f"{text!r}: write 'Name: value'; the name a token, the value ISO-8859-1 text in one line")
    if name.lower() in ("content-length", "transfer-encoding"):
        raise UsageError(f"{text!r}: where a request ends is said by httpmini itself; use --data for a body")
    return name, value


def parse_method(text: str) -> str:
    """A method (RFC 9110 §9.1).

    Raises:
        UsageError: it is no token.
    """
    if not TOKEN.fullmatch(text.encode("utf-8", "replace")) or text == "CONNECT":
        raise UsageError(f"{text!r}: write a method, such as GET, HEAD, OPTIONS or POST")
    return text


def parse_size(text: str) -> int:
    """``500``, ``500K``, ``1.5M``, ``2G`` as bytes; K is 1024, as in curl and wget.

    Raises:
        UsageError: it is none of these, or nothing.
    """
    match = _SIZE.fullmatch(text)
    size = int(float(match["number"]) * 1024 ** _UNITS.index(match["unit"].upper())) if match else 0
    if size < 1:
        raise UsageError(f"{text!r} is not a size: write bytes, or K, M or G behind a number, such as 500K or 1.5M")
    return size


def parse_seconds(text: str) -> float:
    """A time, in seconds.

    Raises:
        UsageError: it is no number above 0.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST_S:
        raise UsageError(f"{text!r} is not a time: write seconds, such as 30 or 0.5")
    return seconds


def parse_count(text: str) -> int:
    """How often, or how many.

    Raises:
        UsageError: it is no whole number, or one out of all reason.
    """
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or int(text) > MOST_TIMES:
        raise UsageError(f"{text!r}: write a whole number from 0 to {MOST_TIMES}")
    return int(text)


def parse_segments(text: str) -> int:
    """How many parts of a file are fetched at once.

    Raises:
        UsageError: it is no whole number, or more than a server would put up with.
    """
    if not re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) or not 1 <= int(text) <= MOST_SEGMENTS:
        raise UsageError(f"{text!r}: write a whole number from 1 to {MOST_SEGMENTS}")
    return int(text)


def parse_sha256(text: str) -> str:
    """A digest in hexadecimal.

    Raises:
        UsageError: it is not one.
    """
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", text, re.ASCII):
        raise UsageError(f"{text!r}: a SHA-256 digest has 64 hexadecimal digits")
    return text.lower()


def read_data(texts: tuple[str, ...]) -> bytes:
    """The body of a request: text, or with ``@`` a file, or with ``@-`` standard input; several with ``&`` between.

    Raises:
        UsageError: the file cannot be read.
    """
    return b"&".join(_read_datum(text) for text in texts)


def _read_datum(text: str) -> bytes:
    if not text.startswith("@"):
        return os.fsencode(text)
    try:
        if text != "@-":
            with open(text[1:], "rb") as file:
                return file.read()
        if sys.stdin is None:
            raise UsageError("--data @-: there is no standard input")
        return sys.stdin.buffer.read()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--data {text}: cannot be read: {said}") from error
