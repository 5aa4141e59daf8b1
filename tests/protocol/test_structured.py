"""Dictionaries of structured fields (RFC 9651 §3.2): what is one, and that anything else is none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpmini.protocol.structured import parse_dictionary

GOOD: dict[str, dict[str, str]] = {
    "": {},
    "   ": {},
    "a=1": {"a": "1"},
    "a": {"a": "?1"},
    "a;x": {"a": "?1"},
    "a=1, b=2": {"a": "1", "b": "2"},
    "a=1 \t,\t b=2": {"a": "1", "b": "2"},
    "a=1,a=2": {"a": "2"},
    "*a_-.*9=-12": {"*a_-.*9": "-12"},
    "a=1.5;b=2;c": {"a": "1.5"},
    'a="x, y=\\"\\\\"': {"a": '"x, y=\\"\\\\"'},
    "a=text/html*": {"a": "text/html*"},
    "a=:YWI=:": {"a": ":YWI=:"},
    "a=?0": {"a": "?0"},
    "a=@1659578233": {"a": "@1659578233"},
    'a=%"f%c3%bc"': {"a": '%"f%c3%bc"'},
    "a=(1  b;x=2 );y, c": {"a": "(1  b;x=2 )", "c": "?1"},
    "a=()": {"a": "()"},
}

BAD = [
    *("A=1", "1=1", "=1", "a=", "a= 1", "a =1", "a=1,", ",a=1", "a=1,,b=2", "a=1 b=2", "a=1;", "a;X", "a=1;b="),
    *('a="', 'a="\\x"', 'a="\x7f"', "a=:?:", "a=:YWI=", "a=?2", "a=(1", "a=(1,2)", "a=((1))", "a=1)", "a='x'"),
    *("a=1.", "a=1.2345", "a=1234567890123456", "a=1234567890123.1", "a=--1", "a=@1.5", 'a=%"%zz"', "a=é", "a\n"),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_dictionary(text: str) -> None:
    assert parse_dictionary([text]) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_no_dictionary(text: str) -> None:
    assert parse_dictionary([text]) is None


def test_several_fields_are_one() -> None:
    assert parse_dictionary(["a=1", "b=2, a=3"]) == {"a": "3", "b": "2"}
    assert parse_dictionary([]) == {}


keys = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,8}", fullmatch=True)
items = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1).map(str),
    st.from_regex(r'"(?:[ !#-\[\]-~]|\\["\\]){0,9}"', fullmatch=True),
    st.from_regex(r":[A-Za-z0-9+/]{0,8}:", fullmatch=True),
)


@given(st.dictionaries(keys, items, min_size=1))
def test_what_is_written_is_read(wanted: dict[str, str]) -> None:
    assert parse_dictionary([", ".join(f"{key}={value}" for key, value in wanted.items())]) == wanted


@given(st.lists(st.text(), max_size=3))
def test_any_text(values: list[str]) -> None:
    found = parse_dictionary(values)
    assert found is None or all(key and value for key, value in found.items())


@pytest.mark.parametrize(
    "text", ["a=(" * 5000, "a=" + "(" * 9000, 'a="' + "\\" * 9001, "a;" * 7000, "a=1" + " " * 16_000 + "b"]
)
def test_the_time_is_proportional_to_the_length(text: str) -> None:
    """Backtracking in 16 KiB would take minutes."""
    begun = time.process_time()
    assert parse_dictionary([text]) is None
    assert time.process_time() - begun < 10
