"""The local folder as one run sees it: what it may touch, and which remote entry owns each file on disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator

from httpmini.client.mirror.listings import Names, is_hidden
from httpmini.client.mirror.tree import RESERVED, InTheWay, Surplus, Tree, shown
from httpmini.protocol.framing import Data


class LocalCopy:
    """A ``Tree`` on which no two remote entries share a file, and which a dry run leaves alone.

    On a disk that ignores case, ``A`` and ``a`` are one file. The entries seen in this run are therefore remembered by
    device and inode.

    Args:
        tree: the folder.
        dry_run: change nothing.
        hidden: files whose names begin with a dot belong to the copy too; otherwise they are left alone.

    Attributes:
        dry_run: as given.
    """

    def __init__(self, tree: Tree, *, dry_run: bool, hidden: bool = False) -> None:
        self.dry_run = dry_run
        self._hidden = hidden
        self._tree = tree
        self._owners: dict[tuple[int, int], Names] = {}

    def enter_folder(self, names: Names) -> None:
        """Make the folder at ``names`` if it is missing, and claim it.

        Raises:
            InTheWay: something else is there, or it belongs to another folder of this run.
            CannotRun: the disk failed.
        """
        if self.dry_run:
            status = self._tree.look(names)
            if status is not None and not stat.S_ISDIR(status.st_mode):
                raise InTheWay("a file or a symlink is in the way")
        else:
            status = self._tree.make_folder(names)
        self._check_owner(names, status)
        self.claim(names, status)

    def look(self, names: Names) -> os.stat_result | None:
        """Return the status of what is at ``names``, or None.

        Raises:
            InTheWay: it belongs to another entry of this run, or the path leads through something else.
            CannotRun: the disk failed.
        """
        status = self._tree.look(names)
        self._check_owner(names, status)
        return status

    def exists(self, names: Names) -> bool:
        """Whether anything is at ``names``, whoever owns it; raises as ``look`` does."""
        return self._tree.look(names) is not None

    def claim(self, names: Names, status: os.stat_result | None) -> None:
        """Record that the file with this ``status`` belongs to the remote entry ``names``."""
        if status is not None:
            self._owners[(status.st_dev, status.st_ino)] = names

    def write(
        self, names: Names, pieces: Iterable[Data], modified: int | None, *, overwrite: bool = True
    ) -> os.stat_result:
        """Write and claim a file; see ``Tree.write``."""
        status = self._tree.write(names, pieces, modified, overwrite=overwrite)
        self.claim(names, status)
        return status

    def compare(self, names: Names, pieces: Iterable[Data]) -> os.stat_result | None:
        """Claim a file if ``pieces`` are its content; see ``Tree.compare``."""
        status = self._tree.compare(names, pieces)
        self.claim(names, status)
        return status

    def sha256(self, names: Names) -> str:
        """Return the digest of a file; see ``Tree.sha256``."""
        return self._tree.sha256(names)

    def surplus(self, folder: Names, remote: Collection[bytes]) -> Iterator[Surplus]:
        """Yield what is in ``folder`` but not among the ``remote`` names; see ``Tree.others``."""
        return self._tree.others(folder, remote, self._is_spared)

    def count_files(self) -> int:
        """Return the number of files that could be deleted."""
        return sum(map(self.counts, self._tree.others((), (), self._is_spared)))

    def counts(self, found: Surplus) -> bool:
        """Whether something counts as a file that could be deleted."""
        names, status = found
        return stat.S_ISREG(status.st_mode) and names[-1] not in RESERVED

    def _is_spared(self, name: bytes, status: os.stat_result) -> bool:
        """Whether something is left alone because of its name, or because an entry of this run owns it."""
        is_foreign = is_hidden(name) and not self._hidden and name not in RESERVED
        return is_foreign or self._owner(status) is not None

    def remove(self, names: Names) -> None:
        """Delete a regular file or an empty folder, unless this is a dry run; see ``Tree.remove``."""
        if not self.dry_run:
            self._tree.remove(names)

    def read_state(self) -> bytes:
        """Return what the last run saved; empty when there is nothing readable."""
        return self._tree.read_state()

    def write_state(self, data: bytes) -> None:
        """Save ``data`` for the next run, unless this is a dry run or nothing has been entered yet.

        Raises:
            CannotRun: it cannot be written.
        """
        if not self.dry_run and self._owners:
            self._tree.write_state(data)

    def _check_owner(self, names: Names, status: os.stat_result | None) -> None:
        owner = self._owner(status)
        if owner is not None and owner != names:
            raise InTheWay(f"on this disk it is the same as {shown(owner)}")

    def _owner(self, status: os.stat_result | None) -> Names | None:
        """Return the entry of this run that owns ``status``. Hard links have none: writing one separates them."""
        if status is None or (status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode)):
            return None
        return self._owners.get((status.st_dev, status.st_ino))
