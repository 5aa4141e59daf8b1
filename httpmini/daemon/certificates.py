"""The certificates of one generation: those of the generation before where nothing has changed, or nothing better."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from httpmini.config import Config
from httpmini.config.certificates import Pair, WrongFile, check_hosts, problem_of, read_pair, show_date, stamp
from httpmini.config.tls_settings import SELF_SIGNED
from httpmini.errors import CannotRun, ConfigError, Problem
from httpmini.protocol.message import bare_host
from httpmini.server.core.connection import Timeouts
from httpmini.server.listeners.endpoint import SECURE
from httpmini.server.logs.error import Level, Log
from httpmini.server.tls.security import Security, choose_by_name, make_context

if TYPE_CHECKING:
    import ssl

LOOK_S = 10.0
WARN_S, REPEAT_S = 14 * 86400.0, 86400.0

Paths = tuple[str, str]
"""A certificate and its key."""


class Certificates(msgspec.Struct, frozen=True, eq=False):
    """All certificates of one generation.

    Attributes:
        pairs: the certificates, by their paths; none without TLS.
        refused: why files that have changed are not used, one line for each; the certificate from before stays.
    """

    pairs: Mapping[Paths, Pair] = {}
    refused: tuple[str, ...] = ()

    @property
    def ends(self) -> dict[str, float]:
        """When each expires, in seconds since the epoch, by its first name."""
        return {(pair.names or (pair.certificate,))[0]: pair.not_after for pair in self.pairs.values()}

    @property
    def look_s(self) -> float | None:
        """How often to look for new files; None for never."""
        return LOOK_S if self.pairs else None


def open_certificates(config: Config, before: Certificates, log: Log) -> Certificates:
    """Read the certificates that ``config`` names and that have changed since ``before``.

    A file that is wrong now, and was right before, is not used: the log says why, and what was read before stays.

    Raises:
        ConfigError: one is wrong and was not there before, or is not for the hosts of its site.
        CannotRun: there is no ``ssl`` in this Python, or no ``cryptography`` for a certificate of our own.
    """
    pairs: dict[Paths, Pair] = {}
    problems: list[Problem] = []
    refused: list[str] = []
    if not any(entry.startswith(SECURE) for entry in config.server.listen):
        return Certificates()
    _load_ssl()
    for number, one in enumerate(config.all_sites, 1):
        paths = one.tls.certificate, one.tls.key
        try:
            pairs[paths] = _open_pair(config, number, pairs.get(paths), before, log, refused)
        except WrongFile as wrong:
            problems.append(problem_of(wrong, config, number, one))
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Certificates(pairs, tuple(refused))


def _open_pair(
    config: Config, number: int, known: Pair | None, before: Certificates, log: Log, refused: list[str]
) -> Pair:
    """Return the certificate of one site, which may be ``known`` from another one."""
    one = config.all_sites[number - 1]
    paths = one.tls.certificate, one.tls.key
    old = before.pairs.get(paths)
    if known is None and old is not None and (paths[0] == SELF_SIGNED or _stamps(paths) == old.stamps):
        known = old
    if known is not None:
        check_hosts(known, one)
        return known
    if paths[0] == SELF_SIGNED:
        from httpmini.daemon.self_signed import make_pair

        return make_pair(config)
    try:
        pair = read_pair(*paths, time.time())
        check_hosts(pair, one)
    except WrongFile as wrong:
        if old is None or old.lacks(one.site.hosts):
            raise
        stays = f"the certificate from before stays, until {show_date(old.not_after)}"
        refused.append(f"{problem_of(wrong, config, number, one)}; {stays}")
        log(refused[-1], Level.ERROR)
        return old
    if old is not None:
        log(f"{paths[0]}: a new certificate is in use, until {show_date(pair.not_after)}")
    return pair


def _stamps(paths: Paths) -> tuple[object, object]:
    return stamp(paths[0]), stamp(paths[1])


def _load_ssl() -> None:
    try:
        import httpmini.server.tls.connection  # noqa: F401
    except ImportError as error:
        raise CannotRun(f"TLS needs a new start: this process cannot load Python's ssl any more ({error})") from error


def make_security(config: Config, certificates: Certificates, log: Log) -> Security | None:
    """Return TLS with these certificates; None without any."""
    if not certificates.pairs:
        return None
    limits = config.limits
    timeouts = Timeouts(limits.idle_s, limits.send_stall_s, limits.linger_s, limits.linger_bytes)
    return Security(_make_entrance(config, certificates), timeouts, limits.head_s, log)


def _make_entrance(config: Config, certificates: Certificates) -> ssl.SSLContext:
    """Return the context that handshakes begin with."""
    contexts = [certificates.pairs[one.tls.certificate, one.tls.key].context for one in config.all_sites]
    if len(set(contexts)) == 1:
        return contexts[0]
    by_name = {
        bare_host(host): context
        for one, context in zip(config.all_sites, contexts, strict=True)
        for host in one.site.hosts
    }
    entrance = make_context()  # of its own: the callback belongs to this generation
    choose_by_name(entrance, by_name, contexts[0], bare_host)
    return entrance


class CertificateWatch:
    """Notices changed files, and certificates that end soon. It belongs to the main process.

    Args:
        current: returns the certificates in use.
        log: takes the warnings.
        wall: the time of day, in seconds since the epoch.
    """

    def __init__(self, current: Callable[[], Certificates], log: Log, wall: Callable[[], float] = time.time) -> None:
        self._current = current
        self._log = log
        self._wall = wall
        self._next_look = 0.0
        self._changed: dict[Paths, object] = {}  # what was found at the last look
        self._reported: dict[Paths, object] = {}
        self._warned: dict[Paths, float] = {}

    def look(self, now: float) -> bool:
        """Return whether there are new files to use, now and then.

        Files that have changed are used when they have stayed as they are from one look to the next: first the
        certificate is replaced, and then the key, or the other way round.
        """
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_S
        current = self._current()
        for paths, pair in current.pairs.items():
            self._warn(paths, pair)
        changed: dict[Paths, object] = {
            paths: stamps
            for paths, pair in current.pairs.items()
            if paths[0] != SELF_SIGNED and (stamps := _stamps(paths)) != pair.stamps
        }
        is_new = bool(changed) and changed == self._changed and changed != self._reported
        self._changed = changed
        if is_new:
            self._reported = changed
        return is_new

    def _warn(self, paths: Paths, pair: Pair) -> None:
        """Say once a day that a certificate ends soon, or has ended."""
        wall = self._wall()
        is_due = wall >= self._warned.get(paths, 0.0) + REPEAT_S
        if paths[0] == SELF_SIGNED or pair.not_after - wall > WARN_S or not is_due:
            return
        self._warned[paths] = wall
        said = "has expired on" if pair.not_after < wall else "expires on"
        self._log(f"{paths[0]}: the certificate {said} {show_date(pair.not_after)}; renew it", Level.WARNING)
