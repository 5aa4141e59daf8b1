"""A calculator: operands, then an operator; with a handshake, so that nobody calculates by accident.

    $ python examples/calculator.py --mode threading &
    $ printf 'CALC 1\\n2\\n3.5\\n+\\n' | nc -N 127.0.0.1 51216
    CALC 1 ready
    = 5.5

The protocol, CALC 1, over TCP, by convention on port 51216:

- Both sides send lines of ASCII that end in LF. The client may end its lines in CRLF. A client's line has at most
  64 bytes before the LF.
- The client begins: ``CALC 1``. The server answers ``CALC 1 ready``. At the first byte that cannot belong to this
  line, it knows that the client speaks another protocol, says so, and closes.
- Then every line from the client is an operand or an operator.
- An operand is a decimal number: an optional sign, digits, and optionally a point and more digits; 28 significant
  digits at most. It gets no answer. Up to 32 operands wait for their operator.
- An operator is one of ``+ - * /``. It is applied from left to right to all operands since the last operator, and
  uses them up: 8, 4, 2, ``/`` is (8 / 4) / 2. A single operand is its own result. The answer is ``= RESULT``: 28
  significant digits, the last one rounded half to even, with an exponent (``1E-7``) if plain digits would be long.
- The answer to an invalid line is ``error: REASON``. The line has no effect, except that an operator uses up its
  operands even if it fails (division by zero).
- The server says ``error: REASON`` and closes if the client speaks another protocol, if a line is too long, if the
  server is stopping or busy, and if the client's last line has no LF: it may be incomplete. The client ends the
  conversation by closing its side.

Answers come in the order of the lines, so a client may send many lines without waiting. If a client does not read its
answers, the server stops reading from it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation
from functools import reduce

from run import TIMEOUTS, main

from httpmini.server.core.connection import Connection, Interest, Timeouts
from httpmini.server.limits.admission import Refusal
from httpmini.server.listeners.peer import Peer

PORT = 51216
HELLO = b"CALC 1"
LINE_BYTES = 64
OPERANDS = 32
DIGITS = 28  # the precision of Python's decimal context, so that operands are exact

_OPERAND = re.compile(rb"[+-]?[0-9]+(\.[0-9]+)?")
_OPERATORS: dict[bytes, Callable[[Decimal, Decimal], Decimal]] = {
    b"+": operator.add,
    b"-": operator.sub,
    b"*": operator.mul,
    b"/": operator.truediv,
}


class CalculatorConnection(Connection):
    """The calculations of one client: at most the bytes of one read, ``OPERANDS`` numbers and one answer."""

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        super().__init__(timeouts, now)
        self._received = bytearray()
        self._greeted = False
        self._operands: list[Decimal] = []

    def on_data(self, data: bytes, now: float) -> None:
        """Process some lines, or a part of one."""
        self._received += data
        self._take_lines(now)

    def on_flushed(self, now: float) -> None:
        """Go on with the lines that came in the same read as the one just answered."""
        super().on_flushed(now)
        self._take_lines(now)

    def on_end(self, now: float) -> None:
        """Close. An incomplete last line is an error, because half a number is another number."""
        if self._received:
            self.leave("the last line has no end", now)
        else:
            super().on_end(now)

    def drain(self, now: float) -> None:
        """Say that the server is stopping, after the answer under way, and close."""
        if not self.is_ending:
            self.leave("the server is stopping", now)

    def leave(self, reason: str, now: float) -> None:
        """Say why, and close. The client may still be sending, so linger."""
        self.send(b"error: %b\n" % reason.encode(), now=now)
        self.end(now, expects_more=True)

    def _take_lines(self, now: float) -> None:
        """Process lines until one has an answer, or no complete line is left."""
        while self.interest is Interest.READ:
            line, end, _ = bytes(self._received[: LINE_BYTES + 1]).partition(b"\n")
            if not self._greeted and not _may_be_hello(line, complete=bool(end)):
                self.leave('this is a calculator; a client begins with the line "CALC 1"', now)
            elif len(line) > LINE_BYTES:
                self.leave(f"a line has at most {LINE_BYTES} bytes", now)
            elif not end:
                return
            else:
                del self._received[: len(line) + 1]
                if answer := self._answer(line.removesuffix(b"\r")):
                    self.send(answer.encode() + b"\n", now=now)

    def _answer(self, line: bytes) -> str:
        """Return the answer to a line; empty for an operand."""
        if not self._greeted:
            self._greeted = True
            return "CALC 1 ready"
        if line in _OPERATORS:
            operands, self._operands = self._operands, []
            return _result(_OPERATORS[line], operands)
        if not _OPERAND.fullmatch(line):
            return "error: neither a decimal number nor one of + - * /"
        operand = Decimal(line.decode())
        if len(operand.as_tuple().digits) > DIGITS:
            return f"error: an operand has at most {DIGITS} digits"
        if len(self._operands) == OPERANDS:
            return f"error: there are {OPERANDS} operands already; an operator is due"
        self._operands.append(operand)
        return ""


class CalculatorService:
    """A service that calculates for accepted clients, and tells the others that it is busy."""

    def connect(self, peer: Peer, now: float) -> Connection:  # noqa: ARG002  (all clients are equal)
        """Return a connection for an accepted client."""
        return CalculatorConnection(TIMEOUTS, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:  # noqa: ARG002  (so are all refusals)
        """Return a connection that tells the client that the server is busy, and closes."""
        connection = CalculatorConnection(TIMEOUTS, now)
        connection.leave("busy, try again later", now)
        return connection

    def tick(self) -> None:
        """Do nothing: no work was deferred."""


def _may_be_hello(line: bytes, *, complete: bool) -> bool:
    """Whether ``line`` is the handshake, or, if it is not complete yet, the beginning of it."""
    return line.removesuffix(b"\r") == HELLO if complete else (HELLO + b"\r").startswith(line)


def _result(apply: Callable[[Decimal, Decimal], Decimal], operands: list[Decimal]) -> str:
    if not operands:
        return "error: there are no operands"
    try:
        return f"= {reduce(apply, operands)}"
    except (DivisionByZero, InvalidOperation):  # the second is 0 / 0
        return "error: division by zero"


if __name__ == "__main__":
    main("calculator", CalculatorService(), PORT)
