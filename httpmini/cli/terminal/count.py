"""How many files a folder has, as far as that can be found out in a second."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

MOST_FILES = 20_000
MOST_S = 1.0


class Count:
    """Counts the files below ``path`` that are served by default, in a thread of its own.

    Attributes:
        done: set when it has ended.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._files = self._bytes = 0
        self._is_cut = self._is_file = False
        self.done = threading.Event()

    def start(self) -> None:
        """Begin to count."""
        threading.Thread(target=self._run, name="count", daemon=True).start()

    def __str__(self) -> str:
        """Return what was found, such as "207 files, 708 MB"; "" if that is nothing."""
        from rich.filesize import decimal  # in the process that draws only

        if self._is_cut:
            return f"more than {self._files:,} files"
        if self._is_file:
            return decimal(self._bytes)
        return f"{self._files:,} file{'s' * (self._files != 1)}, {decimal(self._bytes)}"

    def _run(self) -> None:
        try:
            status = Path(self._path).stat()
            self._is_file = not stat.S_ISDIR(status.st_mode)
            if self._is_file:
                self._bytes = status.st_size
            else:
                self._walk()
        except OSError:  # it may be gone; then nothing is said
            self._is_cut = False
        self.done.set()

    def _walk(self) -> None:
        end = time.monotonic() + MOST_S
        folders = [self._path]
        while folders and not self._is_cut:
            try:
                entries = os.scandir(folders.pop())
            except OSError:  # no permission, or gone
                continue
            with entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        self._add(entry, folders)
                    self._is_cut = self._files >= MOST_FILES or time.monotonic() > end
                    if self._is_cut:
                        return

    def _add(self, entry: os.DirEntry[str], folders: list[str]) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return
        if stat.S_ISDIR(status.st_mode):
            folders.append(entry.path)
        elif stat.S_ISREG(status.st_mode):
            self._files += 1
            self._bytes += status.st_size
