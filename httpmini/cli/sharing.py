"""What ``httpmini serve`` does for people: who may connect, on which port, with which password, and what they see."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click
import msgspec

from httpmini.cli.places import place_of
from httpmini.config import Flags
from httpmini.errors import CannotRun, UsageError, visible
from httpmini.files import current_folder

if TYPE_CHECKING:
    from types import TracebackType

    from httpmini.cli.browser import Browser
    from httpmini.cli.terminal.display import Display
    from httpmini.daemon.server import Banner, Extras
    from httpmini.server.logs.error import Log
    from httpmini.site.one_user import OneUser

_LOOPBACK = "127.0.0.1"
_ALL = ("*", "", "0.0.0.0", "::", "[::]")  # noqa: S104  (compared with, not bound to)
_QR_COLUMNS = 200  # of what is no terminal


class Wishes(msgspec.Struct, frozen=True):
    """What the command line asks for that is no setting.

    Attributes:
        lan: whether others on the network may connect.
        user: who a password is asked of; "" for anybody, None for no password.
        qr: whether to show a QR code; None for where it is of use.
        opens: whether to open a browser.
        is_daemon: whether the server moves to the background.
        is_chrooted: whether it gets another root directory.
        trace: the file for what happens on all connections; None for no trace.
    """

    lan: bool
    user: str | None
    qr: bool | None
    opens: bool
    is_daemon: bool
    is_chrooted: bool
    trace: str | None = None


class Sharing:
    """A context in which a server runs: the display is made on entry, and ended on exit.

    Args:
        wishes: what is no setting.
        flags: what the command line says.
        file: the config file, if any.

    Attributes:
        flags: the same, with addresses and port.
        notes: what else people have to be told, in lines.
        extras: what the server has to know of this, once the context is entered.
    """

    def __init__(self, wishes: Wishes, flags: Flags, file: str | None) -> None:
        self._wishes = wishes
        self._file = file
        self.flags = flags
        self.notes: list[str] = []
        self.extras: Extras
        self._password = ""
        self._display: Display | None = None
        self._browser: Browser | None = None
        self._addresses: list[str] = []  # of this machine, where they are needed

    def __enter__(self) -> Sharing:
        """Check what was asked for, ask for the password, choose addresses and port, and begin to draw.

        Raises:
            UsageError: the wishes contradict each other, or the password is empty.
            CannotRun: there is no private address, or no free port.
        """
        wishes = self._wishes
        _refuse_contradictions(wishes, self.flags)
        made_up = self._choose_password()
        if wishes.lan:
            from httpmini.cli.lan import private_addresses

            self.flags = msgspec.structs.replace(self.flags, addresses=(_LOOPBACK, *private_addresses()))
        self._choose_port()
        if self._is_for_people:
            self._begin_to_draw(made_up)
        else:
            self._prepare_lines(made_up)
        self.extras = self._make_extras()
        if wishes.opens:
            from httpmini.cli.browser import Browser

            self._browser = Browser()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        if self._display is not None:
            self._display.end()

    def announce(self, banner: Banner, _log: Log) -> None:
        """Say that clients can connect, and open a browser if that was asked for."""
        if self._display is not None:
            self._display.say_ready(banner.urls, banner.status_urls, banner.fingerprint, self.notes)
        else:
            _say("\n".join((banner.line, *self.notes, *self._qr_lines(banner))))
        if self._browser is not None:
            place = place_of(banner.urls, ())
            self._browser.open(next(iter((*place.local, *place.network)), ""))

    @property
    def _is_for_people(self) -> bool:
        """Whether a person watches, and has not asked for a log."""
        is_plain = self._file is None and self.flags.log is None
        return is_plain and not self._wishes.is_daemon and not self._wishes.is_chrooted and sys.stdout.isatty()

    def _make_extras(self) -> Extras:
        """Return what the server has to know of this."""
        from httpmini.daemon.server import Extras

        gate: OneUser | None = None
        if self._wishes.user is not None:
            from httpmini.site.one_user import OneUser

            gate = OneUser(self._wishes.user, self._password)
        return Extras(gate, shows_progress=self._display is not None, trace=self._wishes.trace)

    def _choose_password(self) -> str:
        """Have the password asked for, or made up; return it in the second case."""
        if self._wishes.user is None:
            return ""
        from httpmini.cli.passwords import make_password, read_password

        if self._wishes.user:
            self._password = read_password()
            return ""
        self._password = make_password()
        return self._password

    def _choose_port(self) -> None:
        """Choose a port where nobody has: no flag, no config file, no service manager."""
        if self._wishes.lan and self.flags.port == 0:
            from httpmini.cli.ports import any_port

            self.flags = msgspec.structs.replace(self.flags, port=any_port(self.flags.addresses))
        if self.flags.port is not None or self._file is not None or "LISTEN_FDS" in os.environ:
            return
        from httpmini.cli.ports import FIRST, free_port

        port = free_port(self.flags.addresses or (_LOOPBACK,))
        if port != FIRST:
            self.flags = msgspec.structs.replace(self.flags, port=port)
            self.notes.append(f"Port {FIRST} is taken; this is {port}.")

    def _begin_to_draw(self, made_up: str) -> None:
        from httpmini.cli.terminal.banner import Share
        from httpmini.cli.terminal.display import Display
        from httpmini.cli.terminal.look import look_of

        if any(address in _ALL for address in self.flags.addresses):
            from httpmini.cli.lan import open_addresses

            self._addresses = open_addresses()
        wishes = self._wishes
        share = Share(
            path=os.path.normpath(current_folder() / (self.flags.root or ".")),
            addresses=tuple(self._addresses),
            password=made_up,
            user=wishes.user or "",
            has_password=wishes.user is not None,
            qr=None if wishes.qr is None and wishes.lan else bool(wishes.qr),
            look=look_of(os.environ, sys.stdout.encoding),
        )
        self.flags = msgspec.structs.replace(self.flags, log="json")
        self._display = Display(share)

    def _prepare_lines(self, made_up: str) -> None:
        """Collect what has to be said without a display, while it can be found out: later the sandbox is closed."""
        if made_up:
            self.notes.append(f"the password, with any user name: {made_up}")
        if self._wishes.qr:
            from httpmini.cli.lan import open_addresses
            from httpmini.cli.terminal import qr

            qr.load()
            self._addresses = open_addresses()

    def _qr_lines(self, banner: Banner) -> list[str]:
        """Return the QR code where one was asked for without a display."""
        if not self._wishes.qr:
            return []
        from httpmini.cli.terminal.look import Look
        from httpmini.cli.terminal.qr import qr_lines

        network = place_of(banner.urls, self._addresses).network
        return qr_lines(network[0], Look(moves=False, colour=False), _QR_COLUMNS) if network else []


def _refuse_contradictions(wishes: Wishes, flags: Flags) -> None:
    if wishes.lan and flags.addresses:
        raise UsageError("--lan chooses the addresses, and --bind names them; leave one of them out")
    if wishes.is_daemon and (wishes.opens or wishes.qr):
        raise UsageError("--open and --qr are for a server in the foreground; leave them out, or --daemon")
    user = wishes.user
    if user and ("/" in user or os.path.exists(user)):  # noqa: PTH110  (takes any string)
        said = visible(user)
        raise UsageError(f"--password {said}: that is a path, not a user; write httpmini serve {said} --password")
    if user and (":" in user or not user.isprintable()):
        raise UsageError(f"--password {visible(user)}: a user name has no colon and no control characters")


def _say(text: str) -> None:
    try:
        click.echo(text)
    except OSError as error:
        raise CannotRun(f"cannot write to standard output: {error.strerror}") from error
