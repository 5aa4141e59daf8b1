"""One user in memory, for the time that a server runs: the password of ``httpmini serve --password``."""

from __future__ import annotations

import hmac
import os

from httpmini.site.guesses import Guesses
from httpmini.work import HASHES, Work


class OneUser:
    """The only user of a realm. The password itself is not kept.

    Every check is a guess that is paid for (``guesses.py``), and given back if it is right. So there is no reason for a
    slow hash: nobody but this process has what is compared.

    Args:
        name: the user; "" admits any name.
        password: the password.

    Attributes:
        guesses: how often each address has been wrong.
    """

    def __init__(self, name: str, password: str) -> None:
        self.guesses = Guesses()
        self._key = os.urandom(32)
        self._any_name = not name
        self._digest = self._make_digest(_octets(name), _octets(password))

    def check(self, name: bytes, password: bytes) -> Work[bool]:
        """Return the work that finds out whether these octets are right."""
        digest = self._make_digest(name, password)
        return Work(HASHES, lambda: hmac.compare_digest(digest, self._digest))

    def _make_digest(self, name: bytes, password: bytes) -> bytes:
        name = b"" if self._any_name else name
        return hmac.digest(self._key, b"%d:%b:%b" % (len(name), name, password), "sha256")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
