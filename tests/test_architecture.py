"""The house: imports point down, the modes know no HTTP, and what is ours by hand is not imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "httpmini"

# From the roof to the ground. A module may import from rooms below its own, and from its own.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    ("daemon", "docs", "compare"),
    ("timeline",),
    ("config",),
    ("server", "site", "client", "lint"),  # beside one another, and strangers: see STRANGERS
    ("protocol", "recording"),
    ("errors",),
    ("addresses", "files", "reasons", "token_bucket", "version", "work"),
)
# Rooms on one floor do not know each other: the server takes its site as a Protocol of its own, and the client could be
# taken out without the server noticing.
STRANGERS = ("server", "site", "client", "lint")

FORBIDDEN = ("http.server", "http.client", "socketserver", "asyncio", "urllib.request", "mimetypes", "wsgiref")

# What knows no protocol, and so must not know HTTP's messages. The layout shows it: these rooms, and nothing by name.
NEUTRAL_ROOMS = ("server/core", "server/listeners", "server/limits", "server/modes", "server/tls")
NEUTRAL = [
    "daemon/lifecycle.py",
    "daemon/plan.py",
    "server/logs/error.py",
    "server/logs/file.py",
    *sorted(str(path.relative_to(PACKAGE)) for room in NEUTRAL_ROOMS for path in (PACKAGE / room).rglob("*.py")),
]


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _imports(path: Path, *, typing_too: bool = True) -> tuple[str, ...]:
    """Return the dotted names that a module imports, wherever in it."""
    return tuple(_find_imports(path, typing_too=typing_too))


def _find_imports(path: Path, *, typing_too: bool) -> Iterator[str]:
    tree = _tree(path)
    hidden: set[ast.AST] = set()
    if not typing_too:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                hidden.update(child for statement in node.body for child in ast.walk(statement))
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(dotted: str) -> str | None:
    """The room of an import, or None when it is not ours."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "httpmini" and len(parts) > 1 else None


def _floor(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def _room_of_file(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_point_down() -> None:
    for path in _modules():
        here = _room_of_file(path)
        for dotted in _imports(path, typing_too=False):
            there = _room(dotted)
            if there is None or there == here:
                continue
            assert _floor(there) > _floor(here), f"{path} imports {dotted}, which is not below it"


def test_every_room_has_a_floor() -> None:
    rooms = {_room_of_file(path) for path in _modules()}
    assert rooms == {room for floor in FLOORS for room in floor}


# The rooms of the server, from the roof to the ground, as above.
SERVER_FLOORS: tuple[tuple[str, ...], ...] = (
    ("http", "modes", "tls"),
    ("core",),
    ("limits",),
    ("logs",),
    ("listeners",),
)


def test_imports_of_the_server_point_down() -> None:
    floors = {room: floor for floor, rooms in enumerate(SERVER_FLOORS) for room in rooms}
    for path in sorted((PACKAGE / "server").rglob("*.py")):
        room, *rest = path.relative_to(PACKAGE / "server").parts
        if not rest:
            assert room == "__init__.py", "every file of the server is in a room"
            continue
        for dotted in _imports(path, typing_too=False):
            if dotted.startswith("httpmini.server."):
                there = dotted.split(".")[2]
                assert there == room or floors[there] > floors[room], f"{path} imports {dotted}"


def test_ours_by_hand() -> None:
    for path in _modules():
        for dotted in _imports(path):
            assert not dotted.startswith(FORBIDDEN), f"{path} imports {dotted}"


def test_modes_know_no_http() -> None:
    for name in NEUTRAL:
        ours = {dotted for dotted in _imports(PACKAGE / name) if _room(dotted) in ("protocol", "site")}
        assert all(dotted.startswith("httpmini.protocol.body.") for dotted in ours), (name, ours)
        assert not any(dotted.startswith("httpmini.server.http.connection") for dotted in _imports(PACKAGE / name)), (
            name
        )


@pytest.mark.parametrize("room", ["protocol", "site"])
def test_no_sockets_in_rooms_without_windows(room: str) -> None:
    windows = ["socket", "select", "selectors", "signal", "threading", "subprocess"]
    if room == "protocol":
        windows += ["os", "io", "pathlib"]
    for path in (PACKAGE / room).rglob("*.py"):
        for dotted in _imports(path):
            assert dotted.split(".")[0] not in windows, f"{path.name} imports {dotted}"


def test_there_is_no_circle() -> None:
    """Modules of one room may import each other, but never in a ring."""
    graph = {
        ".".join(("httpmini", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in _modules()
    }
    edges = {
        module: {
            target
            for dotted in _imports(path, typing_too=False)
            for target in (dotted, dotted.rpartition(".")[0])
            if target in graph and target != module
        }
        for module, path in graph.items()
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for target in edges[module]:
                visit(target, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_size_of_things() -> None:
    """A page of a textbook: functions below 50 lines, files below 500."""
    for path in _modules():
        assert path.read_text().count("\n") < 500, path
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                assert node.end_lineno - node.lineno < 50, (path, node.name)


@pytest.mark.parametrize("path", sorted((PACKAGE / "server" / "modes").glob("*.py")), ids=lambda path: path.name)
def test_a_mode_is_read_in_one_sitting(path: Path) -> None:
    assert path.read_text().count("\n") < 120
