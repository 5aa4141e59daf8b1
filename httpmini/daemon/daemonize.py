"""Away from the terminal: the server goes on in a child, and the parent waits to hear whether it has begun.

Everything that can go wrong at the start goes wrong before that word, with its message on the terminal and its exit
status; so the start scripts of a system, and people, learn of it. It is the parent who says it: a child, or a child of
that, which kept the terminal's descriptors would keep whoever reads what the command prints waiting.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable

_READY = b"\0"  # what comes before it is about errors, and after it is one line for standard output


def detach(nothing: int) -> Callable[[str], None]:
    """Go on in a child process, in a session of its own and in the root folder; the parent does not return.

    Standard error is the parent's as long as that waits, then it is nothing.

    Args:
        nothing: a descriptor of /dev/null, which is closed.

    Returns:
        What to call with one line when the server serves: then the parent prints it, and exits with 0. If this process
        ends before, the parent exits with its status.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    hear, say = os.pipe()
    child = os.fork()
    if child:
        os.close(say)
        os._exit(_relay(child, hear))
    os.close(hear)
    os.setsid()
    os.chdir("/")  # what is mounted where it began can be unmounted
    _leave_terminal(nothing)
    errors, sys.stderr = sys.stderr, os.fdopen(say, "w", buffering=1, errors="backslashreplace")

    def ready(said: str) -> None:
        sys.stderr.write(f"{_READY.decode()}{said}\n")
        sys.stderr.close()
        sys.stderr = errors

    return ready


def _leave_terminal(nothing: int) -> None:
    """Nothing is read from it, and nothing written; a file that standard output was sent to stays."""
    for number in range(3):
        if number == 0 or not stat.S_ISREG(os.fstat(number).st_mode):
            os.dup2(nothing, number)
    if nothing > 2:
        os.close(nothing)


def _relay(child: int, hear: int) -> int:
    """Pass on what the child has to say; the exit status of the parent. Who interrupts it means the server."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    said = b""
    while not (_READY in said and said.endswith(b"\n")) and (data := os.read(hear, 4096)):
        said += data
    errors, is_ready, line = said.partition(_READY)
    os.write(2, errors)
    os.write(1, line)
    if is_ready:
        return 0
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status
