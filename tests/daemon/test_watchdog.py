"""The watchdog is fed while many passwords are checked."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from pathlib import Path

from httpmini.site.users import set_password
from tests.conftest import StartServer
from tests.support.processes import WAIT_S
from tests.support.small_site import write_tree
from tests.support.wire import connect, read_answer

CLIENTS = 20
GUESS = b"GET /private/ HTTP/1.0\r\nAuthorization: Basic YWRhOndyb25n\r\n\r\n"


def test_the_watchdog_is_fed_while_passwords_are_checked(start: StartServer, mode: str, tmp_path: Path) -> None:
    """All passwords are checked at once, which takes many times as long as the watchdog waits."""
    set_password(str(tmp_path / "users"), "ada", "right", 10)
    root = write_tree(tmp_path / "www", {"private/secret.txt": b"secret"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, ExitStack() as stack:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WAIT_S)
        wrapper = ("env", f"NOTIFY_SOCKET={manager.getsockname()}", "WATCHDOG_USEC=100000")
        config = '[[realms]]\npath = "/private"\nusers = "users"\n'
        server = start(root, "--mode", mode, config=config, wrapper=wrapper)
        guesses = [stack.enter_context(connect(server.port)) for _ in range(CLIENTS)]
        for guess in guesses:
            guess.sendall(GUESS)
        assert read_answer(guesses[0])[0] == 401
        while select.select([manager], [], [], 0)[0]:
            manager.recv(4096)
        fed = 0
        while not all(select.select([guess], [], [], 0)[0] for guess in guesses):
            assert manager.recv(4096) == b"WATCHDOG=1"
            fed += 1
        assert [read_answer(guess)[0] for guess in guesses[1:]] == [401] * (CLIENTS - 1)
        while select.select([manager], [], [], 0)[0]:  # what came before this process looked
            assert manager.recv(4096) == b"WATCHDOG=1"
            fed += 1
        assert fed > 3
