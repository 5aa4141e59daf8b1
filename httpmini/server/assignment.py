"""What a mode is handed: everything it works with, and nothing of what is spoken."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from httpmini.server.admission import Admission
from httpmini.server.connection import Service
from httpmini.server.control import Control


@dataclass(frozen=True)
class Assignment:
    """The work of one mode.

    Attributes:
        listeners: listening sockets that do not block; lent, not given: a mode never closes them.
        service: makes the conversations.
        admission: gives the slots.
        control: says when to finish.
        log: takes one line about the server itself.
    """

    listeners: Sequence[socket.socket]
    service: Service
    admission: Admission
    control: Control
    log: Callable[[str], None]
