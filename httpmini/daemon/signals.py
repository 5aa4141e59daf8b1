"""The signals of the main process: handled while it serves, ignored at its end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from httpmini.server.core.processes import LEAVE, REOPEN, REPORT

# Who starts a server may have it ignore these: nohup(1) SIGHUP, a shell SIGINT and SIGQUIT for a job in the background.
_MAY_BE_IGNORED = frozenset(
    (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
)

Handler = Callable[[int, object], None]


@contextmanager
def handled(handlers: Mapping[signal.Signals, Handler], wake_fd: int) -> Iterator[None]:
    """Handle signals; afterwards ignore them: a third Ctrl-C must not turn a clean end into a broken one.

    What was ignored before stays ignored. What was blocked is not: the mask is inherited, often by accident, and nobody
    else would ever unblock it.

    Args:
        handlers: what to call, by signal.
        wake_fd: where every signal writes a byte. Without this, one between the last look at what was asked for and the
            poll would be slept through.
    """
    ours = {
        number: handler
        for number, handler in handlers.items()
        if number not in _MAY_BE_IGNORED or signal.getsignal(number) is not signal.SIG_IGN
    }
    for number, handler in ours.items():
        signal.signal(number, handler)
    # Having a handler makes the end of a child write into the wake-up pipe.
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    for private in (REPORT, REOPEN, LEAVE):  # children inherit this until they are ready to act on them
        if private not in handlers:
            signal.signal(private, signal.SIG_IGN)
    wake_fd_before = signal.set_wakeup_fd(wake_fd, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(wake_fd_before)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in ours:
            signal.signal(number, signal.SIG_IGN)
