"""From listening sockets to the end of the process: signals, one mode, drain, stop."""

from __future__ import annotations

import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from httpmini.errors import CannotRun
from httpmini.server.admission import Admission
from httpmini.server.assignment import Assignment
from httpmini.server.connection import Service
from httpmini.server.control import Control
from httpmini.server.modes import MODES

# A person who has pressed Ctrl-C and sees nothing happen for this long is told why.
PATIENCE_S = 1.0
# Descriptors beside those of the clients: listeners, logs, pipes, refusals.
_DESCRIPTORS_BESIDE = 64


def run(
    mode: str,
    listeners: Sequence[socket.socket],
    service: Service,
    admission: Admission,
    *,
    workers: int = 1,
    drain_s: float,
    log: Callable[[str], None],
    ready: Callable[[], None],
) -> None:
    """Serve until SIGINT or SIGTERM, then drain. The listeners are closed on return.

    Runs in the main thread, as the last thing that the process does: both signals are ignored from then on.

    Args:
        mode: a name in ``MODES``.
        listeners: listening sockets that do not block.
        service: what is spoken.
        admission: the slots.
        workers: how many processes serve, in prefork mode.
        drain_s: seconds that answers on their way get to finish.
        log: takes lines about the server itself.
        ready: called once clients can connect and signals are understood.

    Raises:
        CannotRun: max_clients needs more descriptors than this process may have.
    """
    control = Control(drain_s)
    try:
        _allow_descriptors(admission.max_clients, MODES[mode].descriptors_per_client)
        with _signals_to(control, explain=lambda: _explain_drain(admission, drain_s, log)):
            server = MODES[mode](Assignment(listeners, service, admission, control, log, workers))
            ready()
            server.serve()
            for listener in listeners:  # who connects from now on is told so by the kernel
                listener.close()
            server.finish()
    finally:
        for listener in listeners:
            listener.close()
        control.close()


def _explain_drain(admission: Admission, drain_s: float, log: Callable[[str], None]) -> None:
    if admission.active:
        log(f"stopping: {admission.active} still being served, for {drain_s:g} s at most; a second signal ends it now")


@contextmanager
def _signals_to(control: Control, explain: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM ask ``control`` to drain; when that takes a while, ``explain`` is called.

    Afterwards they are ignored: a third Ctrl-C must not turn a clean end into a broken one while Python shuts down.
    """

    def ask_to_drain(_number: int, _frame: object) -> None:
        control.drain(time.monotonic())
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        signal.signal(number, ask_to_drain)
    signal.signal(signal.SIGALRM, lambda _number, _frame: explain())  # an alarm needs no thread, which a fork forbids
    # Without this, a signal between the last look at `draining` and the poll would be slept through.
    wakeup_before = signal.set_wakeup_fd(control.wake_fd, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(wakeup_before)
        for number in (*numbers, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)


def _allow_descriptors(max_clients: int, per_client: int) -> None:
    """Raise the soft limit on open descriptors to what ``max_clients`` may need."""
    needed = max_clients * per_client + _DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise CannotRun(
                f"max_clients = {max_clients} may need {needed} descriptors, but this process may have {hard}; "
                f"lower it to {max(1, (hard - _DESCRIPTORS_BESIDE) // per_client)}, "
                "or raise the limit (ulimit -n)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
