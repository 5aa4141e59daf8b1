"""The progress of long responses, for people who watch: one JSON object for each client now and then.

    {"sending":"/film.mp4","client":"192.0.2.7","port":40212,"sent":1048576,"total":734003200}

Each process writes these between the lines of its access log, never for a response that is short or cached.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from httpmini.server.core.transfer import Client
from httpmini.server.logs.json_lines import quote

PACE_S = 0.2  # for one client; people read no faster
_MOST = 1024  # clients whose last line is remembered


class ProgressLog:
    """Writes a line for each client that is sent a long response.

    Args:
        write: takes a line without its end.
        now: the monotonic clock.
    """

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now = now
        self._due: dict[int, float] = {}

    def tell(self, client: Client) -> None:
        """Write the line of ``client``, unless it was written just now. Threads may call this."""
        sending = client.connection.sending
        if sending is None:
            return
        peer, now = client.peer, self._now()
        if now < self._due.get(peer.number, 0.0):
            return
        if len(self._due) > _MOST:
            self._due.clear()
        self._due[peer.number] = now + PACE_S
        self._write(
            f'{{"sending":{quote(sending.what)},"client":{quote(peer.host)},"port":{peer.port},'
            f'"sent":{sending.sent},"total":{sending.total}}}'
        )
