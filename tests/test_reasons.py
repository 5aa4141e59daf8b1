"""The rows of reasons.py, compared with the sources that use them."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import httpmini
from httpmini import reasons
from httpmini.protocol.status import PHRASES
from httpmini.reasons import REASONS, Reason

CLIENT_ONLY = {"status-line", "answer-coding", "chunk"}  # reported about a server's response, never sent


@cache
def sources() -> tuple[ast.Module, ...]:
    """Return the syntax tree of each source but reasons.py."""
    paths = sorted(Path(httpmini.__file__).parent.rglob("*.py"))
    return tuple(ast.parse(path.read_text("utf-8")) for path in paths if path != Path(reasons.__file__))


@cache
def strings() -> set[str]:
    """Return every string literal in the sources."""
    return {
        node.value
        for tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def looked_up() -> set[str]:
    """Return every token in REASONS["token"] and REASONS["a" if ... else "b"]."""
    return {
        leaf.value
        for tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "REASONS"
        for leaf in ([node.slice.body, node.slice.orelse] if isinstance(node.slice, ast.IfExp) else [node.slice])
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
    }


@pytest.mark.parametrize("reason", reasons._ROWS, ids=lambda reason: str(reason.token))
def test_a_row_is_complete(reason: Reason) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", reason.token)
    assert 400 <= reason.status <= 599
    assert reason.token in CLIENT_ONLY or reason.status in PHRASES
    assert re.fullmatch(r"RFC \d{4} §(\d+|[A-Z])(\.\d+)*", reason.section)
    assert re.fullmatch(r"[A-Z].*[^.]\.", reason.text)
    assert str(reason) == f"{reason.token} ({reason.section})"
    assert REASONS[reason.token] is reason


def test_tokens_are_unique() -> None:
    tokens = [reason.token for reason in reasons._ROWS]
    assert sorted(tokens) == sorted(set(tokens))
    assert set(tokens) == set(REASONS)


def test_texts_tell_reasons_apart() -> None:
    texts = [reason.text for reason in REASONS.values()]
    assert sorted(texts) == sorted(set(texts))


@pytest.mark.parametrize("token", sorted(REASONS))
def test_every_reason_is_used(token: str) -> None:
    assert token in strings()


def test_every_reason_that_is_looked_up_exists() -> None:
    found = looked_up()
    assert len(found) > 20  # the search itself works
    assert found <= set(REASONS)


def test_the_page_is_the_table() -> None:
    """``make docs`` writes it."""
    page = (Path(__file__).parents[1] / "docs" / "reasons.md").read_text("utf-8")
    assert page == reasons.as_markdown()
    assert page.count("\n| `") == len(REASONS)


def test_the_client_alone_may_say_what_cannot_be_answered() -> None:
    assert {token for token, reason in REASONS.items() if reason.status not in PHRASES} <= CLIENT_ONLY
