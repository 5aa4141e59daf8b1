"""A filter of system calls (seccomp(2)): what no part of a file server ever does, no code in it can do.

Landlock guards files and TCP connections. This guards the rest: other sockets, other processes, other programs, modes
and owners of files. The kernel runs the filter, a small program for its packet filter (BPF), before each system call.
It sees the number of the call and its arguments, but not what they point to. What is refused fails with EPERM, so that
the caller sees an ordinary error.

Most calls are refused or allowed whatever their arguments are; the kernel remembers that, and they cost nothing.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterable
from errno import ENOSYS, EPERM

import msgspec

from httpmini.daemon.system_call_numbers import ARCHITECTURES, FILE_CHANGES, LAST_KNOWN, NEVER, Architecture
from httpmini.daemon.system_calls import prctl

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_PR_SET_DUMPABLE = 4

# Opcodes of the packet filter (linux/bpf_common.h): load a word, compare and jump, mask, return.
_LOAD, _IF_EQUAL, _IF_GREATER, _IF_BITS, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where struct seccomp_data has them; each argument has 8 bytes

_CLONE_THREAD = 0x10000
_CLONE_NAMESPACES = 0x7E020000
_O_TMPFILE = 0o20000000  # without O_DIRECTORY, whose bit depends on the architecture
_PROGRAM_CODE = struct.Struct("=HBBI")
_PLACE_OF_PROCESS = 0x7FFF_FFF1  # stands for the process number until the filter is installed; no process has it

_FCNTL = (4, 8, 10, 15)  # F_SETFL (a log stays in append mode), F_SETOWN, F_SETSIG, F_SETOWN_EX (signals to others)
_IOCTL = (0x5412, 0x541C, 0x8901, 0x8902, 0x40086602, 0x401C5820)  # TIOCSTI, TIOCLINUX, owners, attributes of files
_PRCTL = (35, 0x59616D61)  # PR_SET_MM, PR_SET_PTRACER

Program = list[tuple[int, int, int, int]]
"""Instructions: opcode, how many to skip if the condition is true, if it is false, and a value."""


class Permits(msgspec.Struct, frozen=True, kw_only=True):
    """What a process may still do, beside serving clients that connect to the listeners it has.

    Attributes:
        listens: open listeners, as a reload may ask for.
        tells_log: connect to a local socket for datagrams again: that of syslog or the journal.
        forks: start processes and signal them.
        removes: remove and rename files, as far as Landlock lets it: its sockets and its pid file.
    """

    listens: bool = False
    tells_log: bool = False
    forks: bool = False
    removes: bool = False


def make_filter(permits: Permits, machine: str = "", *, stacked: bool = False) -> bytes | None:
    """Return the filter for what ``permits`` says.

    Args:
        permits: what is allowed.
        machine: the architecture, as uname(2) calls it; that of this machine if empty.
        stacked: whether it is for a process that inherits another one: that goes on refusing what it refuses always.
            A short filter costs less at each fork.

    Returns:
        The filter, or None if system calls of this architecture are not known here.
    """
    machine = machine or (os.uname().machine if struct.calcsize("P") == 8 else "")
    found = ARCHITECTURES.get(machine)
    if found is None:
        return None
    return b"".join(_PROGRAM_CODE.pack(*instruction) for instruction in _program(found, permits, stacked))


def install(program: bytes | None) -> bool:
    """Install a filter in this thread, for good. Call it before other threads start; they and children inherit it.

    Returns:
        Whether it holds; False if there is none, or this kernel takes none.
    """
    if program is None:
        return False
    own = program.replace(struct.pack("=I", _PLACE_OF_PROCESS), struct.pack("=I", os.getpid()))
    text = ctypes.create_string_buffer(own, len(own))
    size = len(own) // _PROGRAM_CODE.size
    return prctl(_PR_SET_SECCOMP, _MODE_FILTER, struct.pack("@HP", size, ctypes.addressof(text))) == 0


def _program(architecture: Architecture, permits: Permits, stacked: bool) -> Program:
    numbers = architecture.numbers
    program: Program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        *_deny_unless((architecture.audit,)),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_GREATER, 0, 1, LAST_KNOWN),  # among them the numbers of the x32 variant of x86-64
        (_RETURN, 0, 0, _ERROR | ENOSYS),
    ]
    conditional = _of_this_process(permits) if stacked else {**_of_this_process(permits), **_of_all_processes()}
    for name, check in conditional.items():
        if name in numbers:
            program += [(_IF_EQUAL, 0, len(check) + 1, numbers[name]), *check, (_RETURN, 0, 0, _ALLOW)]
    for name in (*_refused(permits), *(() if stacked else NEVER)):
        if name in numbers:
            program += _deny_if((numbers[name],))
    program += [(_IF_EQUAL, 0, 1, numbers["clone3"]), (_RETURN, 0, 0, _ERROR | ENOSYS)]  # then libc uses clone
    return [*program, (_RETURN, 0, 0, _ALLOW)]


def _refused(permits: Permits) -> Iterable[str]:
    """Yield the calls that are refused whatever their arguments are, beside those in ``NEVER``."""
    if not permits.listens:
        yield from ("bind", "listen")
    if not permits.tells_log:
        yield "connect"
    if not permits.forks:
        yield from ("fork", "pidfd_send_signal")
    if not permits.removes:
        yield from FILE_CHANGES


def _of_all_processes() -> dict[str, Program]:
    """Return the calls that depend on their arguments, each with the part of the program that refuses it."""
    return {
        "openat": _only_to_append(2),
        "open": _only_to_append(1),
        "sendto": [*_argument(4), *_deny_unless((0,)), *_argument(4, high=True), *_deny_unless((0,))],
        "fcntl": [*_argument(1), *_deny_if(_FCNTL)],
        "prlimit64": [*_argument(0), *_deny_unless((0,))],  # as the C library calls it for this process
        "ioctl": [*_argument(1), *_deny_if(_IOCTL)],
        "prctl": [
            *_argument(0),
            *_deny_if(_PRCTL),
            (_IF_EQUAL, 0, 3, _PR_SET_DUMPABLE),
            *_argument(1),
            *_deny_unless((0,)),
        ],
    }


def _of_this_process(permits: Permits) -> dict[str, Program]:
    """Return the calls that depend on what this process is for, too."""
    ours = (_PLACE_OF_PROCESS,)
    return {
        "socket": _sockets(permits),
        "clone": _clone(permits),
        "kill": [*_argument(0), *(_deny_groups() if permits.forks else _deny_unless(ours))],
        # A child inherits the filter of the main process, and signals itself with its own number (abort(3)).
        **({} if permits.forks else {"tgkill": [*_argument(0), *_deny_unless(ours)]}),
    }


def _argument(number: int, *, high: bool = False) -> Program:
    """Load one half of an argument; both architectures are little-endian."""
    return [(_LOAD, 0, 0, _ARGUMENTS + 8 * number + 4 * high)]


def _deny() -> tuple[int, int, int, int]:
    return _RETURN, 0, 0, _ERROR | EPERM


def _deny_if(values: tuple[int, ...]) -> Program:
    return [instruction for value in values for instruction in ((_IF_EQUAL, 0, 1, value), _deny())]


def _deny_unless(values: tuple[int, ...]) -> Program:
    count = len(values)
    return [*((_IF_EQUAL, count - place, 0, value) for place, value in enumerate(values)), _deny()]


def _deny_groups() -> Program:
    """Refuse 0 and negative numbers, which stand for several processes."""
    return [*_deny_if((0,)), (_IF_GREATER, 0, 1, 0x7FFF_FFFF), _deny()]


def _only_to_append(flags: int) -> Program:
    """Let files be opened for writing only at their end: existing lines of a log stay."""
    return [
        *_argument(flags),
        (_IF_BITS, 0, 1, os.O_TRUNC | _O_TMPFILE),
        _deny(),
        (_IF_BITS, 0, 2, os.O_WRONLY | os.O_RDWR),
        (_IF_BITS, 1, 0, os.O_APPEND),
        _deny(),
    ]


def _sockets(permits: Permits) -> Program:
    """Allow the kinds of sockets that listeners and logs need, and no other."""
    kinds = []
    if permits.listens:
        for family in (socket.AF_INET, socket.AF_INET6):  # MPTCP, say, is another protocol
            kinds += [(family, socket.SOCK_STREAM, protocol) for protocol in (0, socket.IPPROTO_TCP)]
        kinds.append((socket.AF_UNIX, socket.SOCK_STREAM, 0))
    if permits.tells_log:
        kinds.append((socket.AF_UNIX, socket.SOCK_DGRAM, 0))
    program: Program = []
    for family, kind, protocol in kinds:
        program += [
            *_argument(0),
            (_IF_EQUAL, 0, 6, int(family)),
            *_argument(1),
            (_AND, 0, 0, 0xF),  # without SOCK_CLOEXEC and SOCK_NONBLOCK
            (_IF_EQUAL, 0, 3, int(kind)),
            *_argument(2),
            (_IF_EQUAL, 0, 1, protocol),
            (_RETURN, 0, 0, _ALLOW),
        ]
    return [*program, _deny()]


def _clone(permits: Permits) -> Program:
    """Allow threads; processes only where they are needed, and new namespaces never."""
    program: Program = [*_argument(0), (_IF_BITS, 0, 1, _CLONE_NAMESPACES), _deny()]
    return program if permits.forks else [*program, (_IF_BITS, 1, 0, _CLONE_THREAD), _deny()]
