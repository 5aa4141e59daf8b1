"""What is left of root's power (capabilities(7)) in a server that stays root: to read, to log and to bind."""

from __future__ import annotations

import ctypes
import struct

_VERSION_3 = 0x20080522
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: files of others, as root could serve and log always; CAP_NET_BIND_SERVICE.
_KEPT = 1 << 1 | 1 << 2 | 1 << 10


def drop_capabilities() -> bool:
    """Give up every capability but those that serving as root needs, for good; return whether that worked.

    Call it when ``no_new_privileges`` holds: then no program can bring them back.
    """
    try:
        capset = ctypes.CDLL(None).capset
    except (OSError, AttributeError):
        return False
    header = struct.pack("=Ii", _VERSION_3, 0)  # 0 is this process
    kept = _KEPT & _permitted()
    return int(capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))) == 0


def _permitted() -> int:
    """Return the lower half of the permitted set: a container may have taken some away already."""
    data = ctypes.create_string_buffer(24)
    if ctypes.CDLL(None).capget(struct.pack("=Ii", _VERSION_3, 0), data) != 0:
        return 0
    return int(struct.unpack("=6I", data.raw)[1])
