"""From listening sockets to the end of the process: signals, one mode after another, drain, stop.

Signals only leave word; what they ask for is done when the running mode has returned from ``serve``:

| SIGINT, SIGTERM | drain and stop; a second one: now |
| SIGQUIT         | stop now                          |
| SIGHUP          | other settings                    |
| SIGUSR1         | open the logs anew                |
| SIGUSR2         | say where every client is         |
"""

from __future__ import annotations

import resource
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import msgspec

from httpmini.daemon.systemd import ServiceManager
from httpmini.errors import CannotRun, HttpminiError
from httpmini.server.core.connection import Service
from httpmini.server.core.context import Context
from httpmini.server.core.counters import Counters
from httpmini.server.core.processes import ChildProcesses
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.core.shutdown import Shutdown, WakeUpPipe
from httpmini.server.core.status_listener import StatusListener
from httpmini.server.core.transfer import Client
from httpmini.server.limits.admission import Admission
from httpmini.server.listeners.activation import InheritedListener
from httpmini.server.logs.error import Level, Log, describe
from httpmini.server.modes import MODES, Mode

# A person who has pressed Ctrl-C and sees nothing happen for this long is told why.
PATIENCE_S = 1.0
# Descriptors beside those of the clients: listeners, logs, pipes, refusals.
_DESCRIPTORS_BESIDE = 64


class Plan(msgspec.Struct, frozen=True):
    """How to serve, until a reload says otherwise.

    Attributes:
        mode: a name in ``MODES``.
        listeners: listening sockets that do not block.
        side_listeners: the same, for those who look after the server.
        drain_s: seconds that answers on their way get to finish.
        workers: how many processes serve, in prefork mode.
        title: what is served, in a few words.
        news: what changes by it, in a few words.
        enter: makes the settings those of this plan, and returns what takes that back.
        leave: gives back what only this plan needed; its listeners that others do not have are closed already.
    """

    mode: str
    listeners: Sequence[socket.socket]
    drain_s: float
    workers: int = 1
    side_listeners: Sequence[socket.socket] = ()
    title: str = ""
    news: str = ""
    enter: Callable[[], Callable[[], None]] = lambda: lambda: None
    leave: Callable[[], None] = lambda: None

    @property
    def all_listeners(self) -> list[socket.socket]:
        """Those for everybody, and the others."""
        return [*self.listeners, *self.side_listeners]


class _Running(msgspec.Struct, eq=False):
    """A mode that serves, or has retired and is not done."""

    mode: Mode
    shutdown: Shutdown


class Lifecycle:
    """The life of a server. Runs in the main thread, as the last thing that the process does.

    Args:
        service: what is spoken.
        admission: the slots.
        log: takes lines about the server itself.
        reload: the plan of the present settings, for SIGHUP; nothing has changed when it raises an error. None where
            there is no file to read again: then SIGHUP stops the server.
        reopen: opens the logs anew.
        board: what all processes can see of each other.
        side_service: what is spoken with those who look after the server.
        manager: who started us, and wants to hear of us.
    """

    def __init__(
        self,
        service: Service,
        admission: Admission,
        log: Log,
        reload: Callable[[], Plan] | None = None,
        reopen: Callable[[], None] = lambda: None,
        board: Scoreboard | None = None,
        side_service: Service | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        self._service = service
        self._admission = admission
        self._log = log
        self._read_again = reload
        self._reopen = reopen
        self._bell = WakeUpPipe()
        self._children = ChildProcesses(
            lambda: [client for running in self._serving for client in running.mode.clients],
        )
        self._board = board or Scoreboard(Counters())
        self._board.watch(self._clients)
        self._manager = manager or ServiceManager({})
        self._reactor = Reactor(log, self._tick, self._board.counters)
        self._reactor.longest_wait_s = self._manager.watchdog_s
        self._status_listener = StatusListener(side_service or service, self._reactor, log)
        self._serving: list[_Running] = []  # the last one serves, the others have retired and are not done
        self._calls: deque[Callable[[], None]] = deque()
        self._stops = 0  # how often that was asked for

    def run(self, plan: Plan, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM, then drain. The listeners are closed on return, and all signals are ignored.

        Args:
            plan: how to begin.
            ready: called once clients can connect and signals are understood.

        Raises:
            CannotRun: max_clients needs more descriptors than this process may have, or a worker cannot begin.
        """
        self._plan = plan
        self._reactor.watch(self._bell, self._hear)
        try:
            with self._signals():
                self._begin(plan)
                ready()
                self._manager.ready(plan.title)
                self._serve()
                self._finish()
        finally:
            self._status_listener.close()
            for listener in self._plan.all_listeners:
                listener.close()
            self._reactor.close()
            self._bell.close()
            self._manager.close()

    def _tick(self) -> None:
        self._service.tick()
        self._board.publish()
        self._manager.look()

    def _clients(self) -> list[Client]:
        """All that this process serves."""
        theirs = [client for running in self._serving for client in running.mode.clients]
        return [*theirs, *self._reactor.clients]

    def _begin(self, plan: Plan) -> None:
        """Begin the plan's mode; from then on it is the one that serves."""
        _allow_descriptors(self._admission.max_clients, MODES[plan.mode].descriptors_per_client)
        shutdown = Shutdown(self._bell, plan.drain_s)
        try:
            mode = MODES[plan.mode](
                Context(
                    plan.listeners,
                    self._service,
                    self._admission,
                    shutdown,
                    self._reactor,
                    self._children,
                    self._log,
                    self._board,
                    plan.workers,
                )
            )
        except BaseException:
            shutdown.close()
            raise
        self._serving.append(_Running(mode, shutdown))
        self._status_listener.open(plan.side_listeners)
        for _ in range(self._stops):  # a signal came meanwhile
            shutdown.drain(time.monotonic())

    def _serve(self) -> None:
        """One mode after another, until a signal says stop; also then those who stand at the door are let in."""
        while True:
            self._serving[-1].mode.serve()
            if self._stops:
                return
            self._attend_to_calls()

    def _finish(self) -> None:
        """Bring the clients that are left to their end."""
        self._status_listener.open(())
        for listener in self._plan.all_listeners:  # who connects from now on is told so by the kernel
            _close(listener)
        self._reactor.finish(lambda: self._serving[-1].shutdown.deadline)
        for running in self._serving:
            running.mode.finish()
            running.shutdown.close()

    def _hear(self) -> None:
        self._bell.clear()
        self._children.reap()
        if not self._stops:
            self._forget_those_done()

    def _attend_to_calls(self) -> None:
        """Do what signals have asked for."""
        self._bell.interrupted = False
        while self._calls and not self._stops:
            self._calls.popleft()()

    def _call(self, what: Callable[[], None]) -> None:
        """Have ``what`` done soon, once; from a signal handler."""
        if what not in self._calls:
            self._calls.append(what)
        self._bell.interrupted = True

    def _reload(self) -> None:
        """The present settings, if they are right; else everything goes on as it is."""
        if self._read_again is None:
            self._drain()
            return
        self._manager.reloading()
        try:
            plan = self._read_again()
        except Exception as error:
            self._refuse_reload(error)
            return
        take_back = plan.enter()
        try:
            self._begin(plan)
        except Exception as error:
            take_back()
            self._leave(plan, self._plan)
            self._refuse_reload(error)
            return
        self._serving[-2].mode.retire()
        self._leave(self._plan, plan)
        self._plan = plan
        self._log(f"reloaded: {plan.news}")
        self._board.counters.reloads += 1
        self._board.publish()
        self._manager.ready(plan.title)
        self._forget_those_done()

    def _refuse_reload(self, error: Exception) -> None:
        said = str(error) if isinstance(error, HttpminiError) else f"fault: {describe(error)}"
        for line in said.splitlines():
            self._log(f"not reloaded: {line}", Level.ERROR)
        self._board.counters.failed_reloads += 1
        self._board.publish()
        self._manager.ready(self._plan.title)

    def _leave(self, old: Plan, new: Plan) -> None:
        for listener in old.all_listeners:
            if listener not in new.all_listeners:
                _close(listener)
        old.leave()

    def _forget_those_done(self) -> None:
        for running in [running for running in self._serving[:-1] if running.mode.is_done]:
            running.mode.finish()
            running.shutdown.close()
            self._serving.remove(running)

    def _drain(self) -> None:
        """Stop; asked again: now."""
        if not self._stops:
            self._manager.stopping()
        self._stops += 1
        for running in self._serving:
            running.shutdown.drain(time.monotonic())

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Hear signals. Afterwards they are ignored: a third Ctrl-C must not turn a clean end into a broken one."""

        def stop(_number: int, _frame: object) -> None:
            self._drain()
            signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

        def quit_now(_number: int, _frame: object) -> None:
            self._drain()
            self._drain()

        handlers = {
            signal.SIGINT: stop,
            signal.SIGTERM: stop,
            signal.SIGQUIT: quit_now,
            signal.SIGHUP: lambda _number, _frame: self._call(self._reload),
            signal.SIGUSR1: lambda _number, _frame: self._call(self._reopen),
            signal.SIGUSR2: lambda _number, _frame: self._call(self._report),
            signal.SIGALRM: lambda _number, _frame: self._explain_drain(),  # needs no thread, which a fork forbids
            # That there is a handler makes the end of a child write into the bell.
            signal.SIGCHLD: lambda _number, _frame: None,
        }
        for number, handler in handlers.items():
            signal.signal(number, handler)
        # Without this, a signal between the last look at ``serving`` and the poll would be slept through.
        wakeup_before = signal.set_wakeup_fd(self._bell.wake_fd, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.set_wakeup_fd(wakeup_before)
            for number in handlers:
                signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)

    def _explain_drain(self) -> None:
        if self._admission.active:
            self._log(
                f"stopping: {self._admission.active} still being served, for {self._plan.drain_s:g} s at most; "
                "a second signal ends it now"
            )

    def _report(self) -> None:
        """One line for each client; children write their own."""
        now = time.monotonic()
        for client in self._clients():
            self._log(client.describe(now))
        self._children.ask_for_reports()


def _close(listener: socket.socket) -> None:
    """End it also for children who have a copy; but not for whoever has opened it for us."""
    if not isinstance(listener, InheritedListener):
        with suppress(OSError):  # where shutdown is for connections only
            listener.shutdown(socket.SHUT_RDWR)
    listener.close()


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
