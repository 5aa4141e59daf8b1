"""What must hold for any bytes that a peer sends: requests, responses, listings, URLs, dates, proxies."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from httpmini.client.decode import codings_of, decode
from httpmini.client.digests import announced_sha256
from httpmini.client.mirror.listings import Entry, follow, read_json, read_page, unsafe
from httpmini.client.options import Limits
from httpmini.client.url import join, parse_url
from httpmini.errors import BadUrl, HttpminiError, ProtocolError
from httpmini.protocol.dates import format_date, parse_date
from httpmini.protocol.framing import framing_of
from httpmini.protocol.message import Headers, Request
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader, read_response_head
from httpmini.protocol.structured import parse_dictionary
from httpmini.server.http.forwarded import Source, TrustedProxies
from httpmini.server.http.proxy_protocol import read_proxy_header
from httpmini.server.limits.address_rules import AddressRules
from httpmini.server.listeners.peer import Peer
from httpmini.site.digests import ALGORITHMS, WANT, wanted_algorithm
from tests.protocol.test_plain import assert_agreement

Check = Callable[[bytes], None]

LIMITS = (HeadLimits(400, 64, 5), HeadLimits(16_384, 8_192, 100))
WALL = 1_790_000_000.0
_PREFIXES = 300  # of a message that are tried one by one


def arrivals(data: bytes) -> tuple[bytes, list[list[bytes]]]:
    """Return a message, and ways to cut it: the first octet of ``data`` says in how large pieces."""
    step, data = (data[0] or 1, data[1:]) if data else (1, b"")
    ways = [[data], [data[at : at + step] for at in range(0, len(data), step)]]
    if len(data) <= _PREFIXES:
        ways.append([data[at : at + 1] for at in range(len(data))])
    return data, ways


def requests(data: bytes) -> None:
    """The quick and the careful reader agree, and so do all ways to cut the bytes."""
    data, ways = arrivals(data)
    for limits in LIMITS:
        assert_agreement(data, limits)
        whole = list(_read_requests(ways[0], limits))
        for pieces in ways[1:]:
            assert list(_read_requests(pieces, limits)) == whole


def _read_requests(pieces: Iterable[bytes], limits: HeadLimits) -> Iterator[object]:
    reader = RequestReader(limits)
    try:
        for piece in pieces:
            reader.feed(piece)
            while (request := reader.next()) is not NEED_DATA:
                assert isinstance(request, Request)
                yield request, request.headers.fields
    except ProtocolError as error:
        yield error.reason.token, error.offset


def response_heads(data: bytes) -> None:
    """A head is taken or refused at some byte, and what follows changes nothing."""
    for limits in LIMITS:
        whole = _read_response(data, limits)
        for length in range(min(len(data), _PREFIXES)):
            part = _read_response(data[:length], limits)
            if part is not None:
                assert part[:2] == (whole or ())[:2]
                break


def _read_response(data: bytes, limits: HeadLimits) -> tuple[object, ...] | None:
    try:
        head = read_response_head(data, limits)
    except ProtocolError as error:
        return "refused", error.reason.token
    if head is NEED_DATA:
        return None
    with suppress(ProtocolError):
        framing_of("GET", head.status, head.headers)
    return head, head.size


def bodies(data: bytes) -> None:
    """How a body arrives changes neither it, nor where it ends, nor what is wrong with it."""
    kind, data = (data[:1], data[1:])
    fields = [("Transfer-Encoding", "chunked")] if kind < b"\x80" else [("Content-Length", str(kind[0]))]
    data, ways = arrivals(data)
    whole = _unframe(ways[0], Headers(fields))
    for pieces in ways[1:]:
        assert _unframe(pieces, Headers(fields)) == whole


def _unframe(pieces: list[bytes], headers: Headers) -> tuple[bytes, object]:
    framing, body = framing_of("GET", 200, headers), b""
    try:
        for piece in pieces:
            body += framing.receive(piece)
    except ProtocolError as error:
        return b"", (error.reason.token, error.offset)
    return body, (framing.done, framing.surplus, framing.end())


_CODINGS = ("gzip", "deflate", "br", "zstd", "gzip, br", "deflate, gzip")
_DECODED = Limits(decoded_bytes=200_000, ratio=1_000)


def codings(data: bytes) -> None:
    """Decoding ends, within its bounds, with the same bytes or the same kind of error however it arrives."""
    coding, data = _CODINGS[data[0] % len(_CODINGS)] if data else "gzip", data[1:]
    data, ways = arrivals(data)
    names = codings_of(Headers([("Content-Encoding", coding)]))
    if coding == "gzip" and data[:1] == b"\0":  # else a mutation would hardly ever be valid
        ways = [[zlib.compress(data, wbits=31)], *([bytes((octet,)) for octet in zlib.compress(data, wbits=31)],)]
    whole = _decode(ways[0], names)
    for pieces in ways[1:]:
        found = _decode(pieces, names)
        assert found[0] == whole[0]
        if not found[0]:
            assert found[1] == whole[1]
        elif found[0] != "TooLarge":
            assert found[1].startswith(whole[1]) or whole[1].startswith(found[1])


def _decode(pieces: list[bytes], names: list[str]) -> tuple[str, bytes]:
    """Return the name of the error, and what was decoded before it."""
    body = b""
    try:
        for piece in decode(iter(pieces), names, _DECODED):
            body += piece
            assert len(body) <= 200_000 + 2**20
    except HttpminiError as error:
        return type(error).__name__, body
    return "", body


def listings(data: bytes) -> None:
    """Whatever links a page has, what is followed is below the folder, and has the names that its URL says."""
    url = parse_url("http://h/a%20b/")
    folder = Entry((), url, True)
    listing = read_json(data, url) or read_page(data, url)
    for link in listing.links[:50]:
        entry = follow(link, listing.base, folder)
        if entry is None:
            continue
        assert entry.url.target.startswith(url.target)
        assert entry.url.origin == url.origin
        assert entry.names
        assert entry.is_folder == entry.url.target.endswith("/")
        if not any(map(unsafe, entry.names)):
            assert not {b"", b".", b".."} & set(entry.names)
            assert not any(b"/" in name or b"\0" in name for name in entry.names)


_TARGET = re.compile(r"/[!$-~]*|/[!\"$-~]*")


def urls(data: bytes) -> None:
    """A URL is refused, or means the same when it is read again, and to the standard library."""
    first, _, second = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        url = parse_url(first)
    except BadUrl:
        return
    _check_url(url.text)
    assert parse_url(url.text).text == url.text
    oracle = urlsplit(first)
    assert url.scheme == oracle.scheme.lower()
    assert url.port == (oracle.port or {"http": 80, "https": 443}[url.scheme])
    if oracle.hostname and oracle.hostname.isascii() and ":" not in oracle.hostname and "%" not in oracle.hostname:
        assert url.host == oracle.hostname.lower()
    with suppress(BadUrl):
        there = join(url, second.encode("utf-8", "surrogateescape").decode("iso-8859-1"))
        _check_url(there.text)
        assert there.username is there.password is None or there.origin == url.origin


def _check_url(text: str) -> None:
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    assert "#" not in text


def dates(data: bytes) -> None:
    """A date is refused, or is the one that Python's own parser reads."""
    text = data.decode("iso-8859-1")
    seconds = parse_date(text, WALL)
    if seconds is None:
        return
    assert parse_date(format_date(seconds), WALL) == seconds
    # The oracle takes the years 0000 to 0099 for two digits, and knows no leap seconds.
    if re.fullmatch(r"..., .. ... (?!00)[0-9]{4} ..:..:(?!60).. GMT", text):
        oracle = parsedate_to_datetime(text)
        assert int(oracle.timestamp()) == seconds


def dictionaries(data: bytes) -> None:
    """A structured dictionary is refused, or its members are dictionaries; so are the digests of both sides."""
    text = data.decode("iso-8859-1")
    found = parse_dictionary([text])
    for key, value in (found or {}).items():
        assert parse_dictionary([f"{key}={value}"]) == {key: value}
    assert wanted_algorithm(Headers(((WANT, text),))) in ("", *ALGORITHMS)
    announced_sha256(Headers((("Repr-Digest", text),)))


def proxy_headers(data: bytes) -> None:
    """A header of the PROXY protocol is taken, refused or incomplete, however it arrives."""
    data, ways = arrivals(data)
    whole = _read_proxy_header(ways[-1])
    for pieces in ways[:-1]:
        assert _read_proxy_header(pieces) == whole


def _read_proxy_header(pieces: list[bytes]) -> object:
    arrived = b""
    for number, piece in enumerate(pieces):
        arrived += piece
        try:
            header = read_proxy_header(arrived)
        except ValueError:
            return "refused"
        if header is not None:
            assert 0 < header.length <= len(arrived)
            if header.client is not None:
                assert str(ip_address(header.client[0])) == header.client[0]
                assert 0 <= header.client[1] <= 65535
            return header, arrived[header.length :] + b"".join(pieces[number + 1 :])
    return None


_PROXY = Peer("10.0.0.1", 1)
_OURS: dict[Source, str] = {
    "x-forwarded-for": "192.0.2.7:80",
    "forwarded": 'for="192.0.2.7:80";host="h, x";proto=http',
}


def forwarded(data: bytes) -> None:
    """What a client writes, in whatever fields, does not change what our proxy has added."""
    lines = [line.decode("iso-8859-1").strip(" \t\r") for line in data.split(b"\n")]
    for source, ours in _OURS.items():
        proxies = TrustedProxies([ip_network("10.0.0.0/8")], False, source, AddressRules())
        fields = [(source, line) for line in lines]
        for written in ([*fields, (source, ours)], [*fields[:-1], (source, f"{lines[-1]}, {ours}")]):
            found = proxies.find_client(Headers(written), _PROXY, source)
            assert found == Peer("192.0.2.7", 80), source
        client = proxies.find_client(Headers(fields), _PROXY, source)
        assert client != _PROXY, "a field that is there never makes a client the proxy"
        if client is not None:
            assert str(ip_address(client.host)) == client.host
            assert 0 <= client.port <= 65535


PROTOCOL: dict[str, Check] = {
    "requests": requests,
    "response_heads": response_heads,
    "bodies": bodies,
    "codings": codings,
    "listings": listings,
    "urls": urls,
    "dates": dates,
    "proxy_headers": proxy_headers,
    "forwarded": forwarded,
    "dictionaries": dictionaries,
}
