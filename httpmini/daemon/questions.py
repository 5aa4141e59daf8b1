"""Requests for ``httpmini why``: made of a URL or a path, or of a line of the access log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import quote

import msgspec

from httpmini.errors import UsageError, visible
from httpmini.protocol.grammar import BAD_VALUE_OCTET, TOKEN
from httpmini.server.listeners.peer import LOCAL

_URL = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)(?:[^/?#]*@)?(?P<host>[^/?#@]*)(?P<target>[^#]*)")
_SAFE = "%/:?#[]@!$&'()*+,;=-._~\\\"<>^`{|}"  # what a target may have besides; whether it is right is the server's word
_CUT = "..."  # where the log has left something out
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class Question(msgspec.Struct, frozen=True):
    """A request to be explained.

    Attributes:
        octets: what the client sends.
        address: of the client.
        user: who it was, as far as the log tells; else empty.
        status: what the log says that it got; 0 if it is not from the log.
        reason: the token of the reason there; may be empty.
    """

    octets: bytes
    address: str
    user: str = ""
    status: int = 0
    reason: str = ""


class _Line(msgspec.Struct):
    """What is needed of a line of the access log."""

    client: str
    request: str
    user: str = ""
    referer: str = ""
    user_agent: str = ""
    host: str = ""
    status: int = 0
    reason: str = ""


def ask(text: str, method: str, fields: Iterable[str], address: str) -> Question:
    """Make a request of a URL or a path.

    Raises:
        UsageError: it is neither, or the method, a field or the address is none.
    """
    if text.startswith(":"):  # as typed for ``httpmini get``
        text = f"http://localhost{text}"
    match = _URL.fullmatch(text)
    if match is None and not text.startswith(("/", "*")):
        raise UsageError(f"{_without_user(text)}: must be a URL, a path that begins with a slash, or a line of the log")
    if match is not None and match["scheme"].lower() not in ("http", "https"):
        raise UsageError(f"{_without_user(text)}: must be an http or https URL")
    if not _METHOD.fullmatch(method):
        raise UsageError(f"{method!r}: a method is one word, such as GET")
    target = _target(match["target"] or "/" if match else text.partition("#")[0])
    host = [f"Host: {_to_ascii(match['host'])}"] if match else []
    return Question(_head(f"{method} {target} HTTP/1.0", [*host, *fields]), _address(address))


def ask_again(line: str, fields: Sequence[str]) -> Question:
    """Make the request that a line of the access log in JSON is about.

    The line has only some of the fields of the request: others may be given.

    Raises:
        UsageError: it is no such line, or the log has left out a part of the request.
    """
    try:
        said = msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(f"this is no line of the access log in JSON: {visible(str(error))}") from error
    if said.request.endswith(_CUT):
        raise UsageError("the log has cut this request, so it cannot be asked again")
    if said.reason == "target-userinfo":
        raise UsageError("the log has left out the user name in this request, so it cannot be asked again")
    named = [f"Referer: {said.referer}", f"User-Agent: {said.user_agent}"]
    kept = [field for field, value in zip(named, (said.referer, said.user_agent), strict=True) if value]
    if said.host and not _names_host(fields):
        kept.insert(0, f"Host: {said.host}")
    user = said.user.encode("iso-8859-1", "replace").decode("utf-8", "surrogateescape")
    octets = _head(said.request, [*kept, *fields])
    return Question(octets, _address(said.client or LOCAL), user, said.status, said.reason)


def _names_host(fields: Iterable[str]) -> bool:
    return any(field.partition(":")[0].lower() == "host" for field in fields)


def _head(line: str, fields: Iterable[str]) -> bytes:
    lines = [line, *map(_field, fields)]
    try:
        return "\r\n".join([*lines, "", ""]).encode("iso-8859-1")
    except UnicodeEncodeError as error:
        raise UsageError("a request has characters of ISO-8859-1 only") from error


def _field(text: str) -> str:
    name, colon, value = text.partition(":")
    octets = value.encode("utf-8", "surrogateescape")
    if not colon or not TOKEN.fullmatch(name.encode("utf-8", "surrogateescape")) or BAD_VALUE_OCTET.search(octets):
        shown = f"{name!r}: " if colon else ""  # the rest may be a secret
        raise UsageError(f"{shown}a field is written 'Name: value', in one line")
    return f"{name}: {value.strip()}"


def _target(text: str) -> str:
    return quote(text, safe=_SAFE, errors="surrogateescape")


def _to_ascii(host: str) -> str:
    if host.isascii():
        return host
    from httpmini.client.url import parse_url

    return parse_url(f"http://{host}/").host_field


def _address(text: str) -> str:
    if text == LOCAL:
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        raise UsageError(f"{text!r}: an address is numeric, such as 192.0.2.7 or 2001:db8::7") from None


def _without_user(text: str) -> str:
    return visible(re.sub(r"//[^/?#]*@", "//", text))
