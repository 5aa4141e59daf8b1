"""What a server with some settings would answer to a request, and why: ``httpmini why``.

The request is read and answered by the parts that the server is made of. Nothing is sent, no log is written, and no
file is read, unless an entity tag in the request has to be compared or a compressed copy with its file.
"""

from __future__ import annotations

import os

import msgspec

from httpmini.config import Config
from httpmini.daemon.build_http import address_rules, build_hosts, status_rules
from httpmini.daemon.build_site import build_site
from httpmini.daemon.status import page_of
from httpmini.errors import ProtocolError
from httpmini.protocol.message import Request, Response, bare_host
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader
from httpmini.protocol.status import PHRASES
from httpmini.reasons import REASONS, Reason
from httpmini.site.authorise import Users
from httpmini.site.trail import Step, Trail
from httpmini.work import finish

_ORDINALS = ("first", "second", "third")


class Explanation(msgspec.Struct, frozen=True):
    """The outcome of a request.

    Attributes:
        steps: what was looked at, in order.
        status: the status code of the response.
        reason: why the request is refused; None if it is not.
        location: where the response redirects to; empty if it does not.
    """

    steps: tuple[Step, ...]
    status: int
    reason: Reason | None = None
    location: str = ""

    @property
    def outcome(self) -> str:
        """The response in one line."""
        text = f"{self.status} {PHRASES[self.status]}"
        if self.location:
            text += f", Location: {self.location}"
        return text if self.reason is None else f"{text}: {self.reason.text} ({self.reason.token})"


class Explainer:
    """Explains requests.

    Args:
        config: the settings of the server.
        password: who may see any of the sites, as with ``serve --password``; None for everybody.

    Raises:
        CannotRun: a users file cannot be read.
    """

    def __init__(self, config: Config, password: Users | None = None) -> None:
        self._config = config
        self._sites = [build_site(one, password=password) for one in config.all_sites]
        self._hosts = build_hosts(config, self._sites, lambda _place: lambda _line: None)
        limits = config.limits
        self._limits = HeadLimits(limits.head_bytes, limits.target_bytes, limits.fields)

    def explain(self, octets: bytes, address: str, user: str = "") -> Explanation:
        """Explain the response to the first request in ``octets``, after which the client is taken to say no more.

        Args:
            octets: what the client sends.
            address: of the client.
            user: whose name and password the request is taken to have; empty for what its fields say.
        """
        trail = Trail(user)
        try:
            self._admit(address, trail)
            response = self._respond(self._read(octets, trail), address, trail)
        except ProtocolError as error:
            return Explanation(tuple(trail.steps), error.reason.status, error.reason)
        for fd in response.owned_fds:
            os.close(fd)
        _note_head(response, trail)
        reason = response.error.reason if response.error else None
        return Explanation(tuple(trail.steps), response.status, reason, response.headers.get("Location") or "")

    def _admit(self, address: str, trail: Trail) -> None:
        rules = address_rules(self._config, self._config.proxies.trusted)
        if not rules:
            return
        permitted = rules.permits(address)
        lists = "server.allow and server.deny"
        trail.note("address", f"{address} may connect ({lists})" if permitted else f"{address} may not ({lists})")
        if not permitted:
            raise ProtocolError(REASONS["address-denied"])

    def _read(self, octets: bytes, trail: Trail) -> Request:
        reader = RequestReader(self._limits)
        reader.feed(octets)
        try:
            request = reader.next()
            if request is NEED_DATA:
                raise ProtocolError(REASONS["head-incomplete"])
        except ProtocolError as error:
            trail.note("request", "cannot be read" + (f", at byte {error.offset}" if error.offset is not None else ""))
            raise
        return request

    def _respond(self, request: Request, address: str, trail: Trail) -> Response:
        number = self._number_of(request)
        self._note_site(request, number, trail)
        name = page_of(request, address, status_rules(self._config)) if self._config.status.on_site else ""
        if name:
            trail.note("status", f"the page {name} of the server itself (status.on_site)")
            return Response(200)
        return finish(self._sites[number].respond(request, address, trail=trail))

    def _number_of(self, request: Request) -> int:
        site = self._hosts.of(request.host).site
        return next(number for number, one in enumerate(self._sites) if one is site)

    def _note_site(self, request: Request, number: int, trail: Trail) -> None:
        if len(self._sites) == 1:
            return
        nth = _ORDINALS[number] if number < len(_ORDINALS) else f"{number + 1}th"
        config = self._config.all_sites[number]
        host = request.host or "no host"
        if request.host and number == 0 and bare_host(host) not in map(bare_host, config.site.hosts):
            host += ", which no site has"
        trail.note("site", f"{host}: the {nth} [[site]]", config.place("site"))


def _note_head(response: Response, trail: Trail) -> None:
    """Add the fields of a response to a trail, without an entity tag: that may not have been made."""
    shown = [f"{name}: {value}" for name, value in response.headers if name.lower() not in ("etag", "location")]
    if shown:
        trail.note("head", "; ".join(shown))
