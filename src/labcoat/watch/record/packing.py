"""How an hour of samples is packed: whole seconds and decimals as small differences.

    times    seconds, differences of differences
    values   the fewest decimals that give back every value exactly, then differences;
             values that no ten decimals give back stay as they are (float64)

Differences are small integers; columns of bytes of like significance compress well.
Shape: times int64 (n,) ascending, values float64 (n,), NaN where a check said ``U``.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

MOST_DECIMALS = 10
EXACT = float(1 << 52)
RAW = 255
HEAD = struct.Struct("<BIB")
VERSION = 1

Times = NDArray[np.int64]
Values = NDArray[np.float64]


def pack(times: Times, values: Values) -> bytes:
    """The chunk. Raises: ValueError if the columns differ in length or are empty."""
    if times.size != values.size or times.size == 0:
        raise ValueError("a chunk has at least one sample, and a value for each time")
    present = ~np.isnan(values)
    shown = values[present]
    decimals, scaled = _as_integers(shown)
    body = [
        _squeezed(np.diff(times, n=2, prepend=(0, 0)) if times.size else times),
        np.packbits(present).tobytes(),
        shown.tobytes() if decimals == RAW else _squeezed(np.diff(scaled, prepend=0)),
    ]
    joined = b"".join(struct.pack("<I", len(part)) + part for part in body)
    return HEAD.pack(VERSION, times.size, decimals) + zlib.compress(joined, 9)


def unpack(chunk: bytes) -> tuple[Times, Values]:
    """Times and values, exactly as they were packed."""
    _, count, decimals = HEAD.unpack_from(chunk)
    joined = zlib.decompress(chunk[HEAD.size :])
    parts, at = [], 0
    for _ in range(3):
        (length,) = struct.unpack_from("<I", joined, at)
        parts.append(joined[at + 4 : at + 4 + length])
        at += 4 + length
    times = np.cumsum(np.cumsum(_spread(parts[0])))
    present = np.unpackbits(np.frombuffer(parts[1], np.uint8), count=count).astype(bool)
    values = np.full(count, np.nan)
    if decimals == RAW:
        values[present] = np.frombuffer(parts[2], np.float64)
    else:
        values[present] = np.cumsum(_spread(parts[2])) / 10.0**decimals
    return times, values


def _as_integers(values: Values) -> tuple[int, Times]:
    """The fewest decimals, and the values times ten to their power; RAW if there are none."""
    if not np.isfinite(values).all():
        return RAW, np.empty(0, np.int64)
    for decimals in range(MOST_DECIMALS + 1):
        scaled = np.round(values * 10.0**decimals)
        if np.abs(scaled).max(initial=0) >= EXACT:
            break
        # Negative zero comes back as zero: the sign of nothing is not kept.
        if (scaled / 10.0**decimals == values).all():
            return decimals, scaled.astype(np.int64)
    return RAW, np.empty(0, np.int64)


def _squeezed(numbers: Times) -> bytes:
    """Zigzag, in the narrowest width that holds all, byte columns apart."""
    folded = ((numbers << 1) ^ (numbers >> 63)).astype(np.uint64)
    width = next(w for w in (1, 2, 4, 8) if folded.max(initial=0) < 1 << (8 * w))
    columns = folded.astype(f"<u{width}").view(np.uint8).reshape(-1, width).T
    return bytes([width]) + columns.tobytes()


def _spread(squeezed: bytes) -> Times:
    width = squeezed[0]
    columns = np.frombuffer(squeezed, np.uint8, offset=1).reshape(width, -1).T
    folded = np.ascontiguousarray(columns).view(f"<u{width}").ravel().astype(np.uint64)
    return (folded >> np.uint64(1)).astype(np.int64) ^ -(folded & np.uint64(1)).astype(np.int64)
