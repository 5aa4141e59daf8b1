"""Landlock: from a moment on, this process and its children can read below some folders, write below fewer, and that
is all.

Whatever mistake there may be in how a path becomes a file, the kernel does not open one outside. It needs no privilege,
and cannot be undone. A folder is what it was when the rule was made: another one that is moved to the same path later
is not meant by it. What is open already stays open. See landlock(7).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

# The same numbers on every architecture (they came after system calls were made alike).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _MAKE_SOCK, _TRUNCATE = 1 << 5, 1 << 8, 1 << 9, 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _MAKE_SOCK | _TRUNCATE
# How many rights over files each version knows, from the lowest bit on.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_SINCE_5 = 16
_CONNECT_TCP = 1 << 1  # since version 4

# What Python and the C library look at when they need it: names, time zones, modules.
_OF_THE_SYSTEM = (
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/localtime", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64"),
    *("/dev/urandom", "/sys/devices/system/cpu", "/proc/self"),
)


def version() -> int:
    """Of the kernel's Landlock; 0 when there is none."""
    return max(0, _call(_CREATE_RULESET, None, 0, _ASK_VERSION))


def enter(readable: Iterable[str], writable: Iterable[str]) -> bool:
    """Read only below ``readable`` and where Python itself has to, write only below ``writable``, connect to nobody.

    Call it while there is no other thread: the threads that there are would stay outside.

    Returns:
        Whether it is so now; False where the kernel has no Landlock.
    """
    known = version()
    if not known:
        return False
    handled = (1 << _RIGHTS.get(known, _RIGHTS_SINCE_5)) - 1
    attributes = struct.pack("=QQ", handled, _CONNECT_TCP) if known >= 4 else struct.pack("=Q", handled)
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for path in (*readable, *_of_python(), *_OF_THE_SYSTEM):
            _allow(rules, path, _READ & handled)
        _allow(rules, os.devnull, (_READ_FILE | _WRITE_FILE) & handled)
        for path in writable:
            _allow(rules, path, _WRITE & handled)
        return _no_new_privileges() and _call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def _of_python() -> set[str]:
    """Its library, that of others, and ours, which may be somewhere else."""
    homes = tuple(str(Path(prefix) / "lib") for prefix in (sys.prefix, sys.base_prefix))
    return {str(Path(__file__).resolve().parents[1]), *(path for path in sys.path if path.startswith(homes))}


def _allow(rules: int, path: str, rights: int) -> None:
    """Below ``path``; what does not exist needs no rule."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not Path(path).is_dir():
            rights &= _OF_FILES
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)


def _no_new_privileges() -> bool:
    """No program that is started can have more rights than we have; Landlock asks for that."""
    return int(ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) == 0


def _call(number: int, *arguments: bytes | int | None) -> int:
    """A system call that the C library has no function for; -1 when it fails."""
    try:
        call = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return -1
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *(_as_c(argument) for argument in arguments)))


def _as_c(argument: bytes | int | None) -> ctypes.c_char_p | ctypes.c_long:
    return ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument)
