"""What is loaded when: little before the first answer, and all that may be needed before it is out of reach."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import httpmini
from httpmini.server.modes import MODES
from tests.support.processes import WAIT_S

PACKAGE = Path(httpmini.__file__).parent
SERVING = ("httpmini.config", "httpmini.daemon", "httpmini.protocol", "httpmini.server", "httpmini.site")

# Serves a file and a folder; prints what is loaded when clients can connect, and when a file has been sent.
START = """
import os, sys
from httpmini import config
from httpmini.cli import serve
from httpmini.daemon import server
from httpmini.daemon.build_site import build_site
from httpmini.protocol.message import Request

def announce(banner, log):
    response = build_site(read()).respond(Request("GET", "/a.txt"))
    assert response.status == 200
    print(*sys.modules, flush=True)
    os._exit(0)

def read():
    return config.load(None, config.Flags(root=sys.argv[1], mode=sys.argv[2], port=0))

server.serve(read, announce)
"""
# Serves nobody, and prints what is loaded as soon as a list of modules is; each tick loads a part of it.
IDLE = """
import os, sys, threading
from httpmini import config
from httpmini.cli import serve
from httpmini.daemon import server

def announce(banner, log):
    threading.Thread(target=watch, daemon=True).start()

def watch():
    while not all(map(sys.modules.get, sys.argv[3:])):
        threading.Event().wait(0.01)
    print(*sys.modules, flush=True)
    os._exit(0)

server.serve(lambda: config.load(None, config.Flags(root=sys.argv[1], mode=sys.argv[2], port=0)), announce)
"""
LATE = """
import sys
from httpmini.cli import serve
from httpmini.daemon import server
from httpmini.daemon.late_imports import load_late_imports

load_late_imports(tls=True)
print(*sys.modules)
"""

# Most of the time of a start is imports: these are some that take long, or that are many.
NOT_AT_THE_START = {
    *("bcrypt", "calendar", "idna", "jinja2", "json", "markdown_it", "rich", "segno", "ssl", "tarfile", "tomllib"),
    *("httpmini.daemon.to_https", "httpmini.protocol.structured", "httpmini.server.http.proxied"),
    *("httpmini.server.limits.client_limits", "httpmini.server.limits.per_address"),
    *("httpmini.site.archive.archiver", "httpmini.site.listing.listings", "httpmini.site.users"),
}
# Needed only on a terminal, where neither the root nor the user changes.
NOT_LATE = {"httpmini.server.http.progress"}


def modules_of(program: str, *arguments: str) -> set[str]:
    """Run a program in a process of its own, and return what it prints: the modules that it has loaded."""
    command = [sys.executable, "-c", program, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WAIT_S)
    return set(ended.stdout.split())


def late_imports(path: Path) -> Iterator[str]:
    """Yield the modules that functions of a file import."""
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))
    for node in (node for function in functions for node in ast.walk(function)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (_module_of(node.module, one.name) for one in node.names)


def _module_of(module: str, name: str) -> str:
    """Return the module that ``from module import name`` needs: ``name`` may be one itself."""
    return f"{module}.{name}" if _file_of(f"{module}.{name}").exists() else module


@pytest.mark.parametrize("mode", ["select", "threading"])
def test_a_start_waits_for_little(tmp_path: Path, mode: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    loaded = modules_of(START, str(tmp_path), mode)
    others = {f"httpmini.server.modes.{name}" for name in MODES} - {f"httpmini.server.modes.{mode}"}
    assert f"httpmini.server.modes.{mode}" in loaded
    assert not loaded & (NOT_AT_THE_START | others)


@pytest.mark.parametrize("mode", ["iterative", "select"])
def test_an_idle_server_loads_the_rest(tmp_path: Path, mode: str) -> None:
    """What takes long to load is there before a client needs it, though nothing happens meanwhile."""
    wanted = {"calendar", "jinja2", "markdown_it", "httpmini.protocol.structured", "httpmini.site.listing.listings"}
    assert wanted <= modules_of(IDLE, str(tmp_path), mode, *wanted)


def test_nothing_is_missing_later() -> None:
    """Of all that serves, what functions import is there once the program may be out of reach."""
    loaded = modules_of(LATE)
    missing = {
        f"{module} imports {name}"
        for module in sorted(loaded)
        if module.startswith(SERVING)
        for name in late_imports(_file_of(module))
        if name not in loaded | NOT_LATE
    }
    assert not missing


def _file_of(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
