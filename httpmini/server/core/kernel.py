"""What the kernel is asked about a socket, and the system calls that send a piece."""

from __future__ import annotations

import _socket
import os
import socket
import sys
import termios
from errno import EINVAL, ENOSYS, ENOTSUP
from fcntl import ioctl

from httpmini.protocol.body import FileSlice, Piece

_HELD = termios.TIOCOUTQ, termios.FIONREAD  # bytes for the peer that it has not acknowledged, and bytes from it
_NOTHING = bytes(4)
COPY_BYTES = 64 * 1024  # of a file that sendfile cannot read
_HAS_SENDFILE = hasattr(os, "sendfile")  # OpenBSD has none
# Of struct tcp_info (linux/tcp.h): 8 bytes, then numbers of 4. tcpi_last_data_sent counts from the handshake at first.
_TCP_INFO = getattr(socket, "TCP_INFO", 11)
_LAST_SENT, _LAST_RECEIVED, _INFO_BYTES = 8 + 9 * 4, 8 + 11 * 4, 8 + 12 * 4


def is_settled(fd: int) -> bool:
    """Whether the kernel holds nothing for the peer, and nothing from it."""
    answer = bytearray(4)
    for request in _HELD:  # written out: ``_ask_kernel`` twice costs as much again
        try:
            ioctl(fd, request, answer)
        except OSError:
            continue
        if answer != _NOTHING:
            return False
    return True


def unacknowledged(fd: int) -> int:
    """Return how many bytes were sent and are not acknowledged yet."""
    return _ask_kernel(fd, termios.TIOCOUTQ)


def _ask_kernel(fd: int, request: int) -> int:
    """Return a number of bytes; 0 when this system cannot say, or the connection is gone."""
    answer = bytearray(4)  # a mutable buffer makes it two and a half times as fast
    try:
        ioctl(fd, request, answer)
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


def connected_ms(fd: int) -> int:
    """Return how long ago a connection that has sent nothing yet was established; 0 if the kernel cannot say."""
    return _tcp_info(fd, _LAST_SENT)


def quiet_ms(fd: int) -> int:
    """Return how long ago the last bytes of the peer have arrived; 0 if the kernel cannot say."""
    return _tcp_info(fd, _LAST_RECEIVED)


def _tcp_info(fd: int, place: int) -> int:
    """Return a number of ``struct tcp_info``, whose times are as exact as the kernel's clock: 1 to 10 ms."""
    try:
        sock = _socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fd)
    except OSError:
        return 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES)
    except OSError:  # not TCP
        return 0
    finally:
        sock.detach()
    return int.from_bytes(info[place : place + 4], sys.byteorder)
