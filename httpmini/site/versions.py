"""How a version of a file is identified: by a fingerprint of its content, from which its entity tag is made.

Times and inodes say where and when a file was stored, not what is in it. A reproducible build gives every version the
same time, often with the same size; two replicas have different inodes and change times. So the content itself is read:

- A file of up to 1 MiB is identified by the digest of all of it. Copies have the same tag, whatever tool made them.
- A larger one is identified by its modification time and the digest of four samples: reading all of it could take
  seconds. ``cp -a`` and ``rsync -a`` keep that time. A version that differs only between the samples, and has the same
  size and the same time to the nanosecond, is not recognized as another one.

A fingerprint is remembered as long as the kernel says that the file has not changed, so it is made once for a version.
"""

from __future__ import annotations

import os

from httpmini.site.conditional import Validators, is_young, validators
from httpmini.site.memory import Identity, Memory, identity_of
from httpmini.site.resolve import File

WHOLE_BYTES = 1024**2  # 0.6 ms with SHA-256
_SAMPLES, _SAMPLE_BYTES = 4, 64 * 1024


class Versions:
    """The versions of the files of a site. Threads may share it."""

    def __init__(self) -> None:
        self.known = Memory[Identity, str]()

    def validators(self, file: File, wall: float) -> Validators:
        """Return the validators of an open file.

        Args:
            file: the file.
            wall: the time of day, in seconds since the epoch.

        Raises:
            OSError: the file cannot be read.
        """
        return validators(file.status, wall, self._fingerprint(file, wall), file.reached_ns)

    def _fingerprint(self, file: File, wall: float) -> str:
        """Return the fingerprint of a file; remember it unless the file could still change without a trace."""
        identity = identity_of(file.status)
        known = self.known.find(identity)
        if known is None:
            known = fingerprint(file)
            if not is_young(file.status, wall):
                self.known.keep(identity, known)
        return known


def fingerprint(file: File) -> str:
    """Compute the fingerprint of a file from its content.

    Raises:
        OSError: the file cannot be read.
    """
    from hashlib import sha256  # loads OpenSSL: not at the start, which would wait for it

    size = file.status.st_size
    if size <= WHOLE_BYTES:
        return sha256(os.pread(file.fd, size, 0)).hexdigest()[:24]
    digest = sha256()
    for number in range(_SAMPLES):
        digest.update(os.pread(file.fd, _SAMPLE_BYTES, (size - _SAMPLE_BYTES) * number // (_SAMPLES - 1)))
    return f"{file.status.st_mtime_ns:x}-{digest.hexdigest()[:24]}"
