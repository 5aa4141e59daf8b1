"""TLS around any connection, without I/O: octets of records in and out, plain octets for the connection inside.

    mode --octets--> TlsConnection --plain octets--> the connection inside, made when the handshake is complete

What is sent is encrypted in batches, each when the one before has left. So a connection holds one batch at most, a turn
encrypts no more than a few of them, and the connection inside hears of its octets when the kernel has them. No more is
read while there is something to send. Files are read, not sent by ``sendfile``: the kernel has no keys.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from contextlib import suppress

from httpmini.protocol.body import FileSlice, Promise, ReadyPiece
from httpmini.server.core.connection import CLOSED, LINGER, READ, WRITE, Connection
from httpmini.server.core.turn import NO_TURN
from httpmini.server.listeners.peer import Peer, Tls
from httpmini.server.logs.error import Level
from httpmini.server.tls.security import Security

BATCH_BYTES = 64 * 1024  # of plain octets: four full records
READ_BYTES = 16 * 1024  # what a record holds at most (RFC 8446 §5.1)

Connect = Callable[[Peer, float], Connection]
"""Makes the connection inside, for a client whose handshake is complete."""
RefusePlain = Callable[[Peer, float], Connection]
"""Makes a connection that tells a client without TLS what is wrong, and ends."""


class TlsConnection(Connection):
    """One client's conversation, encrypted.

    Args:
        security: the certificates, and how long a handshake may take.
        peer: the client.
        connect: makes the connection inside.
        refuse_plain: says no to a client that speaks the protocol inside without TLS; None to hang up.
        now: the time.
    """

    __slots__ = (
        "_batch",
        "_connect",
        "_handshake_s",
        "_hello",
        "_incoming",
        "_inner",
        "_is_retiring",
        "_outgoing",
        "_peer",
        "_refuse_plain",
        "_said_goodbye",
        "_security",
        "_tls",
    )

    def __init__(
        self, security: Security, peer: Peer, connect: Connect, refuse_plain: RefusePlain | None, now: float
    ) -> None:
        super().__init__(security.timeouts, now)
        self._security = security
        self._peer = peer
        self._connect = connect
        self._refuse_plain = refuse_plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = security.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._inner: Connection | None = None
        self._hello: float | None = None  # when the first octet of the handshake came
        self._handshake_s = 0.0  # how long it took
        self._batch: list[int] = []  # how many plain octets of each piece are being sent
        self._said_goodbye = False
        self._is_retiring = False

    # What the owner of the socket reports.

    def receive(self, data: bytes, now: float, turn: int = NO_TURN) -> bytes | None:
        """Take octets of the peer; a small response that is ready leaves in this step, as without TLS."""
        inner, tls = self._inner, self._tls
        if inner is None or tls is None or not data or self.next_interest is not READ:
            return super().receive(data, now, turn)
        self._incoming.write(data)
        try:
            plain = tls.read(READ_BYTES)
        except ssl.SSLError:  # nothing whole yet, a goodbye, or a failure
            plain = b""
        if not plain:
            self._go_on(now)
            return None
        octets = inner.receive(plain, now, turn)
        if octets is None or self._incoming.pending or tls.pending() or len(octets) > BATCH_BYTES:
            if octets is not None:
                inner.send_later(octets, 0, now)
            self._go_on(now)
            return None
        tls.write(octets)
        self._batch.append(len(octets))
        if inner.next_interest is not READ:
            self._say_goodbye(tls)
            self._settle(inner)
        return self._outgoing.read()

    def on_data(self, data: bytes, now: float) -> None:
        """Take octets that need more than one step: a part of the handshake, or what follows a response."""
        if self._hello is None:
            self._begin(data, now)
        if self._tls is not None:
            self._incoming.write(data)
        self._go_on(now)

    def on_end(self, now: float) -> None:
        """Take the end of what the peer sends. It may have been cut off: a part of a request is refused in any case.

        OpenSSL is not told, since it would take an end without a goodbye for a reason to send nothing more.
        """
        if self._hello is None:
            self.abandon()
            return
        self._go_on(now)

    def sent_at_once(self, count: int, now: float) -> None:
        """Tell the connection inside that its response has left."""
        self.sent_bytes += count
        inner = self._inner
        if inner is not None:
            inner.sent_at_once(self._batch.pop(), now)
            if inner.next_interest is READ and not inner.output:  # the same in short, as after most small responses
                self.timeouts, self.deadline = inner.timeouts, inner.deadline
            elif inner.output:
                self._go_on(now)
            else:
                self._settle(inner)

    def send_later(self, octets: bytes, count: int, now: float) -> None:
        """Queue what ``receive`` returned; the connection inside waits for all of it."""
        if self._inner is not None:
            self._inner.send_later(bytes(self._batch[0]), 0, now)  # only its length matters: it is encrypted already
        super().send_later(octets, count, now)

    def sent(self, count: int, now: float) -> None:
        """Note that octets of records have been sent; when a batch has left, go on with the next one."""
        self.sent_bytes += count
        self.position += count
        if self.position == len(self.output[0]):
            del self.output[0]
            self.position = 0
        if self.output:
            self.deadline = now + self.timeouts.send_stall_s
            return
        batch, self._batch = self._batch, []
        if self._inner is not None:
            for length in batch:
                self._inner.sent(length, now)
        self._go_on(now)

    def work_done(self, now: float) -> None:
        """Pass on that the work is done; the connection may have been lost meanwhile."""
        self.work = None
        if self._inner is not None:
            self._inner.work_done(now)
            self._go_on(now)

    def resume(self, now: float) -> None:
        """End a pause that a limit on the rate has asked for."""
        if self._inner is not None:
            self._inner.resume(now)
            self._go_on(now)

    def drain(self, now: float) -> None:
        """Finish what is being answered; a handshake is not, and nothing has been asked yet."""
        if self._inner is None:
            self.abandon()
        else:
            self._inner.drain(now)
            self._go_on(now)

    def retire(self, now: float) -> None:
        """Answer what the peer came for, also if its handshake is still to be completed."""
        self._is_retiring = True
        if self._inner is not None:
            self._inner.retire(now)
            self._go_on(now)

    def abandon(self) -> None:
        """Wait for nothing more."""
        super().abandon()
        if self._inner is not None:
            self._inner.abandon()

    def lose(self, now: float) -> None:
        """Give up the connection; a response inside that is not complete makes the peer see that it broke."""
        super().lose(now)
        self.aborted = self._inner is not None and self._inner.aborted

    def on_lost(self, now: float) -> None:
        """Have the connection inside note what was cut off."""
        if self._inner is not None:
            self._inner.lose(now)

    def on_timeout(self, now: float) -> None:
        """React to a silence of the peer: that is for the connection inside, if there is one."""
        if self._inner is None:
            if self._hello is not None:
                self._log(f"sent no whole TLS handshake within {now - self._hello:.1f} s")
            self.abandon()
        else:
            self._inner.on_timeout(now)
            self._go_on(now)

    @property
    def quiet_since(self) -> float:
        """While it waits: since the beginning of the handshake, or what the connection inside says."""
        if self._inner is not None and self.next_interest is READ:
            return self._inner.quiet_since
        return super().quiet_since if self._hello is None or self._inner is not None else self._hello

    # The handshake.

    def _begin(self, data: bytes, now: float) -> None:
        """Start the clock of the handshake, with which that of the first head goes on."""
        self._hello = now
        self.deadline = now + self._security.handshake_s
        if data[:1].isalpha():  # a record begins with a small number (RFC 8446 §5.1), a request without TLS so
            self._tls = None
            self._log("spoke without TLS at a TLS port")
            if self._refuse_plain is None:
                self.abandon()
            else:
                self._inner = self._refuse_plain(self._peer, now)

    def _shake_hands(self, tls: ssl.SSLObject, now: float) -> None:
        """Go on with the handshake; when it is complete, make the connection inside."""
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush(now)
            if self._peer_ended:
                self._log("left in the middle of the TLS handshake")
                self.abandon()
            elif self._hello is not None:
                self.deadline = self._hello + self._security.handshake_s
            return
        except (ssl.SSLError, OSError) as error:
            self._fail(error, now)
            return
        if self._hello is not None:
            self._handshake_s = now - self._hello
        cipher = tls.cipher()
        self._peer = self._peer._replace(tls=Tls(tls.version() or "", cipher[0] if cipher else ""))
        self._inner = self._connect(self._peer, now)
        if self._is_retiring:
            self._inner.retire(now)
        self._flush(now)

    def _fail(self, error: Exception, now: float) -> None:
        """Give up: what the peer sent is no TLS, or not ours. It is told so by an alert, if OpenSSL has one."""
        reason = getattr(error, "reason", None) or str(error)
        self._log(f"TLS failed: {reason.replace('_', ' ').lower()}")
        if self._inner is not None:
            self._inner.lose(now)
        self.abandon()
        self._said_goodbye = True
        self._flush(now)

    def _log(self, said: str) -> None:
        self._security.log(f"{self._peer.host}:{self._peer.port} {said}", Level.INFO)

    # Records.

    def _go_on(self, now: float) -> None:
        """Do what can be done until octets have to be sent, or to come."""
        if self._inner is None and self._tls is not None and self.next_interest is READ and not self.output:
            self._shake_hands(self._tls, now)
        inner = self._inner
        while inner is not None and not self.output:
            interest = inner.interest
            if interest is WRITE:
                if not self._encrypt(inner, now):
                    break
            elif interest is READ and self._tls is not None:
                if not self._decrypt(inner, self._tls, now):
                    break
            elif inner.aborted:  # a promise was broken: no goodbye, the client must see a cut
                self.lose(now)
                return
            else:
                if (interest is LINGER or interest is CLOSED) and self._tls is not None and not self._said_goodbye:
                    self._say_goodbye(self._tls)
                    self._flush(now)
                break
        if inner is not None:
            self._settle(inner)

    def _settle(self, inner: Connection) -> None:
        """Wait for what the connection inside waits for."""
        self.timeouts, self.work, self.expects_more = inner.timeouts, inner.work, inner.expects_more
        interest = inner.interest
        self.next_interest = inner.next_interest if interest is WRITE else interest
        if not self.output:
            self.deadline = inner.deadline
            if interest is READ and not inner.sent_bytes:
                self.deadline -= self._handshake_s  # the handshake counts as a part of the first head

    def _decrypt(self, inner: Connection, tls: ssl.SSLObject, now: float) -> bool:
        """Pass on what has arrived; return False if that is nothing."""
        plain = self._read(tls, now)
        if plain is None:
            self._flush(now)
            return False
        octets = inner.receive(plain, now, self.turn)
        if octets is not None:
            inner.send_later(octets, 0, now)
        return True

    def _read(self, tls: ssl.SSLObject, now: float) -> bytes | None:
        """Return plain octets of the peer: ``b""`` for its end, None if there are none now, or it failed."""
        try:
            return tls.read(READ_BYTES)
        except ssl.SSLWantReadError:
            return b"" if self._peer_ended else None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            self._fail(error, now)
            return None

    def _encrypt(self, inner: Connection, now: float) -> bool:
        """Encrypt the next batch; return False if the rate allows none now, or a file has shrunk."""
        room, position = BATCH_BYTES, inner.position
        if inner.throttle is not None:
            room = min(room, inner.ask_to_send(inner.throttle, now))
        for piece in inner.output:
            if not room or isinstance(piece, Promise):  # what is promised is made when all before it has left
                break
            data = _read_piece(piece, position, room)
            if not data:  # it must not end as if it were whole
                self.lose(now)
                return False
            self._seal(data)
            self._batch.append(len(data))
            if len(data) < len(piece) - position or inner.throttle is not None:
                break
            room, position = room - len(data), 0
        else:
            if inner.is_ending and self._tls is not None:
                self._say_goodbye(self._tls)
        return self._flush(now)

    def _seal(self, data: bytes | memoryview) -> None:
        if self._tls is not None:
            self._tls.write(data)
        else:  # a client without TLS is told so in the clear
            self._outgoing.write(data)

    def _say_goodbye(self, tls: ssl.SSLObject) -> None:
        """Add our close_notify to what is sent: without it, the peer could not tell an end from a cut."""
        self._said_goodbye = True
        with suppress(ssl.SSLError, OSError):  # it also asks for the peer's, which is not waited for
            tls.unwrap()

    def _flush(self, now: float) -> bool:
        """Queue the records that were made; return whether there are any."""
        octets = self._outgoing.read()
        if octets:
            self.send(octets, now=now)
        return bool(octets)


def _read_piece(piece: ReadyPiece, position: int, most: int) -> bytes | memoryview:
    """Return at most ``most`` octets of a piece; none if its file has shrunk, or cannot be read."""
    if not isinstance(piece, FileSlice):
        return memoryview(piece)[position : position + most]
    try:
        return os.pread(piece.fd, min(piece.length - position, most), piece.offset + position)
    except OSError:
        return b""
