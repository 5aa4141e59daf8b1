"""A process that has imported httpmini and forks servers on request.

The suite starts more than a thousand servers, and to start Python and import everything takes ten times as long as a
fork. A forked server runs ``httpmini.__main__`` as ``python -m httpmini`` does, or another program, in a session of its
own. The test holds a ``ForkedProcess``, which has the methods of ``subprocess.Popen`` that tests use.

Of ``-X dev``, a forked server lacks the allocator that finds memory faults of code in C. There is no such code here,
and tests of servers need a quarter less processor time without it.

Run as a program, this module is the fork server; its argument is the descriptor of its socket.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from select import select
from typing import IO, NoReturn

INTERPRETER = (sys.executable, "-X", "dev", "-W", "error")
HTTPMINI = ("-m", "httpmini")
_LONGEST_REQUEST = 200_000
PIPE_BYTES = 1 << 20  # the log of a server that a busy test does not read at once: 64 KiB would be full, and lines lost


class ForkedProcess:
    """A server whose parent reports its end through a pipe.

    Attributes:
        pid: its process number.
        returncode: its exit status, negative for a signal; None until ``poll`` or ``wait`` has seen its end.
    """

    def __init__(self, stdout: int, stderr: int, report: int) -> None:
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb")
        self.stderr: IO[bytes] | None = os.fdopen(stderr, "rb")
        self.returncode: int | None = None
        self._report = os.fdopen(report, "rb", buffering=0)
        self.pid = self._read_number()

    def _read_number(self) -> int:
        text = self._report.read(16)
        assert text, "the fork server has ended"
        return int(text)

    def poll(self) -> int | None:
        """Return the exit status if the process has ended, else None."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit status.

        Raises:
            subprocess.TimeoutExpired: the process has not ended within ``timeout`` seconds.
        """
        if self.returncode is None:
            if not select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("httpmini", timeout or 0.0)
            self.returncode = self._read_number()
            self._report.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process at once."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The fork server, seen from the tests."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST_REQUEST)
        with other:
            self._process = subprocess.Popen(
                [*INTERPRETER, "-m", "tests.support.fork_server", str(other.fileno())],
                pass_fds=[other.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONMALLOC": "pymalloc"},
            )

    def start(self, arguments: Sequence[str], program: Sequence[str] = HTTPMINI) -> ForkedProcess:
        """Start a program with ``arguments``, in the environment and with the limits of this process.

        Args:
            arguments: of the program.
            program: ``("-m", MODULE)`` or ``(PATH,)``, of a program that begins with the imports of httpmini.
        """
        request = {
            "program": list(program),
            "arguments": list(arguments),
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        pipes = [os.pipe() for _ in range(3)]
        with suppress(PermissionError, AttributeError):  # a user may have few pages in pipes; only Linux can set it
            fcntl.fcntl(pipes[0][0], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        socket.send_fds(self._socket, [json.dumps(request).encode()], [write_end for _, write_end in pipes])
        for _, write_end in pipes:
            os.close(write_end)
        return ForkedProcess(*(read_end for read_end, _ in pipes))

    def close(self) -> None:
        """End the fork server; servers that it has started go on."""
        self._socket.close()
        self._process.wait()


# The process.


def _serve(requests: socket.socket) -> tuple[list[str], list[str]]:
    """Fork for each request. Return only in a forked server: its program and arguments."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the parents of servers
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 3)
        if not message:
            requests.close()
            sys.exit()
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _in_parent(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _in_parent(request: dict[str, object], stdout: int, stderr: int, report: int) -> tuple[list[str], list[str]]:
    """Fork the server and report its number and its end. Return only in the server."""
    process = os.fork()
    if process:
        os.close(stdout)
        os.close(stderr)
        _report_end(process, report)
    os.close(report)
    return _become_server(request, stdout, stderr)


def _report_end(process: int, report: int) -> NoReturn:
    os.write(report, b"%16d" % process)
    _, status = os.waitpid(process, 0)
    os.write(report, b"%16d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become_server(request: dict[str, object], stdout: int, stderr: int) -> tuple[list[str], list[str]]:
    program, arguments = request["program"], request["arguments"]
    environment, descriptors = request["environment"], request["descriptors"]
    assert isinstance(program, list)
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    assert isinstance(descriptors, list)
    os.setsid()
    for number in (
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
    ):  # a server keeps what is ignored, as in a background job
        signal.signal(number, signal.SIG_DFL)
    for ours, standard in ((stdout, 1), (stderr, 2)):
        os.dup2(ours, standard)
        os.close(ours)
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(descriptors))
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(environment)
    return program, arguments


def _run(program: list[str], arguments: list[str]) -> None:
    """Run a program as Python would: with its arguments, and a script also with its folder to import from."""
    sys.argv[1:] = arguments
    if program[0] == "-m":
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, os.path.dirname(program[0]))
        runpy.run_path(program[0], run_name="__main__")


def _run_to_end(program: list[str], arguments: list[str]) -> NoReturn:
    """Run a program and end with its status, as Python would, except that modules are not torn down.

    Tearing them down writes to all their memory, which the kernel then has to copy: a third of the cost of starting and
    stopping a server. Objects in reference cycles are still freed, and can still warn. Objects held by modules are
    covered by servers that are started without the fork server, such as all that have a wrapper.
    """
    try:
        _run(program, arguments)
        status = 0
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        status = end.code
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, and for the pools that hold some
    atexit._run_exitfuncs()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    os._exit(status)


def _load() -> None:
    """Import and compile everything that a server does before it listens, so that none does it again."""
    import httpmini.cli.client
    import httpmini.cli.config
    import httpmini.cli.main
    import httpmini.cli.serve
    import httpmini.client.command.arguments
    import httpmini.client.command.get
    import httpmini.client.command.mirror
    import httpmini.daemon.chroot
    import httpmini.daemon.late_imports
    import httpmini.daemon.name_services
    import httpmini.daemon.server

    httpmini.daemon.late_imports.load_late_imports()
    gc.collect()
    gc.freeze()  # else the first collection in each server copies all of it


if __name__ == "__main__":
    _load()
    _run_to_end(*_serve(socket.socket(fileno=int(sys.argv[1]))))
