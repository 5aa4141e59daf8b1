"""Wherever a comma list is read, a bounded number of members is."""

from __future__ import annotations

import pytest

from httpmini.protocol.message import MAX_MEMBERS, Headers, members, persistence
from httpmini.server.http.forwarded import Source, TrustedProxies
from httpmini.server.limits.address_rules import AddressRules
from httpmini.server.listeners.peer import LOCAL, Peer
from httpmini.site.conditional import Validators, Verdict, judge
from httpmini.site.negotiate import preferred
from httpmini.site.ranges import Part, parse_range
from httpmini.site.variants import acceptable


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], [""]),
        (["a"], ["a"]),
        (["a, b", "c"], ["a", " b", "c"]),
        ([",".join("a" * MAX_MEMBERS)], ["a"] * MAX_MEMBERS),
        (["a," * 16_000], ["a"] * MAX_MEMBERS),
        (["a"] * 100, ["a"] * MAX_MEMBERS),
    ],
)
def test_members(values: list[str], found: list[str]) -> None:
    assert members(values) == found


def padded(last: str, count: int) -> str:
    """Return a list with ``count`` members before the last one."""
    return "x," * count + last


CLOSE, FAR = MAX_MEMBERS - 1, MAX_MEMBERS


@pytest.mark.parametrize(("count", "is_read"), [(0, True), (CLOSE, True), (FAR, False), (8000, False)])
def test_in_every_field(count: int, is_read: bool) -> None:
    html, json = "text/html", "application/json"
    accept = Headers((("Accept", padded(json, count)),))
    assert preferred(accept, (html, json)) == (json if is_read else html)
    coding = Headers((("Accept-Encoding", padded("gzip", count)),))
    assert acceptable(coding, ["gzip"]) == (["gzip"] if is_read else [])
    assert persistence(padded("keep-alive", count), (1, 0)).wants_keep_alive == is_read
    assert ("y" in Headers((("X", padded("y", count)),)).tokens("X")) == is_read
    assert parse_range("bytes=" + "," * count + "0-1", 10) == ([Part(0, 2)] if is_read else None)


@pytest.mark.parametrize("count", [0, CLOSE, FAR, 4000])
def test_entity_tags_are_all_read(count: int) -> None:
    """A precondition must not fail because of what stands before: these are searched, not taken apart."""
    ours = Validators('"a-b"', 0)
    for name, value, verdict in (
        ("If-Match", '"x",' * count + '"a-b"', Verdict.SEND),
        ("If-Match", '"x",' * count + '"a-bb"', Verdict.FAILED),
        ("If-None-Match", '"x",' * count + 'W/"a-b"', Verdict.NOT_MODIFIED),
        ("If-None-Match", '"x",' * count, Verdict.SEND),
    ):
        assert judge(Headers(((name, value),)), ours, 1.0) is verdict


@pytest.mark.parametrize(("source", "form"), [("x-forwarded-for", "{}"), ("forwarded", "for={}")])
def test_forwarding_is_read_from_the_right(source: Source, form: str) -> None:
    proxies = TrustedProxies([], True, source, AddressRules([]))
    value = ",".join([form.format("192.0.2.9")] * 2000 + [form.format("192.0.2.1")])
    client = proxies.find_client(Headers(((source, value),)), Peer(LOCAL, 0), source)
    assert client is not None
    assert client.host == "192.0.2.1"


def test_one_member_with_very_many_parameters() -> None:
    html, json = "text/html", "application/json"
    many = Headers((("Accept", json + ";a=b" * 16_000),))
    assert preferred(many, (html, json)) == html
