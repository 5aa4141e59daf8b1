"""Whether a file that is here already is the one on the server."""

from __future__ import annotations

import os
import stat
import time

from httpmini.client.digests import announced_sha256
from httpmini.protocol.dates import parse_date
from httpmini.protocol.message import Headers


def is_unchanged(path: str, headers: Headers, sha256: str | None = None) -> bool:
    """Return whether the file at ``path`` is what a server has.

    A digest decides, if one is known. Without one, the file has to be as long as that of the server, and written after
    it: as wget -N has it.

    Args:
        path: of the file, which may not exist.
        headers: the fields of a response to HEAD.
        sha256: the digest that was asked for, in hexadecimal.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or str(status.st_size) != headers.get("Content-Length"):
            return False
        digest = sha256 or announced_sha256(headers)
        if digest:
            import hashlib  # loads OpenSSL, which most requests need not wait for

            with open(path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
    changed = parse_date(headers.get("Last-Modified") or "", time.time())
    return changed is not None and "Content-Encoding" not in headers and status.st_mtime > changed
