"""What is in an archive, from which everything else follows: its length, its tag, and where each member begins."""

from __future__ import annotations

import os

import msgspec

from httpmini.site.memory import identity_of

VERSION_BYTES = 16
Names = tuple[bytes, ...]


class Member(msgspec.Struct, frozen=True, gc=False):
    """A file or folder in an archive.

    Attributes:
        path: where it is below the requested folder; empty for that folder itself.
        size: of the file, in bytes; 0 for a folder.
        modified: when it was changed last, in seconds since the epoch.
        is_folder: whether it is a folder.
        is_executable: whether its owner may run it.
        version: of the file, as ``version_of`` has it; empty for a folder.
    """

    path: bytes
    size: int
    modified: int
    is_folder: bool
    is_executable: bool
    version: bytes

    @property
    def mode(self) -> int:
        """The permissions that it gets when it is extracted: those that any shared file may have, and no others."""
        return 0o755 if self.is_folder or self.is_executable else 0o644


class Plan(msgspec.Struct, frozen=True):
    """What an archive contains.

    Attributes:
        names: the path of the folder below the root.
        title: what the folder is called in the archive.
        members: the folder itself, and everything in it, each folder before what it contains.
        left_out: what the archive does not contain although the listing shows it, one line each.
        changed_ns: when anything in it was changed last, in nanoseconds since the epoch.
    """

    names: Names
    title: bytes
    members: tuple[Member, ...]
    left_out: tuple[str, ...]
    changed_ns: int

    @property
    def is_coarse(self) -> bool:
        """Whether the file system seems to keep times to whole seconds."""
        return self.changed_ns % 1_000_000_000 == 0

    def path_of(self, member: Member) -> bytes:
        """Return the path of a member in the archive; that of a folder ends with a slash."""
        path = self.title + b"/" + member.path
        return path + b"/" if member.is_folder and member.path else path

    def names_of(self, member: Member) -> Names:
        """Return the path of a member below the root."""
        return (*self.names, *member.path.split(b"/")) if member.path else self.names


def version_of(status: os.stat_result) -> bytes:
    """Return what changes whenever a file does."""
    from hashlib import blake2b  # loads OpenSSL, which the start need not wait for

    return blake2b(b"%d %d %d %d %d" % identity_of(status), digest_size=VERSION_BYTES).digest()


def tag_of(plan: Plan, form: str) -> str:
    """Return the entity tag of the archive of this form, with its quotes: another one for every other archive."""
    from hashlib import blake2b

    about = (form, plan.title, plan.left_out)
    digest = blake2b(repr(about).encode(), digest_size=VERSION_BYTES)
    for member in plan.members:
        digest.update(repr(member).encode())
    return f'"{digest.hexdigest()}"'
