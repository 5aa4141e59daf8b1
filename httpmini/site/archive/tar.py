"""The tar form, as POSIX has it (pax): it needs nothing of a file but its size, so files can leave by ``sendfile``."""

from __future__ import annotations

from typing import ClassVar

from httpmini.site.archive.layout import Layout
from httpmini.site.archive.plan import Member

_BLOCK = 512
_END = bytes(2 * _BLOCK)
# What a plain header has room for: 100 octets of ASCII, and eleven octal digits.
_PLAIN_NAME_BYTES, _PLAIN_MOST = 100, 8**11 - 1


class TarLayout(Layout):
    """A tar archive. Long or other names than ASCII, and sizes of 8 GiB or more, are in headers of their own."""

    form: ClassVar[str] = "tar"
    media_type: ClassVar[str] = "application/x-tar"
    needs_sums: ClassVar[bool] = False

    def prefix(self) -> bytes:
        """Return a comment that says what was left out, if anything was."""
        if not self.plan.left_out:
            return b""
        from tarfile import TarInfo

        return TarInfo.create_pax_global_header({"comment": "Left out: " + "; ".join(self.plan.left_out)})

    def head(self, member: Member) -> bytes:
        """Return the headers of a member."""
        from tarfile import DIRTYPE, PAX_FORMAT, REGTYPE, TarInfo

        info = TarInfo(self.plan.path_of(member).decode("utf-8", "surrogateescape"))
        info.size, info.mtime, info.mode = member.size, member.modified, member.mode
        info.type = DIRTYPE if member.is_folder else REGTYPE
        return info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape")

    def tail(self, member: Member, checksum: int) -> bytes:  # noqa: ARG002
        """Return what fills the last block."""
        return bytes(self._tail_bytes(member))

    def trailer(self, portion: int, checksum: int) -> bytes:  # noqa: ARG002
        """Return two empty blocks."""
        return _END

    def head_bytes(self, member: Member) -> int:
        """Return how long the head of a member is."""
        path = self.plan.path_of(member)
        if path.isascii() and len(path) <= _PLAIN_NAME_BYTES and max(member.size, member.modified) <= _PLAIN_MOST:
            return _BLOCK
        return len(self.head(member))

    def _tail_bytes(self, member: Member) -> int:
        return -member.size % _BLOCK

    def _measure_trailer(self) -> None:
        self.trailer_starts.append(self.trailer_starts[-1] + len(_END))
