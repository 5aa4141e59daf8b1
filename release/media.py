"""Write the sound, the pictures and the icon of ``www/``, with the standard library alone.

It can be run from anywhere, and always writes the same bytes (with the same version of zlib).
"""

from __future__ import annotations

import math
import struct
import wave
import zlib
from collections.abc import Callable
from pathlib import Path

WWW = Path(__file__).resolve().parents[1] / "www"

Colour = tuple[int, int, int]
Shade = Callable[[float, float], Colour]

PAPER: Colour = (252, 251, 247)
INK: Colour = (31, 42, 51)
MODES: tuple[Colour, ...] = ((147, 80, 0), (163, 44, 69), (43, 107, 52), (29, 91, 163))

RATE = 8_000
SECONDS = 2.4
NOTES = (523.25, 659.26, 783.99, 1046.50)  # C, E, G, C
OVERTONES = ((1.0, 1.0, 2.0), (2.0, 0.45, 3.5), (2.76, 0.3, 6.0), (5.4, 0.12, 11.0))  # times the pitch, loudness, decay


def mix(first: Colour, second: Colour, part: float) -> Colour:
    """Return the colour at ``part``, from 0.0 to 1.0, of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(first, second, strict=True))
    return red, green, blue


def draw(width: int, height: int, shade: Shade, fine: int = 1) -> list[bytes]:
    """Return rows of RGB pixels. Each pixel is the mean of ``fine`` times ``fine`` samples of ``shade(x, y)``."""
    offsets = [(i + 0.5) / fine for i in range(fine)]
    rows = []
    for y in range(height):
        row = bytearray()
        for x in range(width):
            samples = [shade(x + dx, y + dy) for dy in offsets for dx in offsets]
            row += bytes(round(sum(channel) / len(samples)) for channel in zip(*samples, strict=True))
        rows.append(bytes(row))
    return rows


def png(rows: list[bytes]) -> bytes:
    """Return a PNG. Each row is stored as its difference to the row above (filter 2), which compresses well."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    above = bytes(len(rows[0]))
    packed = bytearray()
    for row in rows:
        packed.append(2)
        packed += bytes((now - up) & 0xFF for now, up in zip(row, above, strict=True))
        above = row
    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(packed), 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def ico(images: dict[int, bytes]) -> bytes:
    """Return an icon file with square PNGs, given by size."""
    offset = 6 + 16 * len(images)
    directory = struct.pack("<HHH", 0, 1, len(images))
    for size, data in images.items():
        directory += struct.pack("<BBBBHHII", size, size, 0, 0, 1, 24, len(data), offset)
        offset += len(data)
    return directory + b"".join(images.values())


def logo(size: int) -> list[bytes]:
    """Draw a doorway with four lights above it."""

    def shade(x: float, y: float) -> Colour:
        u, v = x / size, y / size
        if math.hypot(u - 0.5, max(0.0, 0.56 - v)) < 0.2 and 0.36 < v < 0.9:
            return mix((239, 178, 92), (252, 226, 170), (v - 0.36) / 0.54)
        for i, colour in enumerate(MODES):
            angle = math.pi * (0.14 + 0.24 * i)
            if math.hypot(u - 0.5 + 0.38 * math.cos(angle), v - 0.56 + 0.38 * math.sin(angle)) < 0.085:
                return mix(colour, PAPER, 0.35)
        return INK

    return draw(size, size, shade, fine=4)


def dusk(width: int, height: int) -> list[bytes]:
    """Draw four ridges under an evening sky."""

    def shade(x: float, y: float) -> Colour:
        u, v = x / width, y / height
        for i in (3, 2, 1, 0):
            wave_sum = math.sin(u * (5 + 2 * i) + 1.7 * i) + 0.45 * math.sin(u * (13 - 2 * i) + i * i)
            ridge = 0.5 + 0.13 * i - (0.085 - 0.012 * i) * wave_sum
            if v > ridge:
                return mix((216, 132, 112), (24, 30, 52), min(1.0, 0.3 + 0.2 * i + 0.35 * (v - ridge)))
        if math.hypot((u - 0.72) * width, (v - 0.24) * height) < 0.075 * height:
            return 255, 244, 214
        return mix((62, 72, 122), (250, 190, 140), min(1.0, v * 1.75))

    return draw(width, height, shade, fine=2)


def chime() -> bytes:
    """Return four bell notes as 16-bit samples."""
    samples = [0.0] * int(RATE * SECONDS)
    for i, pitch in enumerate(NOTES):
        start = int(RATE * 0.28 * i)
        for n in range(start, len(samples)):
            t = (n - start) / RATE
            strike = min(1.0, t / 0.004)
            for overtone, loudness, decay in OVERTONES:
                if pitch * overtone > RATE / 2:
                    continue  # it would be heard as another tone
                samples[n] += strike * loudness * math.exp(-decay * t) * math.sin(math.tau * pitch * overtone * t)
    fade = RATE // 4
    for n in range(fade):
        samples[-1 - n] *= n / fade
    loudest = max(map(abs, samples))
    return struct.pack(f"<{len(samples)}h", *(round(sample / loudest * 22_000) for sample in samples))


def main() -> None:
    """Write all files."""
    (WWW / "images/logo.png").write_bytes(png(logo(160)))
    (WWW / "images/dusk.png").write_bytes(png(dusk(720, 300)))
    (WWW / "favicon.ico").write_bytes(ico({size: png(logo(size)) for size in (16, 32, 48)}))
    with wave.open(str(WWW / "media/chime.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(chime())


if __name__ == "__main__":
    main()
