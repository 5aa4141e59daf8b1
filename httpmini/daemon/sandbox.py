"""The sandbox: with Landlock, the kernel lets this process and its children open files below a few folders only.

So a bug in how a path becomes a file cannot reach a file outside. Landlock needs no privilege and cannot be undone. A
rule holds for the folder that it was made for: another folder that is moved to the same path later is outside. Files
that are open already stay open. See landlock(7).

The system calls are made through ctypes, because the C library has no functions for them.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from httpmini.config import Config
from httpmini.errors import CannotRun
from httpmini.server.listeners.peer import LOCAL

# The same on every architecture: new system calls have had common numbers since before these came.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _MAKE_SOCK, _TRUNCATE = 1 << 5, 1 << 8, 1 << 9, 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _MAKE_SOCK | _TRUNCATE
# How many file access rights each version of Landlock knows, counted from the lowest bit.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_SINCE_5 = 16
_CONNECT_TCP = 1 << 1  # since version 4

# What Python and the C library read on demand: host names, time zones, modules.
_OF_THE_SYSTEM = (
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/localtime", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib", "/usr/lib64"),
    *("/dev/urandom", "/sys/devices/system/cpu", "/proc/self"),
)


def read_folders(config: Config) -> set[str]:
    """Return the folders that the server reads: roots, folders of users files, and ``daemon.readable``."""
    users = (str(Path(realm.users).parent) for one in config.all_sites for realm in one.realms)
    return {*(one.site.root for one in config.all_sites), *users, *config.daemon.readable}


def written_folders(config: Config) -> set[str]:
    """Return the folders that the server writes to: those of its logs, its pid file and its Unix sockets."""
    sockets = (entry.removeprefix(LOCAL) for entry in (*config.server.listen, *config.status.listen))
    accesses = (one.log.access for one in config.all_sites)
    paths = (*accesses, config.log.error, config.daemon.pid_file, *sockets)
    return {str(Path(path).parent) for path in paths if Path(path).is_absolute()}


def refuse_outside(folder: str) -> None:
    """Check that the sandbox lets this process read ``folder``; a reload cannot widen it.

    Raises:
        CannotRun: it does not, although the permissions of the folder would.
    """
    try:
        os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError as error:
        if os.access(folder, os.R_OK):  # which asks about permissions, not about the sandbox
            remedy = "name it in daemon.readable and restart the server"
            raise CannotRun(f"{folder} is outside the sandbox that this server was started with; {remedy}") from error
    except OSError:  # any other problem is reported where the folder is used
        return


def version() -> int:
    """Return the version of Landlock in this kernel; 0 if it has none."""
    return max(0, _call(_CREATE_RULESET, None, 0, _ASK_VERSION))


def enter(readable: Iterable[str], writable: Iterable[str]) -> bool:
    """Enter the sandbox. Call it before starting threads: those that run already would stay outside.

    From now on, this process and its children can make no TCP connections (since version 4 of Landlock).

    Args:
        readable: folders to read below, beside those that Python itself needs.
        writable: folders to read and write below.

    Returns:
        Whether the process is in the sandbox; False if the kernel has no Landlock.
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
    """Return the folders of the standard library, of installed packages, and of httpmini itself."""
    homes = tuple(str(Path(prefix) / "lib") for prefix in (sys.prefix, sys.base_prefix))
    return {str(Path(__file__).resolve().parents[1]), *(path for path in sys.path if path.startswith(homes))}


def _allow(rules: int, path: str, rights: int) -> None:
    """Allow ``rights`` below ``path``. A path that does not exist needs no rule."""
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
    """Keep programs that this process starts from gaining privileges; Landlock requires that."""
    return int(ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) == 0


def _call(number: int, *arguments: bytes | int | None) -> int:
    """Make a system call that the C library has no function for; return -1 if it fails."""
    try:
        call = ctypes.CDLL(None).syscall
    except (OSError, AttributeError):
        return -1
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *(_as_c(argument) for argument in arguments)))


def _as_c(argument: bytes | int | None) -> ctypes.c_char_p | ctypes.c_long:
    return ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument)
