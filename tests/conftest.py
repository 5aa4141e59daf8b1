"""Fixtures for all tests: the modes, servers to start, a site to serve, and a check for leaks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from httpmini.lint.cases.site_tree import changed, shared_site
from httpmini.server.modes import MODES
from httpmini.site.freshness import SETTLED_S
from tests.support.processes import ServerProcess, eventually, fork_server

StartServer = Callable[..., ServerProcess]

# A shell starts what it runs in the background with SIGINT ignored, nohup(1) with SIGHUP, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# An example does not fail because the machine is busy.
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take long, or some workers have nothing to do while the others end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(params=sorted(MODES))
def mode(request: pytest.FixtureRequest) -> str:
    """Run the test that takes this in every mode."""
    return str(request.param)


@pytest.fixture(scope="session")
def site() -> Path:
    """Return the folder of ``site_tree``, once its dates are told. Tests must not change it."""
    root = shared_site()
    eventually(lambda: time.time() >= changed(root) + 2, "the second of the last change is over")
    return root


@pytest.fixture(scope="session")
def old_site(site: Path) -> Path:
    """Return the site, once its files are old enough for responses to be cached."""
    youngest = max(
        os.lstat(os.path.join(folder, name)).st_ctime for folder, _, names in os.walk(site) for name in names
    )
    eventually(lambda: time.time() > youngest + SETTLED_S, "the files are old")
    return site


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers: ``start(ROOT, "--mode", "select", config="[limits]...")``.

    At the end of the test they are stopped, and must end cleanly.
    """
    servers: list[ServerProcess] = []

    def start_server(
        root: Path | str, *arguments: str, config: str = "", wrapper: tuple[str, ...] = ()
    ) -> ServerProcess:
        if config:
            file = tmp_path / f"config-{len(servers)}.toml"
            file.write_text(config)
            arguments = ("-c", str(file), *arguments)
        server = ServerProcess([str(root), "--port", "0", *arguments], wrapper)
        servers.append(server)
        return server

    try:
        yield start_server
        for server in servers:
            server.assert_clean_end()
    finally:
        for server in servers:
            server.kill()


@pytest.fixture(autouse=True, scope="session")
def _fork_server() -> Iterator[None]:
    """Start the fork server before any test, so that it does not count as left behind by one."""
    fork_server()
    yield
    fork_server().close()


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that a test leaves no descriptor, thread or child process behind in its own process."""
    if request.node.get_closest_marker("browser_test"):  # Playwright keeps some for the whole session
        yield
        return
    before = _belongings()
    yield
    assert _belongings() == before


def _belongings() -> dict[str, int]:
    children = sum(_children_of(task) for task in os.listdir("/proc/self/task"))
    return {"descriptors": len(os.listdir("/proc/self/fd")), "threads": threading.active_count(), "children": children}


def _children_of(task: str) -> int:
    try:
        return len(Path(f"/proc/self/task/{task}/children").read_text().split())
    except FileNotFoundError:  # the thread has just ended
        return 0
