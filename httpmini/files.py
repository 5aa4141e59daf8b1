"""Files that appear complete or not at all.

A new file has no name (``O_TMPFILE``), or a temporary one where the file system cannot do that, until its content is
complete. It is then named through its descriptor, so that nobody can have another file named in its place, and a
failure leaves what was there before.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import AnyStr

_KEPT_NAME_BYTES = 200  # of the 255 that file systems take; the rest is for what makes a temporary name unique
_COPY_BYTES = 1024 * 1024
_FOLDER_FLAGS = os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# What file systems without hard links answer (FAT, some of FUSE), and a system without /proc.
_NO_LINK = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK, errno.ENOENT)
# What folders that cannot be synchronised answer. An error of the disk is none of these.
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)


@contextmanager
def draft(
    path: AnyStr, *, name: AnyStr | None = None, overwrite: bool = True, dir_fd: int | None = None
) -> Iterator[AnyStr]:
    """Yield a temporary path to create something at; rename it to ``path`` when the block ends, remove it on an error.

    Args:
        path: the final path. A symlink there is replaced, never followed.
        name: the temporary path, in the same folder; a leftover of that name is removed first. By default a new hidden
            name with a random part.
        overwrite: whether ``path`` may exist already.
        dir_fd: a descriptor of the folder that both paths are relative to.

    Raises:
        FileExistsError: ``path`` exists, and ``overwrite`` is false.
        OSError: it cannot be renamed.
    """
    if name is None:
        temporary = _temporary_name(path)
        name = temporary if isinstance(path, bytes) else os.fsdecode(temporary)
    else:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=dir_fd)
    try:
        yield name
        if overwrite:
            os.replace(name, path, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        else:
            move_to_free_name(name, path, dir_fd=dir_fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(name, dir_fd=dir_fd)
        raise


@contextmanager
def new_file(
    path: AnyStr,
    *,
    name: AnyStr | None = None,
    mode: int = 0o666,
    overwrite: bool = True,
    sync: bool = False,
    dir_fd: int | None = None,
) -> Iterator[int]:
    """Yield the descriptor of a new file that becomes ``path`` when the block ends, and is removed on an error.

    Args:
        path: the final path. A symlink there is replaced, never followed. The mode of a regular file there is kept.
        name: the temporary path, in the same folder, should one be needed; a leftover of that name is removed.
        mode: permissions of a file that replaces none, reduced by the umask.
        overwrite: whether ``path`` may exist already.
        sync: have the contents on disk before the name, and then the name as well (fsync).
        dir_fd: a descriptor of the folder that both paths are relative to.

    Raises:
        FileExistsError: ``path`` exists, and ``overwrite`` is false.
        OSError: it cannot be created, written or named.
    """
    if name is not None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=dir_fd)
    folder, own = open_folder(path, dir_fd=dir_fd)
    try:
        status_of(own, folder)  # says at once if the name is too long
        fd, temporary = hidden_file(folder, own, None if name is None else os.path.split(name)[1])
        try:
            yield fd
            spare = None if temporary is not None or name is None else os.path.split(name)[1]
            give_name(fd, own, folder, current=temporary, spare=spare, mode=mode, overwrite=overwrite, sync=sync)
        finally:
            if temporary is not None:
                remove_if_same(fd, temporary, folder)
            os.close(fd)
    finally:
        os.close(folder)


def open_folder(path: AnyStr, *, dir_fd: int | None = None) -> tuple[int, AnyStr]:
    """Return a descriptor of the folder that ``path`` lies in, and its name there.

    Raises:
        OSError: there is no such folder; the error names ``path``.
    """
    folder, name = os.path.split(path)
    here: AnyStr = folder or (b"." if isinstance(path, bytes) else ".")
    try:
        try:
            return os.open(here, os.O_RDONLY | _FOLDER_FLAGS, dir_fd=dir_fd), name
        except PermissionError:  # one that may be written to, but not listed
            return os.open(here, getattr(os, "O_PATH", os.O_RDONLY) | _FOLDER_FLAGS, dir_fd=dir_fd), name
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def status_of(name: str | bytes, folder: int | None) -> os.stat_result | None:
    """Return the status of what has this name, of a symlink itself; None if nothing has.

    Raises:
        OSError: the file system refuses such a name, or fails.
    """
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_named(fd: int, name: str | bytes, folder: int | None) -> bool:
    """Whether this name leads to this open file."""
    try:
        found = status_of(name, folder)
    except OSError:
        return False
    return found is not None and os.path.samestat(found, os.fstat(fd))


def remove_if_same(fd: int, name: str | bytes, folder: int | None) -> None:
    """Remove a name if it leads to this open file."""
    if is_named(fd, name, folder):
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)


def hidden_file(folder: int, near: str | bytes, name: str | bytes | None = None) -> tuple[int, str | bytes | None]:
    """Create a file that only this process can see, with mode 0600.

    Args:
        folder: where it will be named.
        near: the name that it will get; a temporary name is made of it.
        name: the temporary name to use instead.

    Returns:
        Its descriptor, and its temporary name if it needs one.

    Raises:
        OSError: it cannot be created.
    """
    if hasattr(os, "O_TMPFILE") and os.access("/proc/self/fd", os.X_OK):  # the way to name it later
        try:
            return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder), None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE):
                raise
    while True:
        temporary = _temporary_name(near) if name is None else name
        try:
            return os.open(temporary, _NEW, 0o600, dir_fd=folder), temporary
        except FileExistsError:
            name = None  # a name that is free


def give_name(
    fd: int,
    name: str | bytes,
    folder: int,
    *,
    current: str | bytes | None = None,
    spare: str | bytes | None = None,
    mode: int = 0o666,
    overwrite: bool = True,
    sync: bool = False,
) -> None:
    """Give an open file its name.

    Args:
        fd: the file, complete.
        name: what it is to be called. A symlink of that name is replaced, never followed.
        folder: a descriptor of the folder.
        current: a name that the file has so far, which it loses.
        spare: a second name for the meantime, by which a later process knows that this one was killed here.
        mode, overwrite, sync: as for ``new_file``.

    Raises:
        FileExistsError: the name is taken, and ``overwrite`` is false.
        OSError: it cannot be named, or another file has got the name.
    """
    ready = None if spare is None else _link_beside(fd, spare, folder)
    mode_comes_last = spare is not None and ready is None  # if this process is killed, nothing tells why it is open
    try:
        final_mode = _final_mode(name, folder, mode)
        if not mode_comes_last:
            set_mode(fd, final_mode)
        if sync:
            os.fsync(fd)
        _name(fd, name, folder, current, ready, final_mode, overwrite=overwrite)
        if mode_comes_last:
            set_mode(fd, final_mode)
    finally:
        if ready is not None:
            remove_if_same(fd, ready, folder)
    if current is not None:
        remove_if_same(fd, current, folder)
    if sync:
        sync_folder(folder)


def _name(
    fd: int,
    name: str | bytes,
    folder: int,
    current: str | bytes | None,
    ready: str | bytes | None,
    mode: int,
    *,
    overwrite: bool,
) -> None:
    """Name the file in the best way that the file system knows."""
    try:
        _name_by_descriptor(fd, name, folder, ready, overwrite=overwrite)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        if current is not None and is_named(fd, current, folder):
            _name_by_rename(fd, name, folder, current, overwrite=overwrite)
        else:
            _name_by_copy(fd, name, folder, mode, overwrite=overwrite)


def _name_by_descriptor(fd: int, name: str | bytes, folder: int, ready: str | bytes | None, *, overwrite: bool) -> None:
    """Link the file itself, whatever its names lead to by now."""
    try:
        _link(fd, name, folder)
    except FileExistsError:
        if not overwrite or is_named(fd, name, folder):
            raise
        temporary = ready if ready is not None and is_named(fd, ready, folder) else _temporary_name(name)
        try:
            if temporary is not ready:
                _link(fd, temporary, folder)
            _name_by_rename(fd, name, folder, temporary, overwrite=True)
        finally:
            remove_if_same(fd, temporary, folder)


def _name_by_rename(fd: int, name: str | bytes, folder: int, current: str | bytes, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(current, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        _rename_to_free_name(current, name, folder)
    if not is_named(fd, name, folder):
        raise OSError(errno.EBUSY, "another file has got this name", name)


def _name_by_copy(fd: int, name: str | bytes, folder: int, mode: int, *, overwrite: bool) -> None:
    """Name a copy: a file that has lost its last name cannot be named again."""
    temporary = _temporary_name(name)
    copy = os.open(temporary, _NEW, 0o600, dir_fd=folder)
    try:
        offset = 0
        while data := os.pread(fd, _COPY_BYTES, offset):
            write_all(copy, data)
            offset += len(data)
        set_mode(copy, mode)
        os.fsync(copy)
        _name_by_rename(copy, name, folder, temporary, overwrite=overwrite)
    finally:
        remove_if_same(copy, temporary, folder)
        os.close(copy)


def _link_beside(fd: int, spare: str | bytes, folder: int) -> str | bytes | None:
    """Link the file under a second name, and return that; None if it cannot be had."""
    with suppress(OSError):
        _link(fd, spare, folder)
        return spare
    return None


def _link(fd: int, name: str | bytes, folder: int) -> None:
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder, follow_symlinks=True)


def set_mode(fd: int, mode: int) -> None:
    """Set the permissions of an open file where the file system has any (FAT has none)."""
    try:
        os.fchmod(fd, mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise


def _final_mode(name: str | bytes, folder: int, mode: int) -> int:
    """Return the permissions of the file that is replaced, else those of a new one."""
    there = status_of(name, folder)
    return there.st_mode & 0o777 if there is not None and stat.S_ISREG(there.st_mode) else mode & ~_umask()


def _umask() -> int:
    """Return the umask, if possible without setting it: all threads share it."""
    with suppress(OSError, ValueError, IndexError), open("/proc/self/status", "rb") as file:
        return int(next((line for line in file if line.startswith(b"Umask:")), b"").split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync_folder(folder: int) -> None:
    """Have the names in a folder on disk, where the file system can do that (fsync).

    Raises:
        OSError: the disk failed.
    """
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def current_folder() -> Path:
    """Return the current folder; if it was deleted, a path where nothing is, so that relative paths lead nowhere."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/(the current folder, which was deleted)")


def why_not(error: OSError, path: str, user: str = "") -> str:
    """Return why this process cannot open ``path``.

    Args:
        error: what the kernel said.
        path: the file.
        user: the name of the user that this process runs as, if it is known. Names are not looked up here: in a
            chroot that would load libraries from inside.
    """
    if not isinstance(error, PermissionError):
        return error.strerror or str(error)
    if not os.access(path, os.R_OK):  # the sandbox is not asked: what the permissions allow, only it can have refused
        who = user or f"user number {os.geteuid()}"
        return f"{error.strerror}; this process runs as {who}, whose group may be let in by chgrp and chmod g+r"
    remedy = "name its folder in daemon.readable and restart the server"
    return f"it is another file than at the start, or new, and outside the sandbox of this server; {remedy}"


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` to a blocking descriptor; a single ``os.write`` may take less."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def move_to_free_name(source: AnyStr, path: AnyStr, *, dir_fd: int | None = None) -> None:
    """Move a file to a name that nothing has, not even a dangling symlink.

    Args:
        source, path: in one file system.
        dir_fd: a descriptor of the folder that both are relative to.

    Raises:
        FileExistsError: the name is taken.
        OSError: the file cannot be moved.
    """
    try:
        os.link(source, path, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
        os.unlink(source, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        _rename_to_free_name(source, path, dir_fd)


def _rename_to_free_name(source: str | bytes, path: str | bytes, dir_fd: int | None) -> None:
    """Claim the name with an empty file, then replace that: for a file system without hard links (FAT).

    A process that is killed between the two leaves the empty file.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=dir_fd)
    try:
        os.replace(source, path, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    except BaseException:
        remove_if_same(fd, path, dir_fd)
        raise
    finally:
        os.close(fd)


def _temporary_name(path: str | bytes) -> bytes:
    folder, slash, name = os.fsencode(path).rpartition(b"/")
    return b"%b%b.%b.%b.part" % (folder, slash, name[:_KEPT_NAME_BYTES], os.urandom(4).hex().encode())
