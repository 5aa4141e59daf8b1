"""A generation: everything that one configuration produced, in one frozen record.

It is prepared whole and becomes current by one assignment (``HttpService.generation``). What outlives it, such as slots
and counters, belongs to the server (``server.py``).
"""

from __future__ import annotations

import socket
from pathlib import Path

from httpmini.config import Config
from httpmini.daemon.certificates import Certificates
from httpmini.daemon.listeners import CTL, Listeners, listeners_of
from httpmini.daemon.logs import Logs
from httpmini.daemon.pid_file import PidFile
from httpmini.errors import visible
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.limits.admission import Admission
from httpmini.server.tls.security import Security


class Generation(HttpGeneration, frozen=True, eq=False, kw_only=True):
    """What serves, from one reload to the next.

    A request that began in a generation keeps it until its line is in the log. The generation's log files close when
    nothing uses it any more: with the last reference to it.

    Attributes:
        config: what it was made of.
        status: the part for clients of the status listener.
        unencrypted: the part for clients of listeners without TLS; None if they get what all get.
        certificates: the certificates in use.
        security: TLS with these certificates; None without TLS.
        admission: gives the slots.
        listeners: where clients connect, by setting; those that have stayed the same are the sockets of before.
        logs: the open logs.
        pid_file: the locked pid file.
        workers: how many processes serve, in modes that have workers.
    """

    config: Config
    status: HttpGeneration
    unencrypted: HttpGeneration | None
    certificates: Certificates
    security: Security | None
    admission: Admission
    listeners: Listeners
    logs: Logs
    pid_file: PidFile
    workers: int

    @property
    def mode(self) -> str:
        """The mode that serves."""
        return self.config.server.mode

    @property
    def drain_s(self) -> float:
        """Seconds that responses being sent get to finish."""
        return self.config.limits.drain_s

    @property
    def slice_s(self) -> float:
        """Seconds that iterative mode serves a slow client while others wait; 0 for to its end."""
        return self.config.limits.slice_s

    @property
    def public_listeners(self) -> list[socket.socket]:
        """The listeners for everybody."""
        return listeners_of(self.listeners, "server.listen")

    @property
    def status_listeners(self) -> list[socket.socket]:
        """The listeners for the status pages, and for ``httpmini ctl``."""
        return listeners_of(self.listeners, "status.listen") + listeners_of(self.listeners, CTL)

    @property
    def title(self) -> str:
        """What is served, for a service manager."""
        return f"serving {self.site_names}, mode {self.mode}"

    @property
    def site_names(self) -> str:
        """What is served, in a few words."""
        others = len(self.config.others)
        site = self.config.site
        return visible(str(Path(site.root, site.only))) + (f" and {others} more" if others else "")
