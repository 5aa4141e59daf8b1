"""The server that lint starts itself: in a process group of its own, limited, and ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from httpmini.errors import CannotRun, UsageError, visible

_START_S = 30.0
_MOST_MEMORY = 64 << 30  # of address space, of which runtimes such as Go's reserve much
_MOST_FILE_BYTES = 1 << 30
_MOST_CPU_S = 120


class Spawned:
    """A server in a process group of its own.

    Args:
        command: how to start it; ``{port}`` and ``{root}`` are replaced. It must stay in the foreground.
        root: the folder that it is to serve.
    """

    def __init__(self, command: str, root: Path) -> None:
        if "{port}" not in command:
            raise UsageError("--spawn: the command needs {port} where the server gets its port; {root} is the folder")
        self._command = command
        self.root = root
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (as long as this object)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it takes connections.

        Raises:
            CannotRun: it cannot be started, ends at once, or does not listen.
        """
        words = shlex.split(
            self._command.replace("{port}", str(self.port)).replace("{root}", shlex.quote(str(self.root)))
        )
        try:
            self._process = subprocess.Popen(  # noqa: S603  (what the user asks for)
                words,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                process_group=0,
            )
            _limit(self._process.pid)
        except OSError as error:
            raise CannotRun(f"{words[0]}: cannot be started: {error.strerror}") from error
        until = time.monotonic() + _START_S
        while not self._listens():
            if self._process.poll() is not None:
                raise CannotRun(f"{words[0]} has ended with status {self._process.returncode}{self.last_words()}")
            if time.monotonic() > until:
                self.end()
                raise CannotRun(
                    f"{words[0]} does not listen at port {self.port} after {_START_S:g} s{self.last_words()}"
                )
            time.sleep(0.02)

    def _listens(self) -> bool:
        """Whether the port is in LISTEN; no connection is made, for an iterative server would serve it."""
        wanted = f"{self.port:04X}"
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with contextlib.suppress(OSError), open(table) as lines:
                if any(row[1].endswith(f":{wanted}") and row[3] == "0A" for row in map(str.split, lines)):
                    return True
        return False

    def last_words(self) -> str:
        """Return the end of what the server has printed, as a part of a message."""
        self._output.seek(max(0, self._output.seek(0, os.SEEK_END) - 500))
        said = self._output.read().decode("utf-8", "replace").strip()
        return f": {visible(said.splitlines()[-1])}" if said else ""

    @property
    def pid(self) -> int:
        """The number of the first process, which is that of its group."""
        if self._process is None:
            raise CannotRun("the server has not been started")
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the first process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for the first process; return whether it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def start_elsewhere(self) -> int:
        """End the server and start it at another port, which is returned: one that no earlier client keeps busy."""
        self.end()
        self.port = _free_port()
        self.start()
        return self.port

    def restart(self, seconds: float) -> bool:
        """Stop the server by SIGTERM, start it again on the same port; return whether it ended by itself."""
        self.signal(signal.SIGTERM)
        gentle = self.wait(seconds)
        self.end()
        self.start()
        return gentle

    def end(self) -> None:
        """End the process and all of its group."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the server for good."""
        self.end()
        self._output.close()

    def processes(self) -> list[Process]:
        """Return the processes of the group, zombies included."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (process := _read_process(int(entry.name))) and process.group == self.pid:
                found.append(process)
        return found

    def descriptors(self) -> int:
        """Return the number of open descriptors of the first process."""
        try:
            return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())
        except OSError:
            return 0


class Process:
    """A row of the process table: its number, group, and whether it is a zombie."""

    def __init__(self, pid: int, group: int, is_zombie: bool) -> None:
        self.pid = pid
        self.group = group
        self.is_zombie = is_zombie


def _read_process(pid: int) -> Process | None:
    try:
        row = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return Process(pid, int(row[2]), row[0] == "Z")


def _limit(pid: int) -> None:
    """Keep a server that runs away from taking the machine with it."""
    if not hasattr(resource, "prlimit"):  # Linux only
        return
    for what, most in (
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_FSIZE, _MOST_FILE_BYTES),
        (resource.RLIMIT_CPU, _MOST_CPU_S),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ProcessLookupError, ValueError, PermissionError):  # gone, or limited further already
            resource.prlimit(pid, what, (most, most))


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
