"""What the kernel is asked about a socket, and the system calls that send a piece."""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from errno import EINVAL, ENOSYS, ENOTSUP

from httpmini.protocol.body import FileSlice, Piece

COPY_BYTES = 64 * 1024  # of a file that sendfile cannot read
_HAS_SENDFILE = hasattr(os, "sendfile")  # OpenBSD has none


def is_settled(fd: int) -> bool:
    """Whether the kernel holds nothing for the peer, and nothing from it."""
    answer = bytearray(4)
    for request in (termios.TIOCOUTQ, termios.FIONREAD):  # written out: ``_ask_kernel`` twice costs as much again
        try:
            fcntl.ioctl(fd, request, answer)
        except OSError:
            continue
        if any(answer):
            return False
    return True


def unacknowledged(fd: int) -> int:
    """Return how many bytes were sent and are not acknowledged yet."""
    return _ask_kernel(fd, termios.TIOCOUTQ)


def _ask_kernel(fd: int, request: int) -> int:
    """Return a number of bytes; 0 when this system cannot say, or the connection is gone."""
    answer = bytearray(4)  # a mutable buffer makes it two and a half times as fast
    try:
        fcntl.ioctl(fd, request, answer)
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)


def send_some(fd: int, piece: Piece, position: int, most: int) -> int:
    """Send at most ``most`` bytes of a piece; return how many the kernel took, 0 when the piece has shrunk.

    A file that has become shorter than was announced must not end as if it were whole.

    Raises:
        BlockingIOError: the kernel takes none, or the rate allows none, now.
        OSError: the connection is broken, or the disk.
    """
    if not most:
        raise BlockingIOError
    if isinstance(piece, FileSlice):
        return _send_file(fd, piece, position, most)
    if isinstance(piece, bytes):
        return os.write(fd, memoryview(piece)[position : position + most])
    raise TypeError("a promise is kept before it is sent")


def _send_file(fd: int, piece: FileSlice, position: int, most: int) -> int:
    """Send at most ``most`` bytes of a file; return how many the kernel took."""
    offset, count = piece.offset + position, min(piece.length - position, most)
    if _HAS_SENDFILE:
        try:
            return os.sendfile(fd, piece.fd, offset, count)
        except OSError as error:
            if error.errno not in (EINVAL, ENOSYS, ENOTSUP):  # some file systems cannot (FUSE, /proc)
                raise
    data = os.pread(piece.fd, min(count, COPY_BYTES), offset)
    return os.write(fd, data) if data else 0
