"""URLs as people write them, and as servers send them."""

from __future__ import annotations

import re
import traceback

import pytest

from httpmini.client.url import Url, join, parse_url, without_userinfo
from httpmini.errors import BadUrl, visible
from httpmini.protocol import grammar

MAPPED = "::ffff:7f00:1"  # as browsers have it; str() depends on the version of Python


def http(host: str, port: int = 80, target: str = "/", username: str | None = None, password: str | None = None) -> Url:
    return Url("http", host, port, target, username, password)


# ---------------------------------------------------------------------------------------------------------------
# Parsing


@pytest.mark.parametrize(
    ("text", "url", "host_field"),
    [
        ("http://h", http("h"), "h"),
        ("http://h/", http("h"), "h"),
        ("HTTP://H:80/A", http("h", target="/A"), "h"),
        ("http://h:/", http("h"), "h"),
        ("http://h:00080/", http("h"), "h"),
        ("http://h:443/", http("h", 443), "h:443"),
        ("http://h:65535/", http("h", 65535), "h:65535"),
        ("https://h/", Url("https", "h", 443), "h"),
        ("HTTPS://H:443", Url("https", "h", 443), "h"),
        ("https://h:80/", Url("https", "h", 80), "h:80"),
        ("http://h:8080/a/b?c=d&e#f", http("h", 8080, "/a/b?c=d&e"), "h:8080"),
        ("http://h?c", http("h", target="/?c"), "h"),
        ("http://h/a?", http("h", target="/a?"), "h"),
        ("http://h/a?#b", http("h", target="/a?"), "h"),
        ("http://h/a#b?c", http("h", target="/a"), "h"),
        ("http://h/a??b", http("h", target="/a??b"), "h"),
        ("http://h#c", http("h"), "h"),
        ("http://h//a", http("h", target="//a"), "h"),
        ("http://h/../a;b=c", http("h", target="/../a;b=c"), "h"),
        ("http://h/%41%2f%zz", http("h", target="/%41%2f%zz"), "h"),
        ("http://h/a b?c d", http("h", target="/a%20b?c%20d"), "h"),
        ("http://h/a+b?c+d", http("h", target="/a+b?c+d"), "h"),
        ('http://h/"<>\\^`{|}', http("h", target="/%22%3C%3E%5C%5E%60%7B%7C%7D"), "h"),
        ("http://h/ü?€", http("h", target="/%C3%BC?%E2%82%AC"), "h"),
        ("http://h/caf\udce9", http("h", target="/caf%E9"), "h"),
        ("http://h/x@y:z", http("h", target="/x@y:z"), "h"),
        ("http://h./", http("h."), "h."),
        ("http://under_score/", http("under_score"), "under_score"),
        ("http://127.0.0.1:1/", http("127.0.0.1", 1), "127.0.0.1:1"),
        ("http://[::1]/", http("::1"), "[::1]"),
        ("http://[::1]:81/", http("::1", 81), "[::1]:81"),
        ("http://[2001:DB8:0::A]:8080/", http("2001:db8::a", 8080), "[2001:db8::a]:8080"),
        ("http://[::ffff:127.0.0.1]/", http(MAPPED), f"[{MAPPED}]"),
        # A zone is local, not for the server (RFC 6874 §4), and its case counts.
        ("http://[fe80::1%25Eth0]:81/", http("fe80::1%Eth0", 81), "[fe80::1]:81"),
        ("http://[FE80::1%lo]/", http("fe80::1%lo"), "[fe80::1]"),
        # IDNs (RFC 5890).
        ("http://bücher.example/", http("xn--bcher-kva.example"), "xn--bcher-kva.example"),
        ("http://BÜCHER.Example:8080/", http("xn--bcher-kva.example", 8080), "xn--bcher-kva.example:8080"),
        ("http://xn--bcher-kva.example/", http("xn--bcher-kva.example"), "xn--bcher-kva.example"),
        ("http://例え。テスト/", http("xn--r8jz45g.xn--zckzah"), "xn--r8jz45g.xn--zckzah"),
        # Names that RFC 3490 took for others: ß for ss, the final sigma for another, joiners for nothing.
        ("http://faß.de/", http("xn--fa-hia.de"), "xn--fa-hia.de"),
        ("http://FAẞ.de/", http("xn--fa-hia.de"), "xn--fa-hia.de"),
        ("http://βόλος.com/", http("xn--nxasmm1c.com"), "xn--nxasmm1c.com"),
        ("http://ශ්‍රී.com/", http("xn--10cl1a0b660p.com"), "xn--10cl1a0b660p.com"),
        ("http://نامه‌ای.com/", http("xn--mgba3gch31f060k.com"), "xn--mgba3gch31f060k.com"),
        # Symbols and the underscore, as in browsers.
        ("http://☕.example/", http("xn--53h.example"), "xn--53h.example"),
        ("http://_x.bücher.example/", http("_x.xn--bcher-kva.example"), "_x.xn--bcher-kva.example"),
        # Characters that the mapping of UTS 46 takes out or replaces.
        ("http://bü­cher.example./", http("xn--bcher-kva.example."), "xn--bcher-kva.example."),
        ("http://ｂｕ̈cher．example/", http("xn--bcher-kva.example"), "xn--bcher-kva.example"),
        # Userinfo.
        ("http://u@h/", http("h", username="u"), "h"),
        ("http://u:@h/", http("h", username="u", password=""), "h"),
        ("http://:p@h/", http("h", username="", password="p"), "h"),
        ("http://u:p@h:81/x", http("h", 81, "/x", "u", "p"), "h:81"),
        ("http://u:p:q@h/", http("h", username="u", password="p:q"), "h"),
        ("http://u%40x:p%3A%2F%C3%BC@h/", http("h", username="u@x", password="p:/ü"), "h"),
        ("http://a@b@h/", http("h", username="a@b"), "h"),
        ("http://u:p@[::1]:81/", http("::1", 81, username="u", password="p"), "[::1]:81"),
    ],
)
def test_urls(text: str, url: Url, host_field: str) -> None:
    parsed = parse_url(text)
    assert parsed == url
    assert parsed.host_field == host_field
    assert parse_url(parsed.text) == http(*parsed.origin[1:], parsed.target) or "%" in url.host or url.scheme == "https"
    assert not grammar.BAD_TARGET_OCTET.search(parsed.target.encode("ascii"))


PLACES = [
    "http://h/a{}b",
    "https://h/{}",
    "http://h/a?b{}c",
    "http://a{}b/",
    "http://h:8{}/",
    "http://h:80{}/",
    "http{}://h/x",
]


@pytest.mark.parametrize("text", [*PLACES, "http://h{}", "http://h:{}65536/", "http://h:{}0/", "http://h:{}00080/"])
def test_a_plain_url_is_what_it_is_in_the_general_way(text: str) -> None:
    """Nearly all URLs are taken apart by one expression; a fragment keeps a URL from it, and changes nothing else."""
    for char in ["", "%41", "??", "//", "..", "\u20ac", *(chr(code) for code in range(256) if code != ord("#"))]:
        assert outcome(text.format(char)) == outcome(f"{text.format(char)}#f"), char


def outcome(text: str) -> tuple[Url, str] | str:
    try:
        url = parse_url(text)
    except BadUrl as error:
        return str(error).replace("#f", "")
    return url, url.name


@pytest.mark.parametrize("text", ["http://u:secret@h:81/x", "http://:secret@h/", "http://u:se%20cret@[::1]/"])
def test_a_password_is_not_shown(text: str) -> None:
    url = parse_url(text)
    for shown in (url.text, url.host_field, url.authority, repr(url), str(url)):
        assert "se" not in shown.replace("username", "")
    assert "@" not in url.text


@pytest.mark.parametrize(
    ("text", "authority", "origin"),
    [
        ("http://h/", "h:80", ("http", "h", 80)),
        ("https://H/", "h:443", ("https", "h", 443)),
        ("https://[::1]/", "[::1]:443", ("https", "::1", 443)),
        ("http://u:p@h:81/", "h:81", ("http", "h", 81)),
    ],
)
def test_authority_and_origin(text: str, authority: str, origin: tuple[str, str, int]) -> None:
    assert parse_url(text).authority == authority
    assert parse_url(text).origin == origin


def test_the_name_is_as_it_was_written() -> None:
    assert parse_url("http://bücher.example/").name == "bücher.example"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (":8080/x", http("localhost", 8080, "/x")),
        (":8080", http("localhost", 8080)),
        (":/x", http("localhost", target="/x")),
        ("localhost:8080/x?y", http("localhost", 8080, "/x?y")),
        ("localhost", http("localhost")),
        ("example.org/a b", http("example.org", target="/a%20b")),
        ("example.org?x=http://y/", http("example.org", target="/?x=http://y/")),
        ("127.0.0.1:81", http("127.0.0.1", 81)),
        ("[::1]:81/x", http("::1", 81, "/x")),
        ("bücher.example/", http("xn--bcher-kva.example")),
        ("u:p@h:81/", http("h", 81, username="u", password="p")),
        ("https://h/", Url("https", "h", 443)),
        ("http://h:81/", http("h", 81)),
    ],
)
def test_shorthand(text: str, url: Url) -> None:
    assert parse_url(text, shorthand=True) == url


@pytest.mark.parametrize("text", [":8080/x", "localhost:8080/x", "localhost", "example.org/a", "127.0.0.1:81"])
def test_shorthand_has_to_be_asked_for(text: str) -> None:
    with pytest.raises(BadUrl, match="write http://host:port/path"):
        parse_url(text)


BAD_URLS = [
    ("", "only http and https"),
    ("h/x", "only http and https"),
    ("127.0.0.1:80/x", "only http and https"),
    ("localhost:80", "only http and https"),
    ("ftp://h/", "only http and https"),
    ("file:///etc/passwd", "only http and https"),
    ("javascript:alert(1)", "only http and https"),
    ("data:,x", "only http and https"),
    ("httpx://h/", "only http and https"),
    ("//h/", "only http and https"),
    ("-", "only http and https"),
    ("http:", "no host or port"),
    ("http:h", "no host or port"),
    ("http:/h", "no host or port"),
    ("http://", "no host or port"),
    ("http:///x", "no host or port"),
    ("https:///x", "no host or port; write https"),
    ("http://:80/", "no host or port"),
    ("http://u@/", "no host or port"),
    ("http://?x", "no host or port"),
    ("http://h:0/", "no host or port"),
    ("http://h:65536/", "the port is not"),
    ("http://h:99999/", "the port is not"),
    ("http://h:-1/", "the port is not"),
    ("http://h:+1/", "the port is not"),
    ("http://h:1_0/", "the port is not"),
    ("http://h:８０/", "the port is not"),
    ("http://h:x/", "the port is not"),
    ("http://h:80:80/", "the port is not"),
    ("http://[::1/", "neither a name nor an address"),
    ("http://::1/", "the port is not"),
    ("http://℀.example/", "neither a name nor an address"),
    ("http://[::1]evil/", "neither a name nor an address"),
    ("http://[::1]evil:80/", "neither a name nor an address"),
    ("http://evil[::1]/", "neither a name nor an address"),
    ("http://[h]/", "neither a name nor an address"),
    ("http://[127.0.0.1]/", "neither a name nor an address"),
    ("http://[]/", "neither a name nor an address"),
    ("http://[::1]]/", "neither a name nor an address"),
    ("http://[[::1]]/", "neither a name nor an address"),
    ("http://[::g]/", "not a host name|neither"),
    ("http://[::1::]/", "not a host name|neither"),
    ("http://[:]/", "not a host name|neither"),
    ("http://a b/", "not a host name"),
    ("http://a%62/", "not a host name"),
    ("http://a\\b/", "not a host name"),
    ("http://a<b/", "not a host name"),
    ("http://a,b/", "not a host name"),
    ("http://a..ü/", "not a host name"),
    ("http://" + "ü" * 64 + "/", "not a host name"),
    ("http://ü.xn--a/", "not a host name"),
    ("http://اü/", "not a host name"),  # both directions in one label (RFC 5893)
    ("http://h/a\nb", "control characters"),
    ("http://h/a\r\nX: y", "control characters"),
    ("http://h\r\nX: y/", "control characters"),
    ("http://h/\0", "control characters"),
    ("http://h/\x1b[31m", "control characters"),
    ("\thttp://h/", "control characters"),
    ("http://h/\x7f", "control characters"),
]


@pytest.mark.parametrize(("text", "message"), BAD_URLS)
def test_what_is_no_url(text: str, message: str) -> None:
    with pytest.raises(BadUrl, match=message) as caught:
        parse_url(text)
    assert str(caught.value).isprintable()
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    "text", ["", ":", ":x", ":99999", ":0/", "/x", "//h/x", "?x", "#x", "h:x", "a b", "ftp://h/", "javascript:alert(1)"]
)
def test_what_is_no_shorthand_either(text: str) -> None:
    if text == ":":  # this machine, port 80
        assert parse_url(text, shorthand=True) == http("localhost")
        return
    with pytest.raises(BadUrl):
        parse_url(text, shorthand=True)


@pytest.mark.parametrize(
    "text",
    [
        "http://u:secret@h:99999/",
        "http://u:secret@h:x/",
        "http://u:secret@/",
        "http://u:sec ret@h:0/",
        "http://u:secret@℀.example/",
        "http://u:secret@a b/",
        "http://u:secret@[::1/",
        "http://u:secret@h/\n",
        "ftp://u:secret@h/",
        "u:secret@h:99999/",
        # A password with what ends the authority.
        *(
            f"http://u:{before}{mark}{after}@h/x"
            for before in ("sec", "")
            for mark in "#/?"
            for after in ("sec", "s/e#c?s")
        ),
        *(f"http://u:{before}{mark}sec@h:81/" for before in ("1", "99999") for mark in "#"),
        "http://u:sec#r@et@h/",
        "http://u:s@ec#ret@h/",
        "http://sec#ret@h/",
        "http:/u:secret@h/",
        "//u:secret@h/",
        "http:///u:secret@h/",
        "ftp://u:sec#ret@h/",
        "u:sec/ret@h/",
        "u:sec#ret@h:81/",
    ],
)
@pytest.mark.parametrize("shorthand", [True, False])
def test_what_is_no_url_does_not_show_its_password(text: str, shorthand: bool) -> None:
    if "://" not in text and not shorthand:
        text = f"http://{text}"
    with pytest.raises(BadUrl) as caught:
        parse_url(text, shorthand=shorthand)
    said = "".join(traceback.format_exception(caught.value)).replace("secrets", "")
    assert "sec" not in said
    assert "ret@" not in said
    assert "u:" not in said.replace("url:", "").replace("stdout:", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/x", "http://h/x"),
        ("http://u:p@h/x", "http://h/x"),
        ("http://u:p@q@h:x/", "http://h:x/"),
        ("http://u:p#q@h/", "http://***@h/"),
        ("https://u:p/q?r@h/", "https://***@h/"),
        ("u:p@h/", "h/"),
        ("u:p?q@h/", "***@h/"),
        ("//u:p@h/", "//h/"),
        ("HTTP:/u:p@h/", "HTTP:/h/"),
        ("http:u:p@h", "h"),
        ("http:\\\\u:p@h", "h"),
        ("", ""),
        ("@", ""),
        ("http://u:a://b@h/", "http://***@h/"),
    ],
)
def test_what_is_shown_of_what_may_be_no_url(text: str, shown: str) -> None:
    assert without_userinfo(text) == shown


def test_a_hint_for_those_who_did_not_encode_it() -> None:
    for text in ("http://u:p#q@h/", "http://u:p/q@h/", "http://u:1#2@h/", "http://u:/p@h/", "http://u:?p@h/"):
        with pytest.raises(BadUrl, match=r"in a user name or password, write / as %2F, \? as %3F and # as %23"):
            parse_url(text)
    assert parse_url("http://u:p%23%2F%3F@h/").password == "p#/?"


@pytest.mark.parametrize("text", ["http://h/#a@b", "http://h:8080/x?y#@z", "http://h/@a/b", "http://h?mail=a@b"])
def test_an_at_sign_elsewhere(text: str) -> None:
    assert parse_url(text).host == "h"


# ---------------------------------------------------------------------------------------------------------------
# Resolving a Location

BASE = parse_url("http://a/b/c/d;p?q")


@pytest.mark.parametrize(
    ("reference", "goal"),
    [
        # RFC 3986 §5.4.1, with its host "a"; fragments are not part of a request.
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        # §5.4.2
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y/./x"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/./x", "http://a/b/c/g"),
        ("g#s/../x", "http://a/b/c/g"),
        # Whole URLs.
        ("http://g/h", "http://g/h"),
        ("HTTP://G:80/h", "http://g/h"),
        ("http://g:81", "http://g:81/"),
        ("http://g?y", "http://g/?y"),
        ("http://g/x/../y/./z/..", "http://g/y/"),
        ("https://g/", "https://g/"),
        ("http://[::1]:81/x", "http://[::1]:81/x"),
        ("//g:81/x?y#z", "http://g:81/x?y"),
        # What urljoin gets wrong: an empty query, and adjacent slashes.
        ("?", "http://a/b/c/d;p?"),
        ("g?", "http://a/b/c/g?"),
        ("g//h", "http://a/b/c/g//h"),
        ("/g//h/", "http://a/g//h/"),
        ("g//../h", "http://a/b/c/g/h"),
        ("?a?b", "http://a/b/c/d;p?a?b"),
        ("g?y=http://x/", "http://a/b/c/g?y=http://x/"),
        ("./a:b", "http://a/b/c/a:b"),
        ("/a:b", "http://a/a:b"),
    ],
)
def test_a_reference(reference: str, goal: str) -> None:
    there = join(BASE, reference)
    assert there.text == goal
    assert there == parse_url(goal)


def test_slashes_of_the_base_are_kept() -> None:
    assert join(parse_url("http://a//b//c"), "d").text == "http://a//b//d"
    assert join(parse_url("http://a//b//c"), "..").text == "http://a//b/"
    assert join(parse_url("http://a?q"), "d").text == "http://a/d"
    assert join(parse_url("http://a/x?y/z"), "d").text == "http://a/d"


@pytest.mark.parametrize(
    ("base", "reference", "goal"),
    [
        ("https://a:444/x", "y", "https://a:444/y"),
        ("https://a/x", "//b/y", "https://b/y"),
        ("https://a/x", "http://a/x", "http://a/x"),
        ("http://[::1]:81/x", "y", "http://[::1]:81/y"),
        ("http://a:8080/x", "//a/x", "http://a/x"),
    ],
)
def test_scheme_and_port_of_the_base(base: str, reference: str, goal: str) -> None:
    assert join(parse_url(base), reference).text == goal


def test_a_zone_stays_with_its_address() -> None:
    assert join(parse_url("http://[fe80::1%25lo]/x"), "y").host == "fe80::1%lo"


@pytest.mark.parametrize(
    "reference", ["y", "/y", "//u:p@a/y", "//u:p@evil/", "http://u:p@a/", "http://u@evil/", "http://a:80@evil/", "?y"]
)
def test_nobody_is_logged_in_by_a_server(reference: str) -> None:
    there = join(parse_url("http://me:mine@a/x"), reference)
    assert (there.username, there.password) == (None, None)
    assert there.host == ("evil" if "evil" in reference else "a")
    assert "@" not in there.text


@pytest.mark.parametrize(
    "location",
    [
        *("ftp://g/", "file:///etc/passwd", "file:/etc/passwd", "data:,x", "javascript:alert(1)", "JAVASCRIPT:x"),
        *("mailto:a@b", "about:blank", "gopher://g:70/", "ws://g/", "httpx://g/", "http+unix://x/", "view-source:x"),
        *("g:h", "h:80/x", "localhost:80/", "%6aavascript:x", "http", "x:"),
        *("http:", "http:g", "http:/g", "http://", "http:///x", "https:x", "//", "///x", "////x", "//:80/", "//u@/"),
        *("http://g:99999/", "http://g:x/", "http://g:-1/", "http://g:0/", "//g:99999", "http://[::1", "//[::1"),
        *("http://[::1]evil/", "http://evil[::1]/", "//[::1].evil/", "http://[evil]/", "//g]/", "//g[/"),
        *("http://a b/", "http://caf\xe9/", "http://%65vil/", "http://a\r\nb/", "http://\0/", "http://a\\b/", "//a\tb"),
        *("http://g%00/", "http://g%0d%0a/", "http://<script>/", "http://g;h/", "http://g,h/", "1http://g/"),
    ],
)
def test_a_location_that_leads_nowhere(location: str) -> None:
    if location == "http":  # a name without a colon is a path
        assert join(BASE, location).text == "http://a/b/c/http"
        return
    with pytest.raises(BadUrl) as caught:
        join(BASE, location)
    assert visible(str(caught.value)).isprintable()


TARGETS = [
    # Line ends and the like are never raw, and stay encoded if they came encoded.
    ("/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b"),
    ("/x%0d%0aSet-Cookie: a=b", "/x%0d%0aSet-Cookie:%20a=b"),
    ("/x\n/y", "/x%0A/y"),
    ("/x\r", "/x%0D"),
    ("/\0", "/%00"),
    ("/%00", "/%00"),
    ("/\x1b[31m", "/%1B[31m"),
    ("/a\tb", "/a%09b"),
    ("/a b c", "/a%20b%20c"),
    ("/x HTTP/1.0\r\nHost: evil", "/x%20HTTP/1.0%0D%0AHost:%20evil"),
    ("?a b\r\n", "/b/c/d;p?a%20b%0D%0A"),
    # Octets above 127 are kept: here UTF-8, then ISO-8859-1, then neither.
    ("/caf\xc3\xa9", "/caf%C3%A9"),
    ("/caf\xe9", "/caf%E9"),
    ("/\xff\xfe\x80", "/%FF%FE%80"),
    ("?\xe9", "/b/c/d;p?%E9"),
    ("/\x9b31m", "/%9B31m"),
    ("/\x85\xa0", "/%85%A0"),
    # Never to another host.
    ("/\\evil", "/%5Cevil"),
    ("\\\\evil\\x", "/b/c/%5C%5Cevil%5Cx"),
    ("/%2fevil", "/%2fevil"),
    ("/%5cevil", "/%5cevil"),
    ("/.//evil", "//evil"),
    ("/..//evil", "//evil"),
    ("./javascript:x", "/b/c/javascript:x"),
    ("/%2e%2e/x", "/%2e%2e/x"),
    # Percent signs stay as they are.
    ("/%41%zz%", "/%41%zz%"),
    ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
]


@pytest.mark.parametrize(("location", "target"), TARGETS)
def test_a_location_never_breaks_a_request(location: str, target: str) -> None:
    there = join(BASE, location)
    assert there == http("a", target=target)
    assert re.fullmatch(r"[!-\"$-~]+", there.target)


def test_every_octet_in_a_location() -> None:
    for octet in range(256):
        kept = chr(octet) in "%/:?[]@!$&'()*+,;=-._~" or (chr(octet).isalnum() and octet < 128)
        expected = "/x" if octet == ord("#") else f"/x{chr(octet)}y" if kept else f"/x%{octet:02X}y"
        assert join(BASE, f"/x{chr(octet)}y") == http("a", target=expected)
