"""Inputs made from others, for where no fuzzer with coverage guidance can be installed."""

from __future__ import annotations

import random

_WORDS = [b"\r\n", b"\0", b" ", b":", b",", b'"', b";", b"=", b"%2e", b"/../", b"\xff", b"#", b"[", b"]", b"\n\n", b"0"]


def mutated(known: list[bytes], chance: random.Random) -> bytes:
    """Return one of ``known`` with some octets changed, cut, repeated, or joined with another."""
    data = bytearray(chance.choice(known))
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.randrange(8))
        match chance.randrange(6):
            case 0:
                data[at:at] = chance.choice(_WORDS)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to] * chance.randrange(1, 4)
            case 3:
                data[at:to] = chance.randbytes(to - at)
            case 4:
                data[at:] = chance.choice(known)[at:]
            case _:
                data[at:to] = data[at:to].swapcase()
    return bytes(data)
