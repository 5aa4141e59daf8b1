"""Files that appear under their name complete, or not at all.

Each is written under a temporary name in the same folder and renamed at the end, so that a reader never sees a part of
it, and a failure leaves what was there before.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import AnyStr

_KEPT_NAME_BYTES = 200  # of the 255 that file systems take; the rest is for what makes a temporary name unique


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
        name = _temporary_name(path)
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
        path, name, overwrite, dir_fd: as for ``draft``.
        mode: permissions, reduced by the umask.
        sync: have the contents on disk before the name (fsync). It costs a disk write each time, so it is for what
            cannot be fetched again.

    Raises:
        OSError: it cannot be created, written or renamed.
    """
    with draft(path, name=name, overwrite=overwrite, dir_fd=dir_fd) as temporary:
        # O_EXCL also refuses a symlink planted there to have another file overwritten.
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=dir_fd)
        try:
            yield fd
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)


def current_folder() -> Path:
    """Return the current folder; if it was deleted, a path where nothing is, so that relative paths lead nowhere."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/(the current folder, which was deleted)")


def why_not(error: OSError, path: str) -> str:
    """Return why ``path`` cannot be opened. What its permissions allow, only the sandbox can have refused."""
    if not isinstance(error, PermissionError) or not os.access(path, os.R_OK):  # which does not ask the sandbox
        return error.strerror or str(error)
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
        # A file system without hard links (FAT): claim the name with an empty file, then replace that.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=dir_fd))
        try:
            os.replace(source, path, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
        except OSError:
            os.unlink(path, dir_fd=dir_fd)
            raise


def _temporary_name(path: AnyStr) -> AnyStr:
    folder, slash, name = os.fsencode(path).rpartition(b"/")
    part = b"%b%b.%b.%b.part" % (folder, slash, name[:_KEPT_NAME_BYTES], secrets.token_hex(4).encode())
    return part if isinstance(path, bytes) else os.fsdecode(part)
