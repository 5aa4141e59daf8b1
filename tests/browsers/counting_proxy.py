"""A TCP proxy that passes bytes on as they are, and counts connections: the server's log has no line for these."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

from tests.support.wire import WAIT_S


class CountingProxy:
    """``with CountingProxy(port) as proxy: ... proxy.url ... proxy.connections``."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self._accepter = threading.Thread(target=self._accept)
        self._pumps: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> CountingProxy:
        self._accepter.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wake every thread up by ending what it waits for."""
        _shut_down(self._listener, socket.SHUT_RDWR)
        self._accepter.join(WAIT_S)
        for sock in self._sockets:
            _shut_down(sock, socket.SHUT_RDWR)
        for pump in self._pumps:
            pump.join(WAIT_S)
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._sockets.append(client)
            server = socket.create_connection(self._server)
            self._sockets.append(server)
            for source, sink in ((client, server), (server, client)):
                pump = threading.Thread(target=_pump, args=(source, sink))
                self._pumps.append(pump)
                pump.start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):  # one side has gone; the other is told below
        while data := source.recv(65536):
            sink.sendall(data)
    _shut_down(sink, socket.SHUT_WR)


def _shut_down(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it has ended already
        sock.shutdown(how)
