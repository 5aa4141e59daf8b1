"""Where an answer goes: standard output, a terminal that it must not drive, or a file that is whole or not there."""

from __future__ import annotations

import codecs
import os
import re
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from httpmini import files
from httpmini.errors import CannotRun, visible
from httpmini.protocol.framing import Data

Write = Callable[[Data], None]

# What drives a terminal or turns its text around: C0 but HT and LF, DEL, C1, bidirectional controls; and octets that
# were no UTF-8. Everything else is text, in whatever script.
_DRIVES = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u202a-\u202e\u2066-\u2069\udc80-\udcff]")
_SECRET = re.compile(r"(?im)^((?:proxy-)?authorization:).*")


class OutputClosed(CannotRun):
    """Nobody reads standard output any more, as in ``httpmini get ... | head``."""


def say(text: str) -> None:
    """One line on standard error, or none when nobody can hear it."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def trace_to(say: Callable[[str], None]) -> Callable[[str, bytes], None]:
    """Has the heads that are sent (">") and that come ("<") said, without credentials."""

    def trace(direction: str, head: bytes) -> None:
        text = _SECRET.sub(r"\1 (not shown)", head.decode("iso-8859-1").rstrip("\r\n"))
        say("\n".join(f"{direction} {visible(line.removesuffix(chr(13)))}" for line in text.split("\n")))

    return trace


def explain(error: OSError, path: str) -> CannotRun:
    """An error of the disk as a sentence."""
    return CannotRun(f"cannot write {path}: {error.strerror or error}")


class StandardOutput:
    """Standard output, octet by octet as they come; on a terminal, with what would drive it made visible.

    Args:
        raw: write the octets as they are, even to a terminal.

    Raises:
        CannotRun: there is none.
    """

    def __init__(self, *, raw: bool = False) -> None:
        if sys.stdout is None:
            raise CannotRun("there is no standard output")
        self._fd = sys.stdout.fileno()
        self._decoder = None if raw or not os.isatty(self._fd) else _new_decoder()
        self._held = ""  # a CR, of which nobody knows yet whether LF follows

    def write(self, data: Data) -> None:
        """Write all of ``data``.

        Raises:
            OutputClosed: nobody reads it.
            CannotRun: it cannot be written, or is no text and would go to a terminal.
        """
        if self._decoder is not None:
            data = bytes(data)
            if b"\0" in data:
                raise CannotRun("this is not text; write it to a file with -o or -O, or to the terminal with -o -")
            data = self._made_visible(self._decoder.decode(data))
        self._write(data)

    def finish(self) -> None:
        """Write what was held back."""
        if self._decoder is not None:
            rest, self._held = self._held + self._decoder.decode(b"", True), ""
            self._write(_for_terminal(rest))

    def _made_visible(self, text: str) -> bytes:
        text = (self._held + text).replace("\r\n", "\n")
        self._held = "\r" if text.endswith("\r") else ""
        return _for_terminal(text.removesuffix("\r"))

    def _write(self, data: Data) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # somebody who shares the terminal or pipe has set O_NONBLOCK
                select.select([], [self._fd], [])
            except BrokenPipeError as error:
                raise OutputClosed("standard output was closed") from error
            except OSError as error:
                raise explain(error, "standard output") from error


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("surrogateescape")


def _for_terminal(text: str) -> bytes:
    return _DRIVES.sub(lambda match: visible(match[0]), text).encode()


def is_special(path: str) -> bool:
    """Whether ``path`` is a device, a pipe, or what /dev names: something that is written to as it is."""
    there = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
    return there or path.startswith("/dev/")


def check_target(path: str, *, overwrite: bool, force: bool) -> None:
    """Whether a file can be put at ``path``, before anything is asked of a server.

    Args:
        path: of a file that need not be there.
        overwrite: whether one that is there may be replaced.
        force: whether a symlink may be replaced as well. It is never written through.

    Raises:
        CannotRun: it cannot.
    """
    try:
        os.stat(os.path.dirname(path) or ".")
        mode = os.lstat(path).st_mode
    except FileNotFoundError as error:
        if error.filename != path or not os.path.basename(path):
            raise explain(error, path) from error
        return
    except OSError as error:
        raise explain(error, path) from error
    if stat.S_ISDIR(mode):
        raise CannotRun(f"cannot write {path}: Is a directory")
    if stat.S_ISLNK(mode) and not force:
        raise CannotRun(f"{path} is a symlink; it is not written through, and -f puts the file in its place")
    if not overwrite and not force:
        raise CannotRun(f"{path} is there already; -f replaces it")


@contextmanager
def special_file(path: str) -> Iterator[Write]:
    """A device or a pipe, opened as it is.

    Raises:
        CannotRun: it cannot be written.
    """
    try:
        with open(path, "wb", buffering=0) as file:
            yield lambda data: files.write_all(file.fileno(), data)
    except OSError as error:
        raise explain(error, path) from error


@contextmanager
def new_file(path: str, overwrite: bool) -> Iterator[Write]:
    """A file under a name of its own, moved to ``path`` at the end, or gone when that is not reached.

    Args:
        path: its name; a symlink of this name is replaced, never written through.
        overwrite: whether what has this name may be replaced.

    Raises:
        CannotRun: it cannot be written, or its name is taken.
    """
    try:
        with files.new_file(path, overwrite=overwrite) as fd:
            yield lambda data: files.write_all(fd, data)
    except OSError as error:
        raise explain(error, path) from error
