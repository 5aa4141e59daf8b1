"""What planted code may try in a server that it took over: each function does one thing, or raises an OSError.

They take one text, made by ``Targets`` of the test: paths, a port, the number of another process.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from errno import EPERM
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MPTCP, _FAST_OPEN = 262, 0x20000000
_PTRACE_SEIZE, _NEW_USER = 0x4206, 0x10000000


def _called(result: int) -> None:
    """Raise an error if a system call was refused; that it was made wrongly is success."""
    if result < 0 and ctypes.get_errno() == EPERM:
        raise PermissionError(EPERM, "refused")


def _call(number: int, *arguments: int) -> Callable[[str], None]:
    def attempt(_text: str) -> None:
        _called(_LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments)))

    return attempt


def _tcp(port: str) -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", int(port)))


def _mptcp(port: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, _MPTCP) as sock:
        sock.connect(("127.0.0.1", int(port)))


def _fast_open(port: str) -> None:
    with socket.socket() as sock:
        sock.sendto(b"x", _FAST_OPEN, ("127.0.0.1", int(port)))


def _udp(port: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", int(port)))


def _unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


def _abstract(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("\0" + name)


def _send_message(_text: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.sendmsg([b"x"])


def _listen_udp(_text: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))


def _listen_unix(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    Path(path).unlink()


def _signal_by_descriptor(process: str) -> None:
    fd = os.pidfd_open(int(process))
    try:
        signal.pidfd_send_signal(fd, 0)
    finally:
        os.close(fd)


def _signal_by_owner(process: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fcntl.fcntl(ours, fcntl.F_SETOWN, int(process))


def _copy_memory(number: int) -> Callable[[str], None]:
    def attempt(process: str) -> None:
        buffer = ctypes.create_string_buffer(8)
        here = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
        there = (ctypes.c_void_p * 2)(4096, 8)
        _called(_LIBC.syscall(ctypes.c_long(number), int(process), here, 1, there, 1, 0))

    return attempt


def _trace(process: str) -> None:
    _called(_LIBC.ptrace(_PTRACE_SEIZE, int(process), 0, 0))


def _open(flags: int) -> Callable[[str], None]:
    def attempt(path: str) -> None:
        os.close(os.open(path, flags))

    return attempt


def _rename(path: str) -> None:
    Path(path).rename(path + ".moved")
    Path(path + ".moved").rename(path)


def _remove(path: str) -> None:
    text = Path(path).read_bytes() if os.access(path, os.R_OK) else b""
    Path(path).unlink()
    Path(path).write_bytes(text)


def _make_folder(path: str) -> None:
    Path(path + ".folder").mkdir()
    Path(path + ".folder").rmdir()


def _make_link(path: str) -> None:
    Path(path + ".link").symlink_to("/")
    Path(path + ".link").unlink()


def _run(_text: str) -> None:
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    with suppress(ChildProcessError):  # the main loop may have reaped it
        os.waitpid(process, 0)


def _fork(_text: str) -> None:
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)


def _become_dumpable(_text: str) -> None:
    _called(_LIBC.prctl(4, 1, 0, 0, 0))


def _thread(_text: str) -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def _administer(_text: str) -> None:
    """Look for capabilities beyond those that serving needs."""
    header, data = ctypes.create_string_buffer(8), ctypes.create_string_buffer(24)
    header[0:4] = (0x20080522).to_bytes(4, sys.byteorder)  # type: ignore[call-overload]
    assert _LIBC.capget(header, data) == 0
    effective = int.from_bytes(data.raw[0:4], sys.byteorder)
    if not effective & ~(1 << 1 | 1 << 2 | 1 << 10):
        raise PermissionError(EPERM, "no more capabilities than serving needs")


ALLOWED: dict[str, tuple[str, Callable[[str], None]]] = {
    "a thread": ("", _thread),
    "a signal to itself": ("", lambda _text: os.kill(os.getpid(), 0)),
    "a signal to its thread": ("", lambda _text: signal.pthread_kill(threading.get_ident(), 0)),
    "a log to append to": ("log", _open(os.O_WRONLY | os.O_APPEND)),
    "a file of the root": ("served", _open(os.O_RDONLY)),
}
"""What a server does itself: the name of a target, and the attempt."""

OF_A_RELOAD: dict[str, tuple[str, Callable[[str], None]]] = {
    "a TCP listener": ("", lambda _text: socket.create_server(("127.0.0.1", 0)).close()),
    "fork": ("", _fork),
}
"""What a main process that can reload does itself, and no other process."""

FORBIDDEN: dict[str, tuple[str, Callable[[str], None]]] = {
    "TCP": ("port", _tcp),
    "MPTCP": ("port", _mptcp),
    "TCP Fast Open": ("port", _fast_open),
    "UDP": ("port", _udp),
    "a unix socket": ("unix", _unix),
    "an abstract unix socket": ("abstract", _abstract),
    "sendmsg": ("", _send_message),
    "a UDP listener": ("", _listen_udp),
    "a unix listener": ("new", _listen_unix),
    "a raw socket": ("", lambda _text: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
    "a netlink socket": ("", lambda _text: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()),
    "a signal to the parent": ("parent", lambda process: os.kill(int(process), 0)),
    "a signal to a stranger": ("stranger", lambda process: os.kill(int(process), 0)),
    "a signal to a group": ("", lambda _text: os.kill(0, 0)),
    "a signal to everybody": ("", lambda _text: os.kill(-1, 0)),
    "a signal by descriptor": ("stranger", _signal_by_descriptor),
    "a signal by owner": ("stranger", _signal_by_owner),
    "reading memory": ("stranger", _copy_memory(310)),
    "writing memory": ("stranger", _copy_memory(311)),
    "memory of the master": ("master", _copy_memory(311)),
    "memory by file": ("master", lambda process: _open(os.O_RDWR)(f"/proc/{process}/mem")),
    "the environment": ("master", lambda process: _open(os.O_RDONLY)(f"/proc/{process}/environ")),
    "tracing": ("stranger", _trace),
    "being traced": ("", _become_dumpable),
    "reading another log": ("other log", _open(os.O_RDONLY)),
    "overwriting another log": ("other log", _open(os.O_WRONLY)),
    "emptying another log": ("other log", _open(os.O_WRONLY | os.O_TRUNC | os.O_APPEND)),
    "emptying a log": ("log", lambda path: os.truncate(path, 0)),
    "removing another log": ("other log", _remove),
    "renaming another log": ("other log", _rename),
    "the config folder": ("private key", _open(os.O_RDONLY)),
    "a file outside": ("outside", _open(os.O_RDONLY)),
    "writing outside": ("outside", _open(os.O_WRONLY | os.O_APPEND)),
    "chmod": ("outside", lambda path: Path(path).chmod(0o600)),
    "chown": ("outside", lambda path: os.chown(path, os.getuid(), os.getgid())),
    "utime": ("outside", os.utime),
    "setxattr": ("outside", lambda path: os.setxattr(path, "user.planted", b"x")),
    "chmod in the root": ("served", lambda path: Path(path).chmod(0o644)),
    "mkdir": ("outside", _make_folder),
    "symlink": ("log", _make_link),
    "another program": ("", _run),
    "a user namespace": ("", lambda _text: _called(_LIBC.unshare(_NEW_USER))),
    "ptrace": ("", _call(101, 16, -1, 0, 0)),
    "io_uring": ("", _call(425, 1, 0)),
    "userfaultfd": ("", _call(323, -1)),
    "bpf": ("", _call(321, -1, 0, 0)),
    "perf_event_open": ("", _call(298, 0, 0, -1, -1, 0)),
    "mount": ("", _call(165, 0, 0, 0, 0, 0)),
    "keyctl": ("", _call(250, -1, 0, 0, 0, 0)),
    "openat2": ("", _call(437, -1, 0, 0, 0)),
    "limits of the stranger": ("stranger", lambda process: _called(_LIBC.prlimit64(int(process), 7, None, None))),
    "capabilities": ("", _administer),
}
"""What nothing in a server may do: the name of a target, and the attempt. System calls have their x86-64 numbers."""

ATTEMPTS = {**ALLOWED, **OF_A_RELOAD, **FORBIDDEN}
