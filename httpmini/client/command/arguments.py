"""The command line as values, and a client made from them."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from httpmini.client.client import Client
from httpmini.client.credentials import read_netrc
from httpmini.client.options import Limits, Retries, Timeouts
from httpmini.client.transport.connection import Trace
from httpmini.client.transport.proxy import ProxySettings
from httpmini.client.transport.routing import Routing
from httpmini.client.transport.routing import parse_override as parse_override  # one of the readers below
from httpmini.errors import CannotRun, UsageError, visible
from httpmini.protocol.grammar import BAD_VALUE_OCTET, TOKEN

_SIZE = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,6})?)(?P<unit>[KMGT]?)(?:I?B)?", re.ASCII | re.IGNORECASE)
_UNITS = ("", "K", "M", "G", "T")
_Kind = TypeVar("_Kind", bound=Client)
MAX_COUNT = 1000
MAX_SEGMENTS = 32
_MAX_SECONDS = 366 * 86400.0


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """The options that ``get`` and ``mirror`` share; each attribute is a flag. Times are in seconds, sizes in bytes."""

    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    user: str | None = field(default=None, repr=False)
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
    proxy: str | None = field(default=None, repr=False)
    no_proxy: bool = False


def make_client(options: ClientOptions, kind: type[_Kind], *, decode: bool, trace: Trace | None) -> _Kind:
    """Make a client from the options; a missing password is prompted for.

    Args:
        options: as given.
        kind: the class of the client.
        decode: whether it decodes bodies.
        trace: receives the heads.

    Raises:
        UsageError: the options contradict each other, there is no terminal to prompt at, or ~/.netrc cannot be read.
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
    """Split ``user:password``; for ``user`` alone, prompt for the password at the terminal."""
    user, colon, password = text.partition(":")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("-u: user name and password must be UTF-8 text") from error
    return user, password if colon else _ask_password(user)


def _ask_password(user: str) -> str:
    """Prompt at the terminal itself, wherever standard input and output lead."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError as error:
        raise UsageError(
            f"-u {user}: there is no terminal to ask for the password; put it into ~/.netrc and use --netrc"
        ) from error
    try:
        import getpass  # late: the other requests need not wait for it

        return getpass.getpass(f"Password for {visible(user)}: ")
    except EOFError as error:
        raise UsageError(f"-u {user}: no password was given") from error


def _check_netrc() -> None:
    """Refuse an unreadable ~/.netrc; otherwise the user would have to guess why the server still wants a password."""
    try:
        read_netrc()
    except OSError as error:
        raise UsageError(f"--netrc: cannot read ~/.netrc: {error.strerror}") from error
    except CannotRun as error:
        raise UsageError(f"--netrc: ~/.netrc cannot be used: {error}") from error


def parse_field(text: str) -> tuple[str, str]:
    """Parse ``Name: value``; without a value, the default field of that name is left out.

    Raises:
        UsageError: it is not a valid field, or one that httpmini sets itself.
    """
    name, colon, value = text.partition(":")
    value = value.strip(" \t")
    named = name.isascii() and TOKEN.fullmatch(name.encode("ascii"))
    try:
        right = colon and named and not BAD_VALUE_OCTET.search(value.encode("iso-8859-1"))
    except UnicodeEncodeError:
        right = False
    if not right:  # of the text only a name is shown: the rest may be a password
        shown = f"{name}: " if colon and named else ""
        raise UsageError(
            f"{shown}write 'Name: value', where the name is a token and the value one line of ISO-8859-1 text"
        )
    if name.lower() in ("content-length", "transfer-encoding"):
        raise UsageError(f"{name}: httpmini sets the length of the body itself; use --data for a body")
    return name, value


def parse_method(text: str) -> str:
    """Parse a method (RFC 9110 §9.1).

    Raises:
        UsageError: it is not a token, or is CONNECT.
    """
    if not TOKEN.fullmatch(text.encode("utf-8", "replace")) or text == "CONNECT":
        raise UsageError(f"{text!r}: write a method, such as GET, HEAD, OPTIONS or POST")
    return text


def parse_size(text: str) -> int:
    """Parse a size such as ``500``, ``500K``, ``1.5M`` or ``2G`` into bytes; K is 1024, as in curl and wget.

    Raises:
        UsageError: it is not a size above 0.
    """
    match = _SIZE.fullmatch(text)
    size = int(float(match["number"]) * 1024 ** _UNITS.index(match["unit"].upper())) if match else 0
    if size < 1:
        raise UsageError(
            f"{text!r} is not a size: write a number of bytes, or a number with K, M or G, such as 500K or 1.5M"
        )
    return size


def parse_seconds(text: str) -> float:
    """Parse a time in seconds.

    Raises:
        UsageError: it is not a number above 0, or more than a year.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MAX_SECONDS:
        raise UsageError(f"{text!r} is not a time: write seconds, such as 30 or 0.5")
    return seconds


def parse_count(text: str) -> int:
    """Parse a whole number.

    Raises:
        UsageError: it is not one, or beyond ``MAX_COUNT``.
    """
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or int(text) > MAX_COUNT:
        raise UsageError(f"{text!r}: write a whole number from 0 to {MAX_COUNT}")
    return int(text)


def parse_percent(text: str) -> float:
    """Parse a percentage, with or without its sign.

    Raises:
        UsageError: it is not a number from 0 to 100.
    """
    match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%?", text, re.ASCII)
    if match is None or float(match[1]) > 100:
        raise UsageError(f"{text!r}: write a percentage from 0 to 100")
    return float(match[1])


def parse_segments(text: str) -> int:
    """Parse the number of segments of a download.

    Raises:
        UsageError: it is not a whole number, or more than a server would put up with.
    """
    if not re.fullmatch(r"[0-9]{1,2}", text, re.ASCII) or not 1 <= int(text) <= MAX_SEGMENTS:
        raise UsageError(f"{text!r}: write a whole number from 1 to {MAX_SEGMENTS}")
    return int(text)


def parse_sha256(text: str) -> str:
    """Parse a SHA-256 digest in hexadecimal.

    Raises:
        UsageError: it is not one.
    """
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", text, re.ASCII):
        raise UsageError(f"{text!r}: a SHA-256 digest has 64 hexadecimal digits")
    return text.lower()


def read_data(texts: tuple[str, ...]) -> bytes:
    """Build the body of a request from texts, ``@FILE`` and ``@-`` (standard input), joined with ``&``.

    Raises:
        UsageError: a file cannot be read.
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
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"--data {text}: cannot be read: {reason}") from error
