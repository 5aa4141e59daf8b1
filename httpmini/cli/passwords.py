"""Passwords: asked for without an echo, read from standard input, or made up."""

from __future__ import annotations

import os
import secrets
import sys

import click

from httpmini.errors import CannotRun, UsageError

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_WORDS, _SYLLABLES = 4, 2


def read_password() -> str:
    """Prompt for a password twice on a terminal; elsewhere read one line.

    Raises:
        UsageError: standard input is closed, the password is empty, or the two are not the same.
        CannotRun: the input ended at the prompt.
    """
    if sys.stdin is None:
        raise UsageError("cannot read the password: standard input is closed")
    if not sys.stdin.isatty():
        password = os.fsdecode(sys.stdin.buffer.readline().removesuffix(b"\n"))
    else:
        password = _ask("Password")
        if password and _ask("Repeat for confirmation") != password:
            raise UsageError("the two passwords are not the same")
    if not password:
        raise UsageError("the password is empty; it needs at least one character")
    return password


def make_password() -> str:
    """Make up four words that can be read out and typed on a telephone: 49 bits of chance.

    The server takes two guesses a second from one address (``site/guesses.py``).
    """
    return "-".join("".join(_syllable() for _ in range(_SYLLABLES)) for _ in range(_WORDS))


def _syllable() -> str:
    return secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS)


def _ask(text: str) -> str:
    try:
        return str(click.prompt(text, default="", show_default=False, hide_input=True, err=True))
    except click.Abort:  # Ctrl-D
        raise CannotRun("no password was typed") from None
