"""Request targets parse into names, and names become links that lead back to them."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from httpmini.errors import ProtocolError
from httpmini.site.target import link_to, parse_target


@pytest.mark.parametrize(
    ("target", "names", "is_directory_form", "query"),
    [
        ("/", [], True, ""),
        ("//", [], True, ""),
        ("/a", [b"a"], False, ""),
        ("/a/", [b"a"], True, ""),
        ("/a//b", [b"a", b"b"], False, ""),
        ("//a", [b"a"], False, ""),
        ("///a///", [b"a"], True, ""),
        ("/a%20b", [b"a b"], False, ""),
        ("/a+b", [b"a+b"], False, ""),
        ("/a;b=c:d@e", [b"a;b=c:d@e"], False, ""),
        ("/%41", [b"A"], False, ""),
        ("/%2541", [b"%41"], False, ""),
        ("/a%2Fb", [b"a/b"], False, ""),
        ("/a%2fb/c", [b"a/b", b"c"], False, ""),
        ("/a%2F", [b"a/"], False, ""),
        ("/..", [b".."], False, ""),
        ("/%2e%2E/a", [b"..", b"a"], False, ""),
        ("/%252e%252e/a", [b"%2e%2e", b"a"], False, ""),
        ("/./a/../b", [b"a", b"..", b"b"], False, ""),
        ("/a/.", [b"a"], True, ""),
        ("/a/%2e", [b"a"], True, ""),
        ("/a/%2E/./b", [b"a", b"b"], False, ""),
        ("/.", [], True, ""),
        ("/a/...", [b"a", b"..."], False, ""),
        ("/a\\b", [b"a\\b"], False, ""),
        ("/\xfc", [b"\xfc"], False, ""),
        ("/%C3%BC", [b"\xc3\xbc"], False, ""),
        ("/caf%E9", [b"caf\xe9"], False, ""),
        ("/%0d%0a", [b"\r\n"], False, ""),
        ("/%3F", [b"?"], False, ""),
        ("/a?", [b"a"], False, "?"),
        ("/a?b=c&d", [b"a"], False, "?b=c&d"),
        ("/a/?b", [b"a"], True, "?b"),
        ("/a?b/", [b"a"], False, "?b/"),
        ("/a?b?c", [b"a"], False, "?b?c"),
        ("/a?%", [b"a"], False, "?%25"),
        ("/a?%zz%00", [b"a"], False, "?%25zz%00"),
        ("/a?\xfc\x80\xff", [b"a"], False, "?%FC%80%FF"),
        ("/?http://x/", [], True, "?http://x/"),
        ("/http://x/y", [b"http:", b"x", b"y"], False, ""),
        ("http://h/a", [b"a"], False, ""),
        ("http://h", [], True, ""),
        ("http://h/", [], True, ""),
        ("http://h?q", [], True, "?q"),
        ("http://h:80/a/?q", [b"a"], True, "?q"),
        ("HTTP://H/A", [b"A"], False, ""),
        ("https://h/a", [b"a"], False, ""),
        ("http://[::1]:8080/a", [b"a"], False, ""),
        ("http://h/u@h/a%20b", [b"u@h", b"a b"], False, ""),
        ("http://h//a", [b"a"], False, ""),
        ("http://h/http://x/", [b"http:", b"x"], True, ""),
    ],
)
def test_a_target_is_its_names(target: str, names: list[bytes], is_directory_form: bool, query: str) -> None:
    path = parse_target(target)
    assert (list(path.names), path.is_directory_form, path.query) == (names, is_directory_form, query)


@pytest.mark.parametrize(
    ("target", "token"),
    [
        ("*", "target-form"),
        ("", "target-form"),
        ("a", "target-form"),
        ("?a", "target-form"),
        ("./a", "target-form"),
        ("h:443", "target-form"),
        ("ftp://h/a", "target-form"),
        ("file:///a", "target-form"),
        ("http:/a", "target-form"),
        ("http://", "target-form"),
        ("http:///a", "target-form"),
        ("http://?a", "target-form"),
        ("xhttp://h/a", "target-form"),
        ("/%", "target-percent"),
        ("/%4", "target-percent"),
        ("/%4/1", "target-percent"),
        ("/%g1", "target-percent"),
        ("/%1g", "target-percent"),
        ("/%%41", "target-percent"),
        ("/% 1", "target-percent"),
        ("/%+1", "target-percent"),
        ("/%\xb2\xb3", "target-percent"),
        ("/a%?b", "target-percent"),
        ("http://h/%", "target-percent"),
        ("/%00", "target-nul"),
        ("/a/b%00.txt", "target-nul"),
        ("http://h/%00", "target-nul"),
    ],
)
def test_what_is_no_target(target: str, token: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_target(target)
    assert caught.value.reason.token == token


@pytest.mark.parametrize(
    ("name", "directory", "link"),
    [
        (b"a", False, "./a"),
        (b"a", True, "./a/"),
        (b"a:b;c+d", False, "./a%3Ab%3Bc%2Bd"),
        (b"a b", False, "./a%20b"),
        (b"50%", False, "./50%25"),
        (b"%41", False, "./%2541"),
        (b"?", False, "./%3F"),
        (b"#", False, "./%23"),
        (b'"<>', False, "./%22%3C%3E"),
        (b"\xc3\xbc", False, "./%C3%BC"),
        (b"\r\n", False, "./%0D%0A"),
        (b"\\", False, "./%5C"),
        (b"//h", False, "./%2F%2Fh"),
    ],
)
def test_a_link(name: bytes, directory: bool, link: str) -> None:
    assert link_to(name, directory=directory) == link


NAMES = st.binary(min_size=1, max_size=30).map(lambda name: name.replace(b"/", b"-").replace(b"\0", b"0"))


@settings(max_examples=200, deadline=None, database=None)
@example(b"%2F", True)
@example(bytes(octet for octet in range(1, 256) if octet != ord("/")), False)
@given(NAMES.filter(lambda name: name != b"."), st.booleans())
def test_a_link_leads_back_to_its_name(name: bytes, directory: bool) -> None:
    link = link_to(name, directory=directory)
    assert link.isascii()
    assert link.isprintable()
    assert not set(link) & set(" \"<>?#\\^`{|}'") - {"'"}
    path = parse_target("/folder/" + link.removeprefix("./"))
    assert (path.names, path.is_directory_form, path.query) == ((b"folder", name), directory, "")


@settings(max_examples=200, deadline=None, database=None)
@given(st.binary(max_size=40).map(lambda octets: "/" + octets.decode("iso-8859-1")))
def test_any_target_is_read_or_refused(target: str) -> None:
    try:
        path = parse_target(target)
    except ProtocolError:
        return
    assert all(name and b"\0" not in name for name in path.names)
    assert path.query.isascii()
    assert not set("\r\n\0 ") & set(path.query)
