"""Draw the department pictures: one 256 x 256 PNG each, the same every time."""

from __future__ import annotations

import math
import random
import struct
import zlib
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "shop" / "static" / "img"
DEPARTMENTS = 20
SIDE = 256
COLOURS = 16


def palette(draw: random.Random) -> bytes:
    """Sixteen colours between a dark and a light one."""
    dark = [draw.randrange(20, 110) for _ in range(3)]
    light = [draw.randrange(150, 250) for _ in range(3)]
    steps = [step / (COLOURS - 1) for step in range(COLOURS)]
    return bytes(
        round(low + (high - low) * t) for t in steps for low, high in zip(dark, light, strict=True)
    )


def picture(draw: random.Random) -> bytes:
    """Rows of palette numbers: three waves that cross."""
    waves = [
        (draw.uniform(-0.06, 0.06), draw.uniform(-0.06, 0.06), draw.uniform(0, math.tau))
        for _ in range(3)
    ]
    rows = bytearray()
    for y in range(SIDE):
        rows.append(0)  # this row is unfiltered
        for x in range(0, SIDE, 2):
            pair = 0
            for pixel in (x, x + 1):
                height = sum(math.sin(a * pixel + b * y + phase) for a, b, phase in waves)
                pair = pair << 4 | int((height + 3) / 6.001 * COLOURS)
            rows.append(pair)
    return bytes(rows)


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file: length, kind, content, checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(number: int) -> bytes:
    """The file of department ``number``: four bits per pixel, indexed."""
    draw = random.Random(number)
    colours = palette(draw)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 4, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", colours)
        + chunk(b"IDAT", zlib.compress(picture(draw), 9))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    for number in range(1, DEPARTMENTS + 1):
        (FOLDER / f"department-{number}.png").write_bytes(png(number))
