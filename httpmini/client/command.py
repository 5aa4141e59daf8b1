"""``httpmini get``: one answer to standard output or into a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO
from urllib.parse import urljoin

from httpmini.client.exchange import exchange
from httpmini.client.url import parse_url
from httpmini.errors import BrokenResponse, CannotRun, UsageError, visible
from httpmini.protocol.grammar import BAD_VALUE_OCTET, TOKEN
from httpmini.protocol.message import Headers


def get(url: str, *, output: str | None, head: bool, include: bool, headers: tuple[str, ...], verbose: bool) -> int:
    """Fetch ``url`` and write what comes; the exit status is 0 for a success (2xx), else 1.

    With ``output``, nothing but a complete success is written there; "-" is standard output. Redirections are not
    followed.

    Raises:
        UsageError: a header field that is none.
        CannotRun: the output cannot be written.
        FetchError: by its cause.
    """
    output = None if output == "-" else output
    extra = Headers(tuple(_parse_header(header) for header in headers))
    trace = _trace if verbose else _no_trace
    with exchange(parse_url(url), "HEAD" if head else "GET", extra, trace) as answer:
        success = 200 <= answer.head.status < 300
        if answer.head.status == 206 and "Range" not in extra:  # RFC 9110 §15.3.7
            raise BrokenResponse("the server sent a part of it (206), which nobody asked for")
        if success or output is None:
            with _open_output(output) as out:
                if head or include:
                    out.write(answer.raw_head)
                for data in answer.body:
                    out.write(data)
        if not success:
            hint = _where(url, answer.head.headers.get("Location"))
            _say(f"httpmini: {url}: {answer.head.status} {answer.head.phrase}{hint}")
    return 0 if success else 1


def _where(url: str, location: str | None) -> str:
    try:
        return f"; it is at {urljoin(url, location)}" if location else ""
    except ValueError:
        return f"; it is said to be at {location}, which is no URL"


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    value = value.strip(" \t")
    try:
        named = TOKEN.fullmatch(name.encode("ascii"))
        right = colon and named and not BAD_VALUE_OCTET.search(value.encode("iso-8859-1"))
    except UnicodeEncodeError:
        right = False
    if not right:
        raise UsageError(f"-H {text!r}: write 'Name: value'; the name a token, the value ISO-8859-1 text in one line")
    return name, value


@contextmanager
def _open_output(path: str | None) -> Iterator[BinaryIO]:
    """Standard output, a file that gets its name only when everything is in it, or a device or pipe as it is."""
    try:
        if path is None:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as special:
                yield special
        else:
            with _new_file(os.path.realpath(path)) as file:
                yield file
    except BrokenPipeError as error:  # `httpmini get ... | head`: nobody wants the rest
        if path is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise CannotRun(f"{path or 'standard output'} was closed") from error
    except OSError as error:
        raise CannotRun(f"cannot write {path or 'standard output'}: {error.strerror}") from error


@contextmanager
def _new_file(path: str) -> Iterator[BinaryIO]:
    """A file under a name of its own, moved to ``path`` at the end, or gone when that is not reached."""
    folder, name = os.path.split(path)
    part = os.path.join(folder, f".{name[:200]}.{os.getpid()}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(fd, "wb") as file:
            yield file
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise


def _no_trace(_direction: str, _head: bytes) -> None:
    pass


def _trace(direction: str, head: bytes) -> None:
    for line in head.decode("iso-8859-1").rstrip("\r\n").split("\n"):
        _say(f"{direction} {line.removesuffix(chr(13))}")


def _say(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(visible(text) + "\n")
