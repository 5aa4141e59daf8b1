"""An unfinished download on disk: ``NAME.part``, and beside it ``NAME.part.json`` with the plan.

    absent     nothing lies there
    kept       both lie there, and a later call resumes from them
    held       locked by this process, and written through descriptors only
    superseded held, but the server has another version now, which goes into a second file without a name
    named      the file is whole, on disk, and has its final name; absent again

Both belong to this user and are closed to all others (mode 0600), have one name each, and the plan can be read.
Anything else is not ours: it is not touched, and the download is refused. Where a file cannot be locked, or cannot be
private, the part is removed at the end of the call: it can be neither shared nor resumed.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import replace

from httpmini.client.download.draft import Draft
from httpmini.client.download.plan import NotAPlan, Plan, read_plan
from httpmini.client.download.target import Target
from httpmini.client.locks import InUse, lock
from httpmini.errors import CannotRun
from httpmini.files import (
    give_name,
    hidden_file,
    is_named,
    new_file,
    open_folder,
    remove_if_same,
    set_mode,
    status_of,
    write_all,
)

_OPEN = (
    os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
)  # O_NONBLOCK: opening a pipe of this name does not block
_PLAN_BYTES = 1024 * 1024
_DIGEST_LETTERS = 16


def part_names(name: str, longest: int = 255) -> tuple[str, str]:
    """Return what the part of the file ``name``, and its plan, are called.

    Args:
        name: of the file.
        longest: how many bytes a name in this folder may have; a longer name is cut, and told apart by a digest.
    """
    raw = os.fsencode(name)
    if len(raw) + len(b".part.json.new") > longest:
        digest = hashlib.sha256(raw).hexdigest()[:_DIGEST_LETTERS]
        kept = raw[: max(0, longest - _DIGEST_LETTERS - len(b"..part.json.new"))].decode("utf-8", "ignore")
        name = f"{kept}.{digest}"
    return f"{name}.part", f"{name}.part.json"


class Part:
    """The two files of an unfinished download, held by this process.

    Args:
        target: what the finished file will be called; remains the caller's.

    Attributes:
        part_path: of the unfinished file, for messages.

    Raises:
        CannotRun: they cannot be written, are not ours, or another download is using them.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folder = target.folder
        self._name, self._plan_name = part_names(target.name, _longest_name(target.folder))
        self._spare_name = f"{self._name}.new"
        self._new_plan_name = f"{self._plan_name}.new"
        self.part_path = target.beside(self._name)
        self._plan_path = target.beside(self._plan_name)
        self._kept: Plan | None = None  # what lies on disk, if it is worth resuming
        self._fd = -1
        while self._fd < 0:
            self._hold()

    def _hold(self) -> None:
        """Open and lock the part; leave it if another download has renamed or removed it meanwhile."""
        fd, is_new = self._open()
        try:
            self._is_kept = self._lock(fd, is_new=is_new)
            self._remove_new_plan()
            if not is_new:
                self._finish_naming(fd)
            if not is_named(fd, self._name, self._folder):
                os.close(fd)
                return
            try:
                self._check(fd, is_new=is_new)
            except BaseException:
                if is_new:
                    remove_if_same(fd, self._name, self._folder)
                raise
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _open(self) -> tuple[int, bool]:
        """Open or create the part; return its descriptor and whether it is new."""
        while True:
            for flags, is_new in ((_OPEN | os.O_CREAT | os.O_EXCL, True), (_OPEN, False)):
                try:
                    return os.open(self._name, flags, 0o600, dir_fd=self._folder), is_new
                except (FileExistsError, FileNotFoundError):
                    if is_new and self._folder_is_gone():
                        raise CannotRun(f"cannot write {self.part_path}: No such file or directory") from None
                except OSError as error:
                    raise self._target.explain(error, self.part_path) from error

    def _folder_is_gone(self) -> bool:
        return os.fstat(self._folder).st_nlink == 0

    def _lock(self, fd: int, *, is_new: bool) -> bool:
        """Lock the part; return whether it may outlive this call."""
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise CannotRun(f"{self.part_path} is not a regular file; move it away")
        try:
            locked = lock(fd)
        except InUse as error:
            raise CannotRun(f"{self.part_path} is being written by another download") from error
        if not locked and not is_new:
            raise CannotRun(
                f"{self.part_path} exists, and this file system has no locks, so it can be neither shared nor resumed; "
                f"remove it if no other download is writing it"
            )
        return locked and (not is_new or _is_private(os.fstat(fd)))

    def _check(self, fd: int, *, is_new: bool) -> None:
        """Check that both files are of our making."""
        status = os.fstat(fd)
        plan = self._read_plan()
        if plan is None and status.st_size:
            raise CannotRun(f"{self.part_path} exists without {self._plan_path}, so it is not ours; move it away")
        if status.st_nlink > 1:
            raise CannotRun(f"{self.part_path} is a hard link to another file; move it away")
        if not is_new and not _is_private(status):
            raise CannotRun(
                f"{self.part_path} belongs to another user or is open to others, so it is not ours; move it away"
            )

    def _finish_naming(self, fd: int) -> None:
        """Complete the naming of a file in which an earlier process was killed."""
        has_final_name = is_named(fd, self._target.name, self._folder)
        if has_final_name and self._read_plan() is not None:
            remove_if_same(fd, self._name, self._folder)
        if is_named(fd, self._spare_name, self._folder):
            if not has_final_name:
                set_mode(fd, 0o600)
            remove_if_same(fd, self._spare_name, self._folder)

    def _remove_new_plan(self) -> bool:
        """Remove the unfinished plan of a process that was killed; return False if something else has its name."""
        try:
            if self._read_plan(self._new_plan_name, links=2) is not None:
                os.unlink(self._new_plan_name, dir_fd=self._folder)
        except (CannotRun, OSError):
            return False
        return True

    def _read_plan(self, name: str = "", *, links: int = 1) -> bytes | None:
        """Return what lies under the name of the plan; None if nothing does.

        Args:
            name: another name to look under.
            links: how many names the file may have.

        Raises:
            CannotRun: it is not of our making.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(name or self._plan_name, flags, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CannotRun(f"cannot read {self._plan_path}: {error.strerror}") from error
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            is_ours = stat.S_ISREG(status.st_mode) and _is_private(status) and status.st_nlink <= links
            text = file.read(_PLAN_BYTES) if is_ours else b""
        try:
            if not is_ours:
                raise NotAPlan
            read_plan(text)
        except NotAPlan as error:
            raise CannotRun(f"{self._plan_path} is not the plan of a download of ours; move it away") from error
        return text

    def resume(self) -> tuple[Draft, Plan] | None:
        """Return the kept bytes and their plan; None if there are none, or they are not what the plan says."""
        plan = read_plan(self._read_plan() or b"") if self._is_kept else None
        if plan is None or not plan.validator or not plan.done:  # a plan for an empty file would be complete as it is
            return None
        draft = self._draft()
        if not draft.matches(plan):
            draft.close()
            return None
        self._kept = plan
        return draft, plan

    def begin(self) -> Draft:
        """Return an empty file for another version. What is worth resuming stays until that version is whole."""
        if self._kept is not None and self._kept.done:
            with suppress(CannotRun):
                self._write_plan(replace(self._kept, outdated=True))
            return self._second()
        self._kept = None
        draft = self._draft()
        draft.cut_to(0)
        self._remove_plan()  # only now: a later call would take bytes without a plan for somebody else's
        return draft

    def _draft(self) -> Draft:
        keep = self._keep if self._is_kept else None
        return Draft(os.dup(self._fd), self._folder, self._name, self.part_path, keep)

    def _second(self) -> Draft:
        try:
            fd, name = hidden_file(self._folder, self._name)
        except OSError as error:
            raise self._target.explain(error) from error
        return Draft(fd, self._folder, name, self.part_path, None)

    def _keep(self, plan: Plan) -> None:
        """Write down the plan, unless somebody has tidied the part away."""
        if is_named(self._fd, self._name, self._folder):
            self._write_plan(plan)
            self._kept = plan if plan.validator else None

    def _write_plan(self, plan: Plan) -> None:
        try:
            name = self._new_plan_name if self._remove_new_plan() else None
            with new_file(self._plan_name, name=name, mode=0o600, dir_fd=self._folder) as fd:
                write_all(fd, plan.as_json())
        except OSError as error:
            raise CannotRun(f"cannot write {self._plan_path}: {error.strerror}") from error

    def finish(self, draft: Draft, *, overwrite: bool, sync: bool) -> None:
        """Give the file its final name, and remove what is left of the part.

        Args:
            draft: the complete file.
            overwrite: whether to replace what has that name.
            sync: have the bytes on disk before the name, and then the name as well.

        Raises:
            CannotRun: the name is taken, or the file cannot be named.
        """
        try:
            give_name(
                draft.fd,
                self._target.name,
                self._folder,
                current=draft.name,
                spare=self._spare_name if draft.is_kept else None,  # only the part is looked for under it
                overwrite=overwrite,
                sync=sync,
            )
        except OSError as error:
            raise self._target.explain(error) from error
        self.discard()

    def discard(self) -> None:
        """Remove both files, if they are still ours. If the process is killed halfway, an empty part is left."""
        self._kept = None
        if self._is_only_a_part():
            try:
                os.ftruncate(self._fd, 0)
            except OSError:
                return  # both stay, rather than bytes without a plan
        self._remove_plan()
        remove_if_same(self._fd, self._name, self._folder)

    def _is_only_a_part(self) -> bool:
        """Whether the file has its own name and no other: not the final one either."""
        return (
            os.fstat(self._fd).st_nlink == 1
            and is_named(self._fd, self._name, self._folder)
            and not is_named(self._fd, self._target.name, self._folder)
        )

    def _remove_plan(self) -> None:
        """Remove the plan, unless another download has begun under the same name."""
        named = status_of(self._name, self._folder)
        if named is None or os.path.samestat(named, os.fstat(self._fd)):
            with suppress(CannotRun, OSError):
                if self._read_plan() is not None:
                    os.unlink(self._plan_name, dir_fd=self._folder)

    def close(self) -> None:
        """Release the part; one that is empty, or of no use to a later call, is removed."""
        if not self._is_kept or not os.fstat(self._fd).st_size:
            self.discard()
        os.close(self._fd)


def _is_private(status: os.stat_result) -> bool:
    """Whether a file is this user's own, and closed to all others."""
    return status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _longest_name(folder: int) -> int:
    try:
        longest = os.fpathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        return 255
    return longest if longest > 0 else 255


def kept_plan(path: str) -> tuple[str, Plan] | None:
    """Return the path of the part of ``path`` and its plan, if a later call can resume from them."""
    try:
        folder, name = open_folder(path)
    except (OSError, ValueError):
        return None
    try:
        part, plan_name = part_names(name, _longest_name(folder))
        with open(os.open(plan_name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as file:
            plan = read_plan(file.read(_PLAN_BYTES))
        size = os.stat(part, dir_fd=folder).st_size
    except (OSError, ValueError, NotAPlan):
        return None
    finally:
        os.close(folder)
    return (os.path.join(os.path.dirname(path), part), plan) if plan and plan.validator and plan.done and size else None
