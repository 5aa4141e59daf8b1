"""Headers, and the properties of requests and responses."""

from __future__ import annotations

import pytest

from httpmini.protocol.body import FileSlice
from httpmini.protocol.message import Headers, Request, Response

HEADERS = Headers((("B", "2"), ("a", "1"), ("b", "3"), ("Connection", "Keep-Alive, ,\tX"), ("connection", "y")))


def test_order_and_duplicates_are_kept() -> None:
    assert list(HEADERS)[:3] == [("B", "2"), ("a", "1"), ("b", "3")]


@pytest.mark.parametrize(
    ("name", "values"), [("b", ["2", "3"]), ("B", ["2", "3"]), ("A", ["1"]), ("c", []), ("", []), ("b ", [])]
)
def test_names_have_no_case(name: str, values: list[str]) -> None:
    assert HEADERS.all(name) == values
    assert HEADERS.get(name) == (values[0] if values else None)
    assert (name in HEADERS) == bool(values)


def test_an_empty_value_is_there() -> None:
    headers = Headers((("Host", ""),))
    assert headers.get("host") == ""
    assert "HOST" in headers


@pytest.mark.parametrize(
    ("values", "members"),
    [
        ([], set()),
        ([""], set()),
        ([" , ,"], set()),
        (["close"], {"close"}),
        (["Keep-Alive, CLOSE"], {"keep-alive", "close"}),
        (["a,b", "\tc\t"], {"a", "b", "c"}),
        (["keep alive"], {"keep alive"}),
        (["closed"], {"closed"}),
    ],
)
def test_the_members_of_a_list(values: list[str], members: set[str]) -> None:
    assert Headers(tuple(("Connection", value) for value in values)).tokens("connection") == members


@pytest.mark.parametrize(
    ("version", "connection", "wants_keep_alive", "is_last"),
    [
        ((1, 0), None, False, True),
        ((1, 0), "keep-alive", True, True),
        ((1, 0), "Keep-Alive", True, True),
        ((1, 0), "close", False, True),
        ((1, 0), "keep-alive, close", False, True),
        ((1, 0), "x-keep-alive", False, True),
        ((1, 1), None, False, False),
        ((1, 1), "keep-alive", True, False),
        ((1, 1), "TE, Keep-Alive", True, False),
        ((1, 1), "close", False, True),
        ((1, 1), "CLOSE, keep-alive", False, True),
        ((0, 9), None, False, True),
    ],
)
def test_what_a_client_says_of_its_connection(
    version: tuple[int, int], connection: str | None, wants_keep_alive: bool, is_last: bool
) -> None:
    headers = Headers((("connection", connection),) if connection else ())
    request = Request("GET", "/", version, headers)
    assert request.persistence == (wants_keep_alive, is_last)


@pytest.mark.parametrize(
    ("response", "length"),
    [
        (Response(200), 0),
        (Response(200, body=(b"abc", FileSlice(0, 100, 7))), 10),
        (Response(404, body=(b"abc",)), 3),
        (Response(301, body=(b"abc",)), 3),
        (Response(204), None),
        (Response(304), None),
    ],
)
def test_the_length_to_announce(response: Response, length: int | None) -> None:
    assert response.content_length == length
