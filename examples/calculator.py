"""A calculator: operands, then an operator; and a handshake, so that nobody calculates by accident.

    $ python examples/calculator.py --mode threading &
    $ printf 'CALC 1\\n2\\n3.5\\n+\\n' | nc -N 127.0.0.1 51216
    CALC 1 ready
    = 5.5

The protocol, CALC 1, over TCP, by convention on port 51216:

- Both sides send lines of ASCII that end in LF. The client may end its lines in CRLF. A client's line has at most
  64 bytes before the LF.
- The client begins: ``CALC 1``. The server answers ``CALC 1 ready``. At the first byte that cannot belong to this
  line it knows that the client speaks something else, says so, and closes.
- Then every line of the client is an operand or an operator.
- An operand is a decimal number: an optional sign, digits, and optionally a point and more digits; 28 significant
  digits at most. It is not answered. Up to 32 operands wait for their operator.
- An operator is one of ``+ - * /``. It is applied from left to right to all operands since the last operator, and
  uses them up: 8, 4, 2, ``/`` is (8 / 4) / 2. A single operand is its own result. The answer is ``= RESULT``: 28
  significant digits, the last one rounded half to even, with an exponent (``1E-7``) where plain digits would be long.
- A line that cannot be obeyed is answered ``error: REASON`` and changes nothing, except that an operator uses up its
  operands even when it fails (division by zero).
- The server says ``error: REASON`` and closes when the client speaks something else, when a line is too long, when
  the server is stopping or busy, and when the client's last line has no LF: it may have been cut. The client ends the
  conversation by ending its side.

Answers come in the order of the lines, so a client may send many without waiting. One that does not read its answers
is not read from.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal, DivisionByZero, InvalidOperation
from functools import reduce

from run import TIMEOUTS, main

from httpmini.server.core.connection import Connection, Interest, Peer, Refusal, Timeouts

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
    """One client's calculations. Holds one read's bytes, ``OPERANDS`` numbers and one answer, never more."""

    def __init__(self, timeouts: Timeouts, now: float) -> None:
        super().__init__(timeouts, now)
        self._received = bytearray()
        self._greeted = False
        self._operands: list[Decimal] = []

    def on_data(self, data: bytes, now: float) -> None:
        """Some lines, or a piece of one."""
        self._received += data
        self._take_lines(now)

    def on_flushed(self, now: float) -> None:
        """An answer is out: on to the lines that came together with the one it answers."""
        super().on_flushed(now)
        self._take_lines(now)

    def on_end(self, now: float) -> None:
        """The client is done; half a line is not obeyed, for half a number is another number."""
        if self._received:
            self.leave("the last line has no end", now)
        else:
            super().on_end(now)

    def drain(self, now: float) -> None:
        """The server is stopping: say so, after the answer that is on its way."""
        if not self.is_ending:
            self.leave("the server is stopping", now)

    def leave(self, reason: str, now: float) -> None:
        """Say why, and close. The client may be in the middle of a sentence, so linger."""
        self.send(b"error: %b\n" % reason.encode(), now=now)
        self.end(now, expects_more=True)

    def _take_lines(self, now: float) -> None:
        """Take lines until one is answered, or no whole one is left."""
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
        """What to say to a line; nothing to an operand."""
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
    """Every client gets a calculator; one too many gets a word."""

    def connect(self, peer: Peer, now: float) -> Connection:  # noqa: ARG002  (who it is does not matter)
        """A conversation with a client that was let in."""
        return CalculatorConnection(TIMEOUTS, now)

    def refuse(self, peer: Peer, refusal: Refusal, now: float, retry_s: float) -> Connection:  # noqa: ARG002  (nor why)
        """Say that we are busy, and goodbye."""
        connection = CalculatorConnection(TIMEOUTS, now)
        connection.leave("busy, come again later", now)
        return connection

    def tick(self) -> None:
        """Nothing was put off."""


def _may_be_hello(line: bytes, *, complete: bool) -> bool:
    """Whether ``line`` is the handshake, or (not complete yet) its beginning."""
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
