"""The server as a process: starting it, waiting for lines of its log, checking that it ends cleanly."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.support.fork_server import HTTPMINI, INTERPRETER, PIPE_BYTES, ForkedProcess, ForkServer

WAIT_S = 60.0  # ends a test that hangs; no test measures with it


class ServerProcess:
    """A running ``httpmini serve``. Warnings are errors in it; a thread reads its log as it is written.

    It comes from the fork server, unless there is a wrapper or a program that is given as text.

    Args:
        arguments: of ``httpmini serve``, or of the program.
        wrapper: a command to run it with, such as ``("prlimit", "--nofile=80:80")``.
        program: arguments of Python to run instead of ``-m httpmini serve``.

    Attributes:
        expected_status: the exit status that ``assert_clean_end`` expects.
        lines: its standard output so far.
        errors: its standard error, once it has ended.
        banner: its first line.
        urls: the addresses in the banner.
    """

    def __init__(self, arguments: Sequence[str], wrapper: Sequence[str] = (), program: Sequence[str] = ()) -> None:
        self.process: subprocess.Popen[bytes] | ForkedProcess
        if not program:
            program, arguments = HTTPMINI, ["serve", *arguments]
        if wrapper or not _can_be_forked(program):
            self.process = _run([*wrapper, *INTERPRETER, *program, *arguments])
        else:
            self.process = fork_server().start(arguments, program)
        self.expected_status = 0
        self.lines: list[str] = []
        self.errors = ""
        self._news = threading.Condition()
        self._ended = False
        self._deaf = False
        self._readers = [threading.Thread(target=self._read_lines), threading.Thread(target=self._read_errors)]
        for reader in self._readers:
            reader.start()
        self.banner: str = self.wait_for_line(r"^httpmini serving |^\S+ serving ")
        self.urls = re.findall(r"https?://[^ ,]+/", self.banner)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        return str(self.urls[0])

    @property
    def port(self) -> int:
        match = re.search(r" at \S*?:(\d+)/?[ ,]", self.banner)
        assert match is not None, self.banner
        return int(match[1])

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if self._deaf:
                break
            with self._news:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()
        if self._deaf:
            self.process.stdout.close()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = self.process.stderr.read().decode("utf-8", "replace")

    def wait_for_line(self, pattern: str, count: int = 1) -> str:
        """Wait for the ``count``-th line that matches ``pattern`` and return it."""
        expression = re.compile(pattern)
        found: list[str] = []
        looked_at = 0  # each line once: a busy server writes faster than all can be searched again and again

        def enough() -> bool:
            nonlocal looked_at
            found.extend(line for line in self.lines[looked_at:] if expression.search(line))
            looked_at = len(self.lines)
            return len(found) >= count

        with self._news:
            self._news.wait_for(lambda: enough() or self._ended, WAIT_S)
            if len(found) < count:
                log = "\n".join(self.lines)
                raise AssertionError(f"no line {pattern!r} (x{count}) in:\n{log}\n{self.errors}")
            return found[count - 1]

    def stop_reading(self) -> None:
        """Close our end of its standard output after one more line."""
        self._deaf = True

    def access_lines(self) -> list[str]:
        return [line for line in self.lines if re.match(r"^\S+ - ", line)]

    def wait(self) -> int:
        """Wait for the process and its readers to end; return the exit status.

        Raises:
            AssertionError: it has not ended within WAIT_S; says where it was.
        """
        try:
            status = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGABRT)  # -X dev: then it writes the stack of each thread to standard error
            self.process.wait(WAIT_S)
            self._readers[-1].join(WAIT_S)
            log = "\n".join(self.lines[-20:])
            raise AssertionError(f"it has not ended after:\n{log}\nIt was at:\n{self.errors}") from None
        for reader in self._readers:
            reader.join(WAIT_S)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal that ends it; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """Kill it and its children, if it still runs: the cleanup of a test that has failed."""
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        if not self.process.stdout or not self.process.stdout.closed:
            self.wait()

    def assert_clean_end(self) -> None:
        """Stop it; check the exit status, that standard error is empty, and that no process of its session is left."""
        status = self.stop()
        left = [pid for pid in processes_of_session(self.pid) if pid != self.pid]
        assert self.errors == "", self.errors
        assert status == self.expected_status, (status, self.lines)
        assert left == []

    def children(self) -> list[int]:
        """Return the numbers of its child processes, zombies included."""
        return [int(pid) for pid, fields in _stat_fields().items() if fields[1] == str(self.pid)]

    def states_of_children(self) -> list[str]:
        return [fields[0] for fields in _stat_fields().values() if fields[1] == str(self.pid)]

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def memory_kib(self) -> int:
        match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert match is not None
        return int(match[1])


def _can_be_forked(program: Sequence[str]) -> bool:
    """Whether ``program`` is a module or a script, not a text that Python is given with ``-c``."""
    return program[0] == "-m" or len(program) == 1


def _run(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pipesize=PIPE_BYTES,
    )


def run_command(*arguments: str) -> tuple[int, bytes, bytes]:
    """Run ``httpmini`` with nothing to read; return its exit status and what it has written to its two outputs."""
    process = fork_server().start(arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr, ThreadPoolExecutor(1) as reader:
        errors = reader.submit(process.stderr.read)
        output = process.stdout.read()
        try:
            return process.wait(WAIT_S), output, errors.result(WAIT_S)
        finally:
            process.kill()


@cache
def fork_server() -> ForkServer:
    """Return the fork server of this process. The first call starts it."""
    return ForkServer()


def _stat_fields() -> dict[str, tuple[str, str, str]]:
    """Return state, parent and session of every process, by its number."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:  # the process has just ended
                continue
            table[entry] = (fields[0], fields[1], fields[3])
    return table


def processes_of_session(session: int) -> list[int]:
    """Return the numbers of the processes in a session."""
    return [int(pid) for pid, fields in _stat_fields().items() if fields[2] == str(session)]


def open_files(pid: int) -> list[str]:
    """Return what the descriptors of a process refer to: paths, and names such as ``socket:[123]``.

    A descriptor that is closed while this looks is left out, and a process that has ended has none.
    """
    links = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                links.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return links


def ports_listened_on(pid: int) -> set[int]:
    """Return the IPv4 ports that a process holds a listening socket for."""
    own = set(open_files(pid))
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}


def eventually(condition: Callable[[], bool], what: str, every_s: float = 0.01) -> None:
    """Wait until ``condition`` holds: for states that send no event, such as the kernel's process table.

    Args:
        condition: what is waited for.
        what: the same in words, for the error.
        every_s: how often to look.

    Raises:
        AssertionError: it has not held within WAIT_S.
    """
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, f"never came true: {what}"
        threading.Event().wait(every_s)
