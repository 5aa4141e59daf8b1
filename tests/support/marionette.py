"""Firefox without scripts, driven by its own protocol (Marionette): Playwright drives it with scripts of its own only.

Messages are JSON arrays with their length in front: ``[0, number, command, parameters]``, and as an answer
``[1, number, error, value]``.
"""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.processes import WAIT_S, eventually

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of a reference (W3C WebDriver §12.1)
_SETTINGS = {
    "javascript.enabled": "false",
    "marionette.port": "0",
    "datareporting.policy.dataSubmissionEnabled": "false",
    "app.update.disabledForTesting": "true",
    "network.captive-portal-service.enabled": "false",
}


class FirefoxWithoutScripts:
    """A context manager: one Firefox with one window.

    Args:
        program: the path of the browser.
        profile: an empty folder.
    """

    def __init__(self, program: str, profile: Path) -> None:
        lines = [f'user_pref("{name}", {value});\n' for name, value in _SETTINGS.items()]
        (profile / "user.js").write_text("".join(lines))
        command = [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            file = profile / "MarionetteActivePort"
            eventually(lambda: file.exists() and file.read_text().isdecimal(), "Firefox listens")
            self._socket = socket.create_connection(("127.0.0.1", int(file.read_text())), WAIT_S)
            self._received = b""
            self._number = 0
            self._read()  # its greeting
            self._ask("NewSession")
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> FirefoxWithoutScripts:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._socket.close()
        self._end()

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("Navigate", url=url)

    @property
    def url(self) -> str:
        """The page's address."""
        return str(self._ask("GetCurrentURL"))

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element that is shown and has one."""
        return list(filter(None, (self._ask("GetElementText", id=one) for one in self._find(selector))))

    def click(self, selector: str, text: str = "") -> None:
        """Click on the first element that shows ``text``, and wait for the page that it leads to."""
        found = next((one for one in self._find(selector) if text in self._ask("GetElementText", id=one)), None)
        assert found, f"nothing at {selector} shows {text!r}"
        self._ask("ElementClick", id=found)

    def write(self, selector: str, text: str) -> None:
        """Write into a field."""
        self._ask("ElementSendKeys", id=self._find(selector)[0], text=text)

    def _find(self, selector: str) -> list[str]:
        return [one[_ELEMENT] for one in self._ask("FindElements", using="css selector", value=selector)]

    def _ask(self, command: str, **parameters: object) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, f"WebDriver:{command}", parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, value = self._read()
        assert (number, error) == (self._number, None), f"{command}: {error}"
        return value["value"] if isinstance(value, dict) and list(value) == ["value"] else value

    def _read(self) -> Any:
        while b":" not in self._received:
            self._receive()
        length, _, self._received = self._received.partition(b":")
        while len(self._received) < int(length):
            self._receive()
        message, self._received = self._received[: int(length)], self._received[int(length) :]
        return json.loads(message)

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        assert data, "Firefox has hung up"
        self._received += data

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(WAIT_S)
