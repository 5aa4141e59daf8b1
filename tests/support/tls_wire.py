"""The client's side of TLS, with every octet in our hands: over a socket, or without one."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from contextlib import suppress

from tests.support.wire import connect


class TlsEnd:
    """One end of a TLS connection without I/O.

    Args:
        context: of this side.
        name: whom to ask for; None for no name. It is not compared with the certificate unless the context says so.

    Attributes:
        said: the plain octets of the other side so far.
        was_ended: whether the other side has said goodbye (close_notify).
    """

    def __init__(self, context: ssl.SSLContext, name: str | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.said = bytearray()
        self.was_ended = False
        self.is_established = False

    def hear(self, records: bytes) -> bytes:
        """Take octets of the other side; ``b""`` is the end of its stream. Return what is to be sent to it."""
        if records:
            self._incoming.write(records)
        else:
            self._incoming.write_eof()
        if not self.is_established:
            with suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                self.is_established = True
        if self.is_established:
            self._read()
        return self._outgoing.read()

    def start(self) -> bytes:
        """Return the beginning of the handshake."""
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def say(self, data: bytes) -> bytes:
        """Return ``data`` as records."""
        self.tls.write(data)
        return self._outgoing.read()

    def end(self) -> bytes:
        """Return our goodbye; what the other side still says can be heard."""
        with suppress(ssl.SSLError):
            self.tls.unwrap()
        return self._outgoing.read()

    def _read(self) -> None:
        try:
            while data := self.tls.read(65536):
                self.said += data
            self.was_ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError) as error:
            self.was_ended = isinstance(error, ssl.SSLZeroReturnError)


def unverified() -> ssl.SSLContext:
    """Return a context for a client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def converse_tls(
    port: int, pieces: Iterable[bytes], context: ssl.SSLContext, name: str | None = None
) -> tuple[bytes, TlsEnd]:
    """Send the pieces, each in a record of its own, end our side, and return everything that the server says.

    Raises:
        AssertionError: the server has ended the stream without a goodbye.
    """
    end = TlsEnd(context, name)
    with connect(port) as sock:
        sock.sendall(end.start())
        while not end.is_established:
            heard = sock.recv(65536)
            assert heard, "the server hung up in the handshake"
            sock.sendall(end.hear(heard))
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                sock.sendall(end.say(piece))
            sock.sendall(end.end())
        while not end.was_ended:
            heard = sock.recv(65536)
            end.hear(heard)
            assert heard or end.was_ended, "it has ended without a goodbye"
    return bytes(end.said), end
