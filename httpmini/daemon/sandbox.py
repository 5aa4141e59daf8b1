"""The sandbox: with Landlock, the kernel lets this process and its children open files below a few folders only.

So a bug in how a path becomes a file cannot reach a file outside. Landlock needs no privilege and cannot be undone. A
rule holds for the file or folder that it was made for: another one that is moved to the same path later is outside.
Files that are open already stay open. See landlock(7).

What is opened and what for is decided in ``openings.py``.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable

import msgspec

from httpmini.daemon.program_files import OF_THE_SYSTEM, program_files
from httpmini.daemon.system_calls import prctl, system_call

# The same on every architecture: new system calls have had common numbers since before these came.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _MAKE_SOCK, _TRUNCATE = 1 << 5, 1 << 8, 1 << 9, 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

READ = _READ_FILE | _READ_DIR
"""To read files and list folders."""
READ_FILES = _READ_FILE
"""To read files whose names are known."""
APPEND = _WRITE_FILE | _MAKE_REG
"""For logs: to create files and write to them, but not to read, empty or remove any."""
KEEP = _WRITE_FILE | _MAKE_REG | _TRUNCATE | _REMOVE_FILE | _MAKE_SOCK
"""For a pid file and the socket beside it: to create, write, empty and remove files, but not to read any."""
MAKE_SOCKETS = _MAKE_SOCK | _REMOVE_FILE
"""For unix sockets: to create them, and to remove and rename files."""

# How many file access rights each version of Landlock knows, counted from the lowest bit.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_RIGHTS_SINCE_5 = 16
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1  # since version 4
_SCOPES = 1 << 0 | 1 << 1  # since version 6: abstract unix sockets and signals do not leave the sandbox


class Opening(msgspec.Struct, frozen=True, order=True):
    """A file, or a folder with everything below it, that the sandbox leaves open.

    Attributes:
        path: its path; a symlink stands for what it leads to now.
        rights: what for: one of the constants above.
    """

    path: str
    rights: int


def version() -> int:
    """Return the version of Landlock in this kernel; 0 if it has none."""
    return max(0, system_call(_CREATE_RULESET, None, 0, _ASK_VERSION))


def enter(openings: Iterable[Opening]) -> bool:
    """Enter the sandbox. Call it before starting threads: those that run already would stay outside.

    From now on, this process and its children can make no TCP connections (since version 4 of Landlock), and neither
    signal processes outside nor connect to their abstract unix sockets (since version 6).

    Args:
        openings: what stays open, beside the files of Python and of the system that any program needs.

    Returns:
        Whether the process is in the sandbox; False if the kernel has no Landlock.
    """
    known = version()
    if not known:
        return False
    handled = (1 << _RIGHTS.get(known, _RIGHTS_SINCE_5)) - 1
    rules = _make_ruleset(known, handled, _CONNECT_TCP)
    if rules < 0:
        return False
    try:
        for path in (*program_files(), *OF_THE_SYSTEM):
            _allow(rules, path, READ & handled)
        _allow(rules, os.devnull, (_READ_FILE | _WRITE_FILE) & handled)
        for opening in openings:
            _allow(rules, opening.path, opening.rights & handled)
        return no_new_privileges() and restrict(rules)
    finally:
        os.close(rules)


def make_inner_sandbox() -> int:
    """Return a descriptor of rules for children, to be put into force in each of them with ``restrict``; -1 for none.

    A child in a sandbox of its own inside ours can neither trace nor signal us and its siblings (since version 6), or
    read their memory. It removes no files, and it neither binds nor connects TCP sockets.
    """
    known = version()
    return _make_ruleset(known, _REMOVE_FILE | _MAKE_SOCK, _BIND_TCP | _CONNECT_TCP) if known else -1


def restrict(rules: int) -> bool:
    """Put rules into force for this process, for good; return whether that worked."""
    return system_call(_RESTRICT_SELF, rules, 0) == 0


def no_new_privileges() -> bool:
    """Keep this process from ever gaining privileges; Landlock and seccomp require that."""
    return prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0


def _make_ruleset(known: int, files: int, tcp: int) -> int:
    words = [files, *([tcp] if known >= 4 else ()), *([_SCOPES] if known >= 6 else ())]
    attributes = struct.pack(f"={len(words)}Q", *words)
    return system_call(_CREATE_RULESET, attributes, len(attributes), 0)


def _allow(rules: int, path: str, rights: int) -> None:
    """Allow ``rights`` below ``path``. A path that does not exist needs no rule."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        system_call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)
