"""From listening sockets to the end of the process: signals, one mode after another, drain, stop.

Signal handlers only note what was asked for; it is done when the running mode has returned from ``serve``. All of it
is for this process: children block these signals, which may have been sent to them too.

| SIGINT, SIGTERM | drain and stop; a second one: now         |
| SIGQUIT         | stop now                                  |
| SIGHUP          | reload the settings                       |
| SIGUSR1         | reopen the logs                           |
| SIGUSR2         | write to the log where every client is    |
"""

from __future__ import annotations

import resource
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Generic

import msgspec

from httpmini.daemon.plan import P, Plan, Renewal, Source
from httpmini.daemon.signals import handled
from httpmini.daemon.systemd import ServiceManager
from httpmini.errors import CannotRun, HttpminiError
from httpmini.server.core.connection import Service
from httpmini.server.core.context import Context, Waiting
from httpmini.server.core.counters import Counters
from httpmini.server.core.faults import Faults
from httpmini.server.core.processes import REOPEN, REPORT, ChildProcesses
from httpmini.server.core.reactor import Reactor
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.core.shutdown import Shutdown, WakeUpPipe
from httpmini.server.core.status_listener import StatusListener
from httpmini.server.core.transfer import Client
from httpmini.server.limits.crowd import Occupant
from httpmini.server.listeners.activation import InheritedListener
from httpmini.server.listeners.peer import Peer
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Level, Log, describe
from httpmini.server.modes import MODES
from httpmini.server.modes.base import Mode

# A person who has pressed Ctrl-C and sees nothing happen for this long is told why.
PATIENCE_S = 1.0
# Descriptors beside those of the clients: listeners, logs, pipes, refusals.
_OTHER_DESCRIPTORS = 64
# A mode that fails is called again, but not more often than this within a second.
_MOST_FAULTS = 10


class _Running(msgspec.Struct, eq=False):
    """A mode that serves, or has retired and is not done."""

    mode: Mode
    shutdown: Shutdown


class Lifecycle(Generic[P]):
    """The life of a server. Runs in the main thread, as the last thing that the process does.

    Args:
        service: what is spoken.
        plan: how to begin.
        log: takes lines about the server itself.
        source: makes plans for SIGHUP; None where there is no file to read again: then SIGHUP stops the server.
        reopen_logs: reopens the logs.
        board: shows all processes to each other.
        status_service: what is spoken with clients of the status listeners.
        manager: the service manager that has started us.
        leave: called in each new child: gives up what only this process needs.
        renewal: has new certificates now and then.
        accept: accepts the next client of a listener.
    """

    def __init__(
        self,
        service: Service,
        plan: P,
        log: Log,
        source: Source[P] | None = None,
        reopen_logs: Callable[[], None] = lambda: None,
        board: Scoreboard | None = None,
        status_service: Service | None = None,
        manager: ServiceManager | None = None,
        leave: Callable[[], None] = lambda: None,
        renewal: Renewal[P] | None = None,
        accept: Callable[[socket.socket], tuple[int, Peer]] = accept,
    ) -> None:
        self._renewal = renewal
        self._accept = accept
        self._service = service
        self._plan = plan  # the current one; nothing else may keep an old one, whose logs would stay open
        self._next: P | None = None  # during a reload
        self._log = log
        self._faults = Faults(log)
        self._leave_more = leave
        self._source = source
        self._reopen_logs = reopen_logs
        self._wake_up = WakeUpPipe()
        self._children = ChildProcesses(log, self._leave_to_parent)
        self._board = board or Scoreboard(Counters())
        self._board.watch(self._clients)
        self._manager = manager or ServiceManager({})
        self._reactor = Reactor(log, self._tick, self._board.counters)
        self._status_listener = StatusListener(status_service or service, self._reactor, log)
        self._running: list[_Running] = []  # the last one serves, the others have retired and are not done
        self._starting: Shutdown | None = None  # of the mode that is being started
        self._lobby: list[Waiting] = []
        self._calls: deque[Callable[[], None]] = deque()
        self._stops = 0  # how often that was asked for

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM, then drain. The listeners are closed on return, and all signals are ignored.

        Args:
            ready: called once clients can connect and signals are understood.

        Raises:
            CannotRun: max_clients needs more descriptors than this process may have, or a worker cannot start.
        """
        self._reactor.watch(self._wake_up, self._on_wake_up)
        try:
            with self._handle_signals():
                self._children.reap()  # as process 1: those that ended before we could hear of it
                try:
                    self._start_mode(self._plan)
                except CannotRun:
                    if self._stops:  # that is why
                        return
                    raise
                ready()
                self._manager.ready(self._plan.title)
                self._serve()
                self._finish()
        finally:
            self._status_listener.close()
            for listener in _all_listeners(self._plan):
                listener.close()
            self._reactor.close()
            self._wake_up.close()
            self._manager.close()

    def _tick(self) -> bool:
        wants_more = False

        def tick_service() -> None:
            nonlocal wants_more
            wants_more = bool(self._service.tick())

        steps = tick_service, self._board.publish, self._status_listener.tick, self._manager.look
        for step in (*steps, self._look_for_certificates):
            self._faults.contain("in a tick", step)
        return wants_more

    def _longest_wait_s(self) -> float | None:
        looks_s = self._manager.watchdog_s, self._renewal.look_s if self._renewal is not None else None
        return min((one for one in looks_s if one is not None), default=None)

    def _look_for_certificates(self) -> None:
        if self._renewal is not None and self._renewal.look(time.monotonic()):
            self._call(self._renew)

    def _clients(self) -> list[Client]:
        """Return all clients that this process serves."""
        others = [client for running in self._running for client in running.mode.clients]
        return [*others, *self._reactor.clients]

    def _occupants(self, now: float) -> Iterator[Occupant]:
        """Yield the clients outside of the poll set that do nothing: those of retired modes have slots, too."""
        for running in self._running:
            yield from running.mode.occupants(now)

    def _start_mode(self, plan: P) -> None:
        """Start the plan's mode; from then on it is the one that serves."""
        mode_class = MODES[plan.mode]
        _allow_descriptors(plan.admission.slots.limit, mode_class.descriptors_per_client)
        self._reactor.longest_wait_s = self._longest_wait_s()
        self._starting = shutdown = Shutdown(self._wake_up, plan.drain_s)
        mode = mode_class(
            Context(
                plan.public_listeners,
                self._service,
                plan.admission,
                shutdown,
                self._reactor,
                self._children,
                self._log,
                self._board,
                plan.workers,
                self._reopen_logs,
                self._lobby,
                self._occupants,
                self._accept,
                plan.slice_s,
            )
        )
        try:
            for _ in range(self._stops):  # a signal came before
                shutdown.drain(time.monotonic())
            mode.start()
            self._running.append(_Running(mode, shutdown))
        except BaseException:
            shutdown.close()
            raise
        finally:
            self._starting = None
        self._status_listener.open(plan.status_listeners)

    def _serve(self) -> None:
        """Let one mode after another serve, until a signal says stop.

        Raises:
            CannotRun: a mode fails again and again.
        """
        faults: deque[float] = deque(maxlen=_MOST_FAULTS)
        while True:  # at least once, if only for the last call
            if not self._faults.contain("in the main loop", self._running[-1].mode.serve):
                faults.append(time.monotonic())
                if len(faults) == _MOST_FAULTS and faults[-1] - faults[0] < 1.0:
                    raise CannotRun("the main loop fails again and again; the log says where")
            if self._stops:
                return
            self._handle_calls()

    def _finish(self) -> None:
        """Bring the clients that are left to their end."""
        self._status_listener.open(())
        for listener in _all_listeners(self._plan):  # clients that connect from now on are told so by the kernel
            _close(listener)
        self._reactor.drain()
        self._reactor.finish(lambda: self._running[-1].shutdown.deadline)
        for running in self._running:
            self._faults.contain("at the end", running.mode.finish)
            running.shutdown.close()

    def _on_wake_up(self) -> None:
        self._wake_up.clear()
        self._children.reap()
        if not self._stops:
            self._forget_modes_that_are_done()

    def _handle_calls(self) -> None:
        """Do what signals have asked for."""
        self._wake_up.interrupted = False
        while self._calls and not self._stops:
            self._faults.contain("after a signal", self._calls.popleft())

    def _call(self, what: Callable[[], None]) -> None:
        """Have ``what`` done soon, once; from a signal handler."""
        if what not in self._calls:
            self._calls.append(what)
        self._wake_up.interrupted = True

    def _reload(self) -> None:
        """Take the present settings, if they are right; else everything goes on as it is."""
        source, before = self._source, self._plan
        if source is None:
            self._drain()
            return
        self._manager.reloading()
        try:
            plan = self._next = source.prepare()
        except Exception as error:
            self._refuse_reload(error)
            return
        try:
            source.adopt(plan)
            self._start_mode(plan)
        except Exception as error:
            self._next = None
            source.adopt(before)
            self._leave(source, plan, before)
            self._refuse_reload(error)
            return
        self._running[-2].mode.retire()
        self._plan, self._next = plan, None
        self._leave(source, before, plan)
        self._log(f"reloaded: {source.news(before, plan)}")
        self._board.reload_problem = ""
        self._board.counters.reloads += 1
        self._board.publish()
        self._manager.ready(plan.title)
        self._forget_modes_that_are_done()

    def _renew(self) -> None:
        """Use new certificates. Workers have their own copy of the old ones, so they retire as in a reload."""
        plan = self._renewal.renew() if self._renewal is not None else None
        if plan is None:
            return
        self._plan = plan
        if MODES[plan.mode].uses_workers:
            try:
                self._start_mode(plan)
            except CannotRun as error:
                self._log(f"the workers go on with the certificates from before: {error}", Level.ERROR)
                return
            self._running[-2].mode.retire()
            self._forget_modes_that_are_done()

    def _refuse_reload(self, error: Exception) -> None:
        """Say why nothing has changed."""
        text = str(error) if isinstance(error, HttpminiError) else f"fault: {describe(error)}"
        if isinstance(error, OSError):
            text = error.strerror or str(error)
        for line in text.splitlines():
            self._log(f"not reloaded: {line}", Level.ERROR)
        self._board.reload_problem = text
        self._board.counters.failed_reloads += 1
        self._board.publish()
        self._manager.ready(self._plan.title)

    def _leave(self, source: Source[P], old: P, new: P) -> None:
        """Close the listeners that only ``old`` has, and give it up."""
        kept = _all_listeners(new)
        for listener in _all_listeners(old):
            if listener not in kept:
                _close(listener)
        source.discard(old)

    def _forget_modes_that_are_done(self) -> None:
        for running in [running for running in self._running[:-1] if running.mode.is_done]:
            self._running.remove(running)  # first: a signal that comes meanwhile drains all that are in the list
            try:
                running.mode.finish()
            finally:
                running.shutdown.close()

    def _drain(self) -> None:
        """Stop; asked again: now."""
        if not self._stops:
            self._manager.stopping()
        self._stops += 1
        for shutdown in (*(running.shutdown for running in self._running), self._starting):
            if shutdown is not None:
                shutdown.drain(time.monotonic())

    def _handle_signals(self) -> AbstractContextManager[None]:
        def stop(_number: int, _frame: object) -> None:
            self._drain()
            signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)

        def quit_now(_number: int, _frame: object) -> None:
            self._drain()
            self._drain()

        return handled(
            {
                signal.SIGINT: stop,
                signal.SIGTERM: stop,
                signal.SIGQUIT: quit_now,
                signal.SIGHUP: lambda _number, _frame: self._call(self._reload),
                signal.SIGUSR1: lambda _number, _frame: self._call(self._reopen_all_logs),
                signal.SIGUSR2: lambda _number, _frame: self._call(self._report),
                signal.SIGALRM: lambda _number, _frame: self._explain_drain(),  # needs no thread: a fork forbids them
            },
            self._wake_up.wake_fd,
        )

    def _explain_drain(self) -> None:
        if self._stops and self._plan.admission.active:
            self._log(
                f"stopping: {self._plan.admission.active} still being served, for {self._plan.drain_s:g} s at most; "
                "a second signal ends it now"
            )

    def _report(self) -> None:
        """Log a line for each client; children write their own."""
        now = time.monotonic()
        for client in self._clients():
            self._log(client.describe(now))
        self._children.tell(REPORT)

    def _reopen_all_logs(self) -> None:
        self._reopen_logs()
        self._children.tell(REOPEN)

    def _leave_to_parent(self, served: Collection[socket.socket]) -> None:
        """Close a new child's copies of what it does not serve: they would hold back a client's end, or a port."""
        for running in self._running:
            for client in running.mode.clients:
                client.close_copy()
        for plan in (self._plan, self._next):
            for listener in () if plan is None else _all_listeners(plan):
                if listener not in served:
                    listener.close()
        self._manager.close()
        self._leave_more()


def _all_listeners(plan: Plan) -> list[socket.socket]:
    return [*plan.public_listeners, *plan.status_listeners]


def _close(listener: socket.socket) -> None:
    """Close a listener for children that have a copy, too; but not for the process that has opened it for us."""
    if not isinstance(listener, InheritedListener):
        with suppress(OSError):  # where shutdown is for connections only
            listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _allow_descriptors(max_clients: int, per_client: int) -> None:
    """Raise the soft limit on open descriptors to what ``max_clients`` may need.

    Raises:
        CannotRun: the hard limit is lower.
    """
    needed = max_clients * per_client + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise CannotRun(
                f"max_clients = {max_clients} may need {needed} descriptors, but this process may have {hard}; "
                f"lower it to {max(1, (hard - _OTHER_DESCRIPTORS) // per_client)}, "
                "or raise the limit (ulimit -n)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
