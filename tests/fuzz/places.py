"""What must hold for any bytes where a disk is needed: a conversation with a real site, users files, config files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import h11
from msgspec.structs import replace

from httpmini import config
from httpmini.daemon.build_http import build_http
from httpmini.daemon.build_site import build_site
from httpmini.errors import ConfigError, Problem, ProtocolError
from httpmini.lint.cases.site_tree import SECRET, make_site
from httpmini.protocol.reader import NEED_DATA, HeadLimits, RequestReader
from httpmini.server.core.connection import Interest
from httpmini.server.http.generation import HttpGeneration
from httpmini.server.http.response_cache import ResponseCache
from httpmini.server.http.service import HttpService
from httpmini.site.users import Users, problems
from tests.fuzz.protocol import Check, arrivals
from tests.support.logs import log_into
from tests.support.sans_io import PEER, Conversation

_DATE = re.compile(r"\[[^]]*\]")  # of a line in the log


def _of_line(line: str) -> str:
    """Return what of a line may not depend on how the request arrived: all but the time, and what was refused early."""
    line = _DATE.sub("", line)
    return line[line.index('" 4') :] if " reason=" in line and '" 4' in line else line


class _Talk(Conversation):
    """A conversation that uses the same site and cache as others, at a time that stands still."""

    def __init__(self, generation: HttpGeneration, log: list[str], errors: list[str]) -> None:
        self.log, self.errors, self.said = log, errors, b""
        self.service = HttpService(generation)
        self.connection = self.service.connect(PEER, 0.0)


def _wall() -> float:
    """Return a time that stands still, at which all files are old: else a tag would be weak at first only."""
    return 4_000_000_000.0


def _serve(root: Path, log: list[str], errors: list[str]) -> HttpGeneration:
    settings = config.load(None, config.Flags(root=str(root)))
    site = replace(build_site(settings), wall=_wall)
    generation = build_http(settings, [site], lambda _place: log.append, log_into(errors))
    cache = ResponseCache(settings.limits.response_cache_bytes, _wall)
    return replace(generation, wall=_wall, cache=cache)


def conversations(folder: Path) -> Check:
    """Answers are whole messages from inside the root, however the requests arrive and whatever is cached."""
    root = folder / "www"
    if not root.exists():
        make_site(folder)
        (root / "big.bin").write_bytes(bytes(3000))
    log: list[str] = []
    errors: list[str] = []
    warm = _serve(root, log, errors)
    cold = replace(warm, cache=ResponseCache(0, _wall))

    def answers(pieces: list[bytes], generation: HttpGeneration) -> tuple[bytes, list[str]]:
        log.clear()
        talk = _Talk(generation, log, errors)
        for piece in pieces:
            talk.hear(piece)
        talk.hear(b"")
        assert talk.connection.interest is Interest.CLOSED
        assert talk.errors == []
        return talk.said, [_of_line(line) for line in talk.log]

    def check(data: bytes) -> None:
        data, ways = arrivals(data)
        said, lines = answers(ways[0], cold)
        assert SECRET not in said
        _parse_with_h11(data, said)
        for pieces in ways:
            assert answers(pieces, warm) == (said, lines)
        assert answers(ways[1], cold) == (said, lines)

    return check


def _methods(data: bytes) -> list[str]:
    """Return the methods of the requests in ``data`` that are answered; "" for an HTTP/0.9 response."""
    reader = RequestReader(_limits())
    reader.feed(data)
    found = []
    try:
        while (request := reader.next()) is not NEED_DATA:
            found.append("" if request.version < (1, 0) else request.method)
            if request.content_length or not request.persistence.wants_keep_alive:
                return found
    except ProtocolError:
        pass
    return [*found, reader.method or "GET"]


@cache
def _limits() -> HeadLimits:
    settings = config.load(None, config.Flags(root="/"))
    return HeadLimits(settings.limits.head_bytes, settings.limits.target_bytes, settings.limits.fields)


def _parse_with_h11(data: bytes, said: bytes) -> None:
    """Assert that ``said`` are whole responses and nothing else."""
    for method in _methods(data):
        if not said or not method:
            return
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method=method if method.isalpha() else "GET", target="/", headers=[("Host", "h")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(said)
        event = reader.next_event()
        assert isinstance(event, h11.Response), event
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data), event
        said = reader.trailing_data[0]
    assert said == b""


def htpasswd(folder: Path) -> Check:
    """Whoever ``config check`` has no complaint of can log in, and nobody else is known."""
    path = folder / "users"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        wrong = {number for number, _ in problems(str(path))}
        lines = [line.strip() for line in data.splitlines()]
        right = [line.partition(b":")[0] for number, line in enumerate(lines, 1) if number not in wrong and line]
        known = set(Users(str(path))._table.entries)
        assert known == {name for name in right if not name.startswith(b"#")}
        assert not any(name != name.strip() or not name for name in known)

    return check


def config_files(folder: Path) -> Check:
    """A file is taken, and shown it means the same; or refused with lines that name it."""
    path = folder / "httpmini.toml"
    (folder / "www").mkdir(exist_ok=True)
    (folder / "users").write_bytes(b"ada:$2b$04$" + b"." * 53 + b"\n")

    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            settings = config.load(str(path), to_serve=True)
        except ConfigError as error:
            _check_problems(error.problems, str(path))
            return
        assert "root" in tomllib.loads(data.decode()).get("site", {}) or settings.others or b"site" in data
        path.write_text(config.show(settings), "utf-8", "surrogateescape")
        with suppress(UnicodeDecodeError):
            assert config.differences(settings, config.load(str(path), to_serve=True)) == []

    return check


def _check_problems(found: list[Problem], path: str) -> None:
    assert found
    for problem in found:
        assert str(problem).isprintable()
        assert problem.source == path


PLACES: dict[str, Callable[[Path], Check]] = {
    "conversations": conversations,
    "htpasswd": htpasswd,
    "config_files": config_files,
}
