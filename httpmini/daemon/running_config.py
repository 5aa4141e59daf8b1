"""The settings that a server runs with, where who may look at the process can read them: ``httpmini config diff FILE``.

They are kept in a file in memory, which has no name but the one in /proc, and which the kernel shows to the same user
and to root only. So nothing has to be asked of the server, and nobody can see them through a socket.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from httpmini.config import SECTIONS, Config
from httpmini.errors import CannotRun

_NAME = "httpmini-settings"


class RunningConfig:
    """What this process shows of its settings; where there are no files in memory (memfd_create(2)), nothing."""

    def __init__(self) -> None:
        self._fd: int | None = None
        if hasattr(os, "memfd_create"):
            with contextlib.suppress(OSError):  # a filter of system calls may forbid it
                self._fd = os.memfd_create(_NAME)

    def show(self, config: Config) -> None:
        """These are in force now."""
        if self._fd is not None:
            try:
                text = msgspec.json.encode(config)
            except UnicodeEncodeError:  # a name that is not UTF-8 (PEP 383); others need not wait for this import
                import json

                text = json.dumps(msgspec.to_builtins(config)).encode()
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def close(self) -> None:
        """Show nothing any more."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_settings(process: int) -> Config:
    """What the server ``process`` runs with.

    Raises:
        CannotRun: it may not be looked at, or shows nothing.
    """
    import json

    try:
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                if str(descriptor.readlink()).startswith(f"/memfd:{_NAME} "):
                    return msgspec.convert(json.loads(descriptor.read_bytes()), Config)
    except OSError as error:
        raise CannotRun(f"cannot look at process {process}: {error.strerror}; its user and root can") from error
    except ValueError as error:  # ValidationError is one, too
        raise CannotRun(f"process {process} runs another version of httpmini, with other settings") from error
    raise CannotRun(f"process {process} does not show its settings")


def with_flags_of(running: Config, file: Config) -> Config:
    """The settings of a file, with those on top that ``running`` has from its command line: a reload keeps them."""
    sections = {}
    for section in SECTIONS:
        said = getattr(running, section)
        kept = {
            name: getattr(said, name)
            for name in said.__struct_fields__
            if running.origins[f"{section}.{name}"].startswith(("-", "ROOT"))
        }
        sections[section] = msgspec.structs.replace(getattr(file, section), **kept)
    return msgspec.structs.replace(file, **sections)
