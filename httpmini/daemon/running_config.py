"""The settings that a server is running with, readable for ``httpmini config diff FILE``.

The server keeps them in an anonymous file in memory. The file can be reached only through /proc, where the kernel shows
it to the same user and to root. So reading them takes no request to the server, and no socket exposes them.
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
    """The settings that this process exposes; none where the system has no anonymous files (memfd_create(2))."""

    def __init__(self) -> None:
        self._fd: int | None = None
        if hasattr(os, "memfd_create"):
            with contextlib.suppress(OSError):  # a system call filter may forbid it
                self._fd = os.memfd_create(_NAME)

    def show(self, config: Config) -> None:
        """Expose ``config`` as the running settings."""
        if self._fd is not None:
            try:
                text = msgspec.json.encode(config)
            except UnicodeEncodeError:  # a name that is not UTF-8 (PEP 383); only then is the import needed
                import json

                text = json.dumps(msgspec.to_builtins(config)).encode()
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def close(self) -> None:
        """Stop exposing the settings."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_settings(process: int) -> Config:
    """Return the settings that the server ``process`` is running with.

    Raises:
        CannotRun: this user may not look at the process, or it exposes no settings that this version understands.
    """
    import json

    try:
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in the meantime
                if str(descriptor.readlink()).startswith(f"/memfd:{_NAME} "):
                    return msgspec.convert(json.loads(descriptor.read_bytes()), Config)
    except OSError as error:
        raise CannotRun(f"cannot look at process {process}: {error.strerror}; only its user and root can") from error
    except ValueError as error:  # ValidationError is one, too
        raise CannotRun(f"process {process} runs another version of httpmini, with other settings") from error
    raise CannotRun(f"process {process} does not expose its settings")


def with_flags_of(running: Config, file: Config) -> Config:
    """Return the settings of a file, overridden by the command line of ``running``, as after a reload."""
    sections = {}
    for section in SECTIONS:
        said = getattr(running, section)
        kept = {
            name: getattr(said, name)
            for name in said.__struct_fields__
            if running.origins[f"{section}.{name}"].startswith(("-", "PATH"))
        }
        sections[section] = msgspec.structs.replace(getattr(file, section), **kept)
    return msgspec.structs.replace(file, **sections)
