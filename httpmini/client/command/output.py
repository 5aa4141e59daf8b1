"""Where a response goes: standard output, a terminal that it must not drive, or a file that is complete or absent."""

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
from httpmini.client.download.target import open_direct
from httpmini.errors import CannotRun, visible
from httpmini.protocol.framing import Data

Write = Callable[[Data], None]

# Characters that drive a terminal or reverse its text: C0 except HT and LF, DEL, C1, bidirectional controls; and octets
# that were not UTF-8. Everything else is text, in any script.
_DRIVES = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u202a-\u202e\u2066-\u2069\udc80-\udcff]")
# Fields that hold credentials; for those without a standard name, what such names have in common.
_SECRET = re.compile(
    r"(?im)^([\w-]*(?:authorization|cookie|token|secret|passw|credential|session|signature|x-auth|key)[\w-]*:).*"
)


class OutputClosed(CannotRun):
    """The reader of standard output is gone, as in ``httpmini get ... | head``."""


def say(text: str) -> None:
    """Write a line to standard error, if there is one."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def trace_to(say: Callable[[str], None]) -> Callable[[str, bytes], None]:
    """Return a trace function that passes on the heads sent (">") and received ("<"), without credentials."""

    def trace(direction: str, head: bytes) -> None:
        text = _SECRET.sub(r"\1 (not shown)", head.decode("iso-8859-1").rstrip("\r\n"))
        say("\n".join(f"{direction} {visible(line.removesuffix(chr(13)))}" for line in text.split("\n")))

    return trace


def explain(error: OSError, path: str) -> CannotRun:
    """Turn a system error about ``path`` into a sentence."""
    return CannotRun(f"cannot write {path}: {error.strerror or error}")


class StandardOutput:
    """Standard output; on a terminal, characters that would drive it are made visible.

    Args:
        raw: write the octets unchanged even to a terminal.

    Raises:
        CannotRun: there is no standard output.
    """

    def __init__(self, *, raw: bool = False) -> None:
        if sys.stdout is None:
            raise CannotRun("there is no standard output")
        self._fd = sys.stdout.fileno()
        self._decoder = None if raw or not os.isatty(self._fd) else _new_decoder()
        self._held = ""  # a CR that may yet be followed by LF

    def write(self, data: Data) -> None:
        """Write all of ``data``.

        Raises:
            OutputClosed: the reader is gone.
            CannotRun: the data cannot be written, or is not text and would go to a terminal.
        """
        if self._decoder is not None:
            data = bytes(data)
            if b"\0" in data:
                raise CannotRun(
                    "this is not text; write it to a file with -o or -O, or use -o - to send it to the terminal anyway"
                )
            data = self._made_visible(self._decoder.decode(data))
        self._write(data)

    def finish(self) -> None:
        """Write what has been held back."""
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
            except BlockingIOError:  # another process that shares the terminal or pipe has set O_NONBLOCK
                select.select([], [self._fd], [])
            except BrokenPipeError as error:
                raise OutputClosed("standard output was closed") from error
            except OSError as error:
                raise explain(error, "standard output") from error


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("surrogateescape")


def _for_terminal(text: str) -> bytes:
    return _DRIVES.sub(lambda match: visible(match[0]), text).encode()


def check_target(path: str, *, overwrite: bool, force: bool) -> None:
    """Check that a file can be put at ``path``, before anything is requested.

    Args:
        path: of a file that may not exist yet.
        overwrite: whether an existing file may be replaced.
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
        raise CannotRun(f"{path} is a symlink, which is not written through; -f replaces it")
    if not overwrite and not force:
        raise CannotRun(f"{path} exists already; -f replaces it")


@contextmanager
def special_file(path: str) -> Iterator[Write]:
    """Open a device, a pipe or a descriptor for writing.

    Raises:
        CannotRun: it cannot be written.
    """
    try:
        fd = open_direct(path)
        try:
            yield lambda data: files.write_all(fd, data)
        finally:
            os.close(fd)
    except OSError as error:
        raise explain(error, path) from error


@contextmanager
def new_file(path: str, overwrite: bool, *, sync: bool) -> Iterator[Write]:
    """Open a file that appears at ``path`` when the block ends, and is removed on an error.

    Args:
        path: the final path; a symlink there is replaced, never written through.
        overwrite: whether an existing file may be replaced.
        sync: have the file and its name on disk before the block ends.

    Raises:
        CannotRun: it cannot be written, or the name is taken.
    """
    try:
        with files.new_file(path, overwrite=overwrite, sync=sync) as fd:
            yield lambda data: files.write_all(fd, data)
    except OSError as error:
        raise explain(error, path) from error
