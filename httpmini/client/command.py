"""``httpmini get``: one answer to standard output or into a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from httpmini.client.exchange import exchange
from httpmini.client.url import parse_url
from httpmini.errors import CannotRun, UsageError
from httpmini.protocol.message import Headers


def get(url: str, *, output: str | None, head: bool, include: bool, headers: tuple[str, ...], verbose: bool) -> int:
    """Fetch ``url`` and write what comes; the exit status is 0 for a success (2xx), else 1.

    With ``output``, nothing but a complete success is written there.

    Raises:
        UsageError: a header field that is none.
        CannotRun: the output cannot be written.
        FetchError: by its cause.
    """
    extra = Headers(tuple(_parse_header(header) for header in headers))
    trace = _trace if verbose else _no_trace
    with exchange(parse_url(url), "HEAD" if head else "GET", extra, trace) as answer:
        success = 200 <= answer.head.status < 300
        if success or output is None:
            with _open_output(output) as out:
                if head or include:
                    out.write(answer.raw_head)
                for data in answer.body:
                    out.write(data)
        if not success:
            location = answer.head.headers.get("Location")
            hint = f"; it is at {location}" if location else ""
            _say(f"httpmini: {url}: {answer.head.status} {answer.head.phrase}{hint}")
    return 0 if success else 1


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"-H {text!r}: write 'Name: value'")
    try:
        value.encode("iso-8859-1")
    except UnicodeEncodeError as error:
        raise UsageError(f"-H {text!r}: a field value is ISO-8859-1 text (RFC 9110 §5.5)") from error
    return name.strip(), value.strip()


@contextmanager
def _open_output(path: str | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that gets its name only when everything is in it."""
    try:
        if path is None:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        part = f"{path}.part"
        with open(part, "wb") as file:
            yield file
        os.replace(part, path)  # noqa: PTH105
    except BrokenPipeError as error:  # `httpmini get ... | head`: nobody wants the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CannotRun("standard output was closed") from error
    except OSError as error:
        raise CannotRun(f"cannot write {path or 'standard output'}: {error.strerror}") from error


def _no_trace(_direction: str, _head: bytes) -> None:
    pass


def _trace(direction: str, head: bytes) -> None:
    for line in head.decode("iso-8859-1").splitlines():
        _say(f"{direction} {line}")


def _say(text: str) -> None:
    """To standard error, with the control characters of the other side made harmless: they could drive the terminal."""
    safe = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    with suppress(OSError):
        sys.stderr.write(safe + "\n")
