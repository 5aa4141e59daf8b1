"""System calls that the C library has no function for, made through ctypes."""

from __future__ import annotations

import ctypes
import sys
from functools import cache


def system_call(number: int, *arguments: bytes | int | None) -> int:
    """Make the system call ``number``; return its result, -1 if it fails or there is no way to make it."""
    call = _function("syscall")
    return -1 if call is None else int(call(ctypes.c_long(number), *map(_as_c, arguments)))


def prctl(option: int, *arguments: bytes | int) -> int:
    """Call prctl(2); return its result, -1 if it fails or this system has none."""
    call = _function("prctl")
    padded = (*arguments, 0, 0, 0, 0)[:4]  # the kernel wants those that are not used to be 0
    return -1 if call is None else int(call(ctypes.c_int(option), *map(_as_c, padded)))


def have_system_calls() -> bool:
    """Whether system calls can be made by their numbers, which are those of Linux."""
    return _function("syscall") is not None


@cache  # children inherit what is found: to look it up costs a third of a fork
def _function(name: str) -> ctypes._NamedFuncPointer | None:
    if sys.platform != "linux":  # elsewhere, the same number is another call
        return None
    try:
        found = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    found.restype = ctypes.c_long
    return found  # type: ignore[no-any-return]


def _as_c(argument: bytes | int | None) -> ctypes.c_char_p | ctypes.c_long:
    return ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument)
