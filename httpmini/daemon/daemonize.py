"""``--daemon``: the server goes on in a child process, and the parent waits until the child says that it serves.

Anything that can go wrong at the start goes wrong before that, with its message on the terminal and its exit status, so
start scripts and operators notice it. The parent prints the messages of the child: a child that kept the descriptors of
the terminal would keep a program that reads the command's output waiting for its end.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from httpmini.daemon.late_imports import load_late_imports

_READY = b"\0"  # ends the error messages; one line for standard output follows


def detach(nothing: int) -> Callable[[str], None]:
    """Go on in a child process, in its own session and in the root folder. The parent does not return.

    While the parent waits, it relays standard error; after that, standard error is /dev/null.

    Args:
        nothing: a descriptor of /dev/null, which is closed.

    Returns:
        A function to call with one line as soon as the server serves. The parent then prints the line and exits with
        status 0. If this process ends before, the parent exits with its status.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    relay_read, relay_write = os.pipe()
    child = os.fork()
    if child:
        os.close(relay_write)
        os._exit(_relay(child, relay_read))
    os.close(relay_read)
    os.setsid()
    if not Path(__file__).is_absolute():  # started from an archive with a relative path, which will lead nowhere
        load_late_imports()
    os.chdir("/")  # so that the file system it was started in can be unmounted
    _leave_terminal(nothing)
    errors, sys.stderr = sys.stderr, os.fdopen(relay_write, "w", buffering=1, errors="backslashreplace")

    def ready(line: str) -> None:
        sys.stderr.write(f"{_READY.decode()}{line}\n")
        sys.stderr.close()
        sys.stderr = errors

    return ready


def _leave_terminal(nothing: int) -> None:
    """Replace the standard descriptors with /dev/null, except for output that was redirected to a file."""
    for number in range(3):
        if number == 0 or not stat.S_ISREG(os.fstat(number).st_mode):
            os.dup2(nothing, number)
    if nothing > 2:
        os.close(nothing)


def _relay(child: int, relay_read: int) -> int:
    """Relay the messages of the child, and return the exit status for the parent.

    Signals that would end the parent go to the child: they are meant for the server.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    said = b""
    while not (_READY in said and said.endswith(b"\n")) and (data := os.read(relay_read, 4096)):
        said += data
    errors, is_ready, line = said.partition(_READY)
    os.write(2, errors)
    os.write(1, line)
    if is_ready:
        return 0
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status
