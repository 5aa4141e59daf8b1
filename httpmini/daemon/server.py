"""A server over all its generations: how it starts, what it keeps, and how a reload becomes the next generation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain

import msgspec
from msgspec.structs import replace

from httpmini.config import Config, differences, find_dangers
from httpmini.daemon.build import Lasting, Opened, build_generation, open_logs
from httpmini.daemon.certificates import Certificates, CertificateWatch, make_security, open_certificates
from httpmini.daemon.confinement import Confinement
from httpmini.daemon.generation import Generation
from httpmini.daemon.lifecycle import Lifecycle
from httpmini.daemon.limits import Tables
from httpmini.daemon.listeners import close_all, listeners_of, open_all, secure, set_backlog, url_of
from httpmini.daemon.missing import missing_features
from httpmini.daemon.pid_file import PidFile
from httpmini.daemon.privileges import switch_user
from httpmini.daemon.running_config import RunningConfig
from httpmini.daemon.systemd import ServiceManager
from httpmini.daemon.tracing import Tracing
from httpmini.daemon.workers import read_quota
from httpmini.errors import CannotRun, HttpminiError
from httpmini.server.core.connection import Service
from httpmini.server.core.counters import Counters
from httpmini.server.core.scoreboard import Scoreboard
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.service import HttpService, PartialService
from httpmini.server.listeners.activation import InheritedSockets
from httpmini.server.listeners.tcp import accept
from httpmini.server.logs.error import Level, Log, describe
from httpmini.server.modes import MODES
from httpmini.server.tls.service import SecureService
from httpmini.site.authorise import Users


class Banner(msgspec.Struct, frozen=True):
    """What a server says as soon as clients can connect.

    Attributes:
        line: where and how, in one line.
        urls: where clients find it.
        status_urls: where the status pages are.
        fingerprint: the SHA-256 of the certificate, if it is one of our own.
    """

    line: str
    urls: tuple[str, ...]
    status_urls: tuple[str, ...]
    fingerprint: str = ""


Announce = Callable[[Banner, Log], None]
"""Takes the banner of a server, and its log."""


class Extras(msgspec.Struct, frozen=True):
    """What the command line asks for beyond the settings.

    Attributes:
        password: who may see any of the sites; None for everybody.
        shows_progress: whether to write the progress of long responses beside the error log.
        trace: the file for what happens on all connections; None for no trace.
    """

    password: Users | None = None
    shows_progress: bool = False
    trace: str | None = None


_NONE = Extras()


def serve(read: Callable[[], Config], announce: Announce, file: str | None = None, extras: Extras = _NONE) -> None:
    """Serve as the settings say until told to stop.

    Args:
        read: reads the settings; a reload reads them again.
        announce: called as soon as clients can connect.
        file: what SIGHUP reads again; without one, SIGHUP ends the server.
        extras: what is no setting.

    Raises:
        ConfigError: the settings are wrong.
        CannotRun: a port is taken, a log cannot be written, a limit is too low.
    """
    server = Server(read, file, extras)
    try:
        server.run(announce)
    except HttpminiError as error:
        server.log(f"the server ends: {error}", Level.ERROR)
        raise
    except Exception as fault:
        said = f"the server ends: fault: {describe(fault)}"
        server.log(said, Level.ERROR)
        raise CannotRun(said) from fault
    finally:
        server.close()


class Server:
    """What outlives generations, and the one place that makes a generation current.

    Args:
        read: reads the settings.
        file: where they are read from; None when they are only flags.
        extras: what is no setting.

    Raises:
        ConfigError: the settings are wrong.
        CannotRun: they cannot be followed on this machine, now.
    """

    def __init__(self, read: Callable[[], Config], file: str | None, extras: Extras = _NONE) -> None:
        self._read = read
        self._file = file
        self._confinement: Confinement | None = None
        self._is_watched = extras.shows_progress
        inherited = InheritedSockets(os.environ)
        board = Scoreboard(Counters())
        self._lasting = Lasting(board, Tables(self.log), inherited, time.time(), read_quota(), extras.password)
        self._running_config = RunningConfig()
        config = read()
        self._tracing = Tracing(extras.trace, config, board) if extras.trace is not None else None
        generation = self._first_generation(config)
        counters = self._lasting.board.counters
        self._service = self._tracing.service(generation) if self._tracing else HttpService(generation, counters)
        self._conversations = self._recorded(generation)
        self._status_service = PartialService(lambda: self._service.generation.status, counters)
        # Used only while ``unencrypted`` is there; a connection that it has made may outlive that.
        self._unencrypted = self._part(lambda: self._service.generation.unencrypted or self._service.generation)
        self._watch = CertificateWatch(lambda: self._service.generation.certificates, self.log)
        self._show(generation)
        if extras.shows_progress:
            from httpmini.server.http.progress import ProgressLog  # few need it

            board.tell = ProgressLog(generation.logs.tell).tell

    def _first_generation(self, config: Config) -> Generation:
        """Open everything in the order that giving up root's privileges asks for, and build."""
        with ExitStack() as undo:
            pid_file = PidFile(config.daemon.pid_file)
            undo.callback(pid_file.close)
            certificates = open_certificates(config, Certificates(), self.log)
            listeners = open_all(config, {}, self._lasting.inherited)
            undo.callback(close_all, chain(*listeners.values()))
            self._user = switch_user(config, chain(*listeners.values()))
            logs = open_logs(config, self._lasting.board)
            undo.callback(logs.close)
            generation = build_generation(config, self._lasting, Opened(logs, pid_file, listeners, certificates))
            undo.pop_all()
            return generation

    def run(self, announce: Announce) -> None:
        """Serve until a signal says stop.

        Raises:
            CannotRun: max_clients needs more descriptors than this process may have, or a worker cannot start.
        """
        self._log_notices(self._service.generation)
        manager = ServiceManager(os.environ)  # connects, which the confinement forbids
        self._confine()
        life = Lifecycle(
            self._secure_service(),
            self._service.generation,
            self.log,
            source=self if self._file is not None else None,
            reopen_logs=lambda: self._service.generation.logs.reopen(),
            board=self._lasting.board,
            status_service=self._status_service,
            manager=manager,
            leave=self._lasting.inherited.close,
            renewal=self,
            accept=self._tracing.accept if self._tracing else accept,
        )
        life.run(lambda: self._begin(announce))

    def _recorded(self, generation: Generation) -> Service:
        """Return the service; or one that records each connection as well, if the settings ask for that."""
        if not generation.config.log.record:
            return self._service
        from httpmini.server.http.recorded import RecordingService  # few need them
        from httpmini.server.http.tape import Recorder

        recorder = Recorder(generation.config.log.record, lambda: self._service.generation.mode, self.log)
        return RecordingService(self._service, recorder)

    def _part(self, current: Callable[[], HttpGeneration]) -> PartialService:
        """Return the service for some listeners of the site."""
        if self._tracing is not None:
            return self._tracing.partial_service(current)
        return PartialService(current, self._lasting.board.counters)

    def _secure_service(self) -> SecureService:
        """Return the service, with TLS for clients of the listeners for it."""
        return SecureService(
            self._conversations,
            lambda: self._service.generation.security,
            self._service.refuse_plain,
            lambda: self._unencrypted if self._service.generation.unencrypted is not None else None,
            self._tracing.trace if self._tracing is not None else None,
        )

    def _begin(self, announce: Announce) -> None:
        """Say that clients can connect and signals are understood, and then what the operator should think about."""
        self._service.generation.pid_file.publish()
        announce(self._banner(), self.log)
        for pair in self._service.generation.certificates.pairs.values():
            if pair.fingerprint and not self._is_watched:  # the first lines on a terminal have it
                self.log(f"a certificate for a day, for {', '.join(pair.names)}; SHA-256 {pair.fingerprint}")
        self._log_dangers(self._service.generation)

    def log(self, text: str, level: Level = Level.NOTICE, /) -> None:
        """Write a line about the server itself to the log of the current generation."""
        self._service.generation.log(text, level)

    def close(self) -> None:
        """Write the trace and lines that wait, close the logs, and remove the pid file."""
        if self._tracing is not None:
            try:
                self._tracing.finish()
            except CannotRun as error:
                self.log(str(error), Level.ERROR)
        self._service.generation.logs.close()
        self._service.generation.pid_file.close()
        self._running_config.close()
        self._lasting.tables.close()

    # What a reload consists of; ``Lifecycle`` calls these in order.

    def prepare(self) -> Generation:
        """Read the settings again and build a generation; nothing changes for the current one.

        Raises:
            HttpminiError: the settings are wrong, or cannot be followed.
        """
        config, before = self._read(), self._service.generation
        self._refuse_what_needs_a_restart(config)
        with ExitStack() as undo:
            logs = open_logs(config, self._lasting.board)
            undo.callback(logs.close)
            pid_file = before.pid_file
            if not pid_file.is_at(config.daemon.pid_file):
                pid_file = PidFile(config.daemon.pid_file)
                undo.callback(pid_file.close)
            listeners = open_all(config, before.listeners, self._lasting.inherited)
            undo.callback(close_all, set(chain(*listeners.values())) - set(chain(*before.listeners.values())))
            certificates = open_certificates(config, before.certificates, self.log)
            generation = build_generation(config, self._lasting, Opened(logs, pid_file, listeners, certificates))
            undo.pop_all()
        self._log_notices(generation)
        self._log_dangers(generation)
        return generation

    def adopt(self, generation: Generation) -> None:
        """Make ``generation`` the current one: requests that begin from now on use it."""
        self._service.generation = generation
        server = generation.config.server
        generation.admission.slots.resize(server.max_clients)
        set_backlog(generation.listeners, server.backlog)
        self._show(generation)
        generation.pid_file.publish()

    def _show(self, generation: Generation) -> None:
        """Set what others see of a generation: its listeners, the metrics, and ``config diff``."""
        secure(generation.listeners)
        self._lasting.board.certificates = generation.certificates.ends
        self._lasting.board.refused_certificates = generation.certificates.refused
        self._running_config.show(generation.config)

    @property
    def look_s(self) -> float | None:
        """How often to look for new certificates; None for never."""
        return self._service.generation.certificates.look_s

    def look(self, now: float) -> bool:
        """Return whether there are new certificates to use."""
        return self._watch.look(now)

    def renew(self) -> Generation | None:
        """Use new certificates; everything else stays. Return the generation that has them; None if they are wrong."""
        before = self._service.generation
        certificates = open_certificates(before.config, before.certificates, self.log)
        if certificates.pairs == before.certificates.pairs:
            return None
        security = make_security(before.config, certificates, before.logs.log)
        generation = replace(before, certificates=certificates, security=security)
        self.adopt(generation)
        return generation

    def discard(self, generation: Generation) -> None:
        """Give up a generation that is not current; requests that began in it go on using its logs."""
        generation.logs.stop_batching()
        if generation.pid_file is not self._service.generation.pid_file:
            generation.pid_file.close()

    def news(self, before: Generation, after: Generation) -> str:
        """Say in a few words what has changed."""
        return "; ".join(differences(before.config, after.config)) or "nothing has changed"

    def _log_notices(self, generation: Generation) -> None:
        """Log what the operator should know of the settings, such as a setting that has another name now."""
        for notice in generation.config.notices:
            self.log(notice)

    def _log_dangers(self, generation: Generation) -> None:
        for danger in find_dangers(generation.config, self._file):
            self.log(danger, Level.WARNING)

    def _refuse_what_needs_a_restart(self, config: Config) -> None:
        before, after = self._service.generation.config.daemon, config.daemon
        if self._service.generation.config.log.record != config.log.record:
            raise CannotRun("log.record has changed; that needs a new start")
        for key in ("user", "group", "sandbox", "readable"):
            if getattr(before, key) != getattr(after, key):
                raise CannotRun(f"daemon.{key} has changed; that needs a new start")
        if self._confinement:
            self._confinement.refuse_what_it_forbids(config)

    def _confine(self) -> None:
        """Keep this process, and those that it starts, to what the settings name."""
        config = self._service.generation.config
        if absent := missing_features():
            self.log(f"this system lacks {absent}")
        if config.daemon.sandbox != "off":
            self._confinement = Confinement(config, self._file)
            self._confinement.enter(self.log)

    def _banner(self) -> Banner:
        """Say where and how."""
        generation = self._service.generation
        urls = tuple(url_of(one) for one in generation.public_listeners)
        status_urls = tuple(f"{url_of(one)}-/status" for one in listeners_of(generation.listeners, "status.listen"))
        confined_by = self._confinement.shown if self._confinement else ""
        status = ", ".join(status_urls)
        fingerprint = next((one.fingerprint for one in generation.certificates.pairs.values() if one.fingerprint), "")
        workers = f", {generation.workers} workers" if MODES[generation.mode].uses_workers else ""
        return Banner(
            f"httpmini serving {generation.site_names} at {', '.join(urls)} "
            f"(mode {generation.mode}{workers}, at most {generation.config.server.max_clients} clients"
            f"{self._user and f', user {self._user}'}{confined_by and f', {confined_by}'}"
            f"{status and f', status at {status}'})",
            urls,
            status_urls,
            fingerprint,
        )
