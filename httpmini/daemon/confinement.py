"""The confinement of a running server: Landlock, a filter of system calls, and no power of root that it does not need.

Two processes differ. The main process reloads the settings, so it may open listeners, and remove its pid file and its
sockets. Its children, the workers of prefork mode and the children of forking mode, only serve: each gives up the rest
as soon as it is forked. In the other modes the main process serves too; without a config file there is
nothing to reload, and it is confined like a child.
"""

from __future__ import annotations

import os

from httpmini.config import Config
from httpmini.daemon import sandbox, seccomp
from httpmini.daemon.capabilities import drop_capabilities
from httpmini.daemon.openings import missing, openings_of, shown, written_openings
from httpmini.daemon.system_calls import have_system_calls, prctl
from httpmini.errors import CannotRun, visible
from httpmini.server.listeners.peer import LOCAL
from httpmini.server.logs.error import Log
from httpmini.server.modes import MODES

_PR_SET_DUMPABLE = 4
_SYSTEM_LOGS = ("syslog", "journal")
_NEEDS_A_NEW_START = "that needs a new start"


class Confinement:
    """What keeps this process, and those that it starts, to what the settings name. It lasts until they end.

    Args:
        config: the settings at the start.
        file: where they come from, which a reload reads again; None without one.
    """

    def __init__(self, config: Config, file: str | None) -> None:
        self._opened = openings_of(config, file)
        self._reloads = file is not None
        self._has_landlock = self._has_seccomp = False
        self._tells_log = tells_log(config)
        self._inner_rules = -1
        forks = self._reloads or MODES[config.server.mode].starts_processes
        keeps = self._reloads or any(entry.startswith(LOCAL) for entry in config.server.listen)
        self._for_main = seccomp.Permits(listens=self._reloads, tells_log=self._tells_log, forks=forks, removes=keeps)
        self._for_children = seccomp.make_filter(seccomp.Permits(tells_log=self._tells_log), stacked=True)
        # `config diff` looks at the settings of a process in /proc, and finds it by its pid file.
        self._is_looked_at = bool(config.daemon.pid_file)

    def enter(self, log: Log) -> None:
        """Confine this process. Call it before starting threads or processes.

        Args:
            log: told what this kernel does not have.
        """
        sandbox.no_new_privileges()
        if os.geteuid() == 0:
            drop_capabilities()
        if not self._is_looked_at:
            prctl(_PR_SET_DUMPABLE, 0)
        self._has_landlock = sandbox.enter(self._opened)
        if not self._has_landlock and have_system_calls():
            log("no sandbox: this kernel has no Landlock, or does not let us use it")
        self._inner_rules = sandbox.make_inner_sandbox() if self._has_landlock else -1
        self._has_seccomp = seccomp.install(seccomp.make_filter(self._for_main))
        if not self._has_seccomp and have_system_calls():
            log("no filter of system calls: this kernel or this kind of processor has none that we know")
        os.register_at_fork(after_in_child=self._enter_child)

    def _enter_child(self) -> None:
        if self._is_looked_at:  # else this is inherited
            prctl(_PR_SET_DUMPABLE, 0)
        if self._inner_rules >= 0:
            sandbox.restrict(self._inner_rules)
        if self._has_seccomp:
            seccomp.install(self._for_children)

    @property
    def shown(self) -> str:
        """What confines this process, in a few words; and where it is open, if a config file names more than roots."""
        if not self._has_landlock:
            return "seccomp" if self._has_seccomp else ""
        name = "sandbox Landlock+seccomp" if self._has_seccomp else "sandbox Landlock"
        return f"{name} open for {visible(shown(self._opened))}" if self._reloads else name

    def refuse_what_it_forbids(self, config: Config) -> None:
        """Check that a reload can follow new settings.

        Raises:
            CannotRun: they need what this process can no longer do.
        """
        if self._has_seccomp and tells_log(config) and not self._tells_log:
            raise CannotRun(f"the sandbox does not let this server connect to the system log; {_NEEDS_A_NEW_START}")
        if not self._has_landlock:
            return
        for opening in sorted(set(written_openings(config))):
            if missing(self._opened, opening):
                said = f"the sandbox does not let this server write to {visible(opening.path)}"
                raise CannotRun(f"{said}; {_NEEDS_A_NEW_START}")
        roots = {one.site.root for one in config.all_sites if not one.site.only}  # a root of one file is not listed
        for folder in sorted({*roots, *config.daemon.readable}):
            refuse_outside(folder)


def tells_log(config: Config) -> bool:
    """Return whether a log goes to syslog or to the journal."""
    return any(target in _SYSTEM_LOGS for one in config.all_sites for target in (one.log.access, one.log.error))


def refuse_outside(folder: str) -> None:
    """Check that the sandbox lets this process read ``folder``; a reload cannot widen it.

    Raises:
        CannotRun: it does not, although the permissions of the folder would.
    """
    try:
        os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    except PermissionError as error:
        if os.access(folder, os.R_OK):  # which asks about permissions, not about the sandbox
            remedy = "name it in daemon.readable and restart the server"
            said = f"{visible(folder)} is outside the sandbox that this server was started with"
            raise CannotRun(f"{said}; {remedy}") from error
    except OSError:  # any other problem is reported where the folder is used
        return
