"""Raw records as bytes: one self-describing, versioned, checked format; exact.

    "LCRC"  u8 version  u32 length  header (JSON)  one zlib stream per column

The header names the columns in order, each with its type (numpy's, little-endian),
the size of its stream, and how it was made smaller:

    minus   the column (wrapping) that it was subtracted from: a latency is small
            where an instant is large
    delta   whether first differences follow
    planes  all first bytes of the values, then all second bytes, and so on

``crc32`` in the header is that of all streams. A reader needs nothing but the header.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from labcoat.errors import JournalError
from labcoat.model.load import Records

MAGIC = b"LCRC"
VERSION = 1
LEVEL = 1  # zlib: higher levels cost three times the time and save under 5 %
_PREFIX = struct.Struct("<4sBI")

Column = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one column is written; ``minus`` names a column that is written before it."""

    name: str
    type: str
    minus: str | None = None
    delta: bool = False


RECIPES: tuple[Recipe, ...] = (
    Recipe(name="done", type="<i8", delta=True),  # rows are in order of completion
    Recipe(name="first_byte", type="<i8", minus="done"),
    Recipe(name="sent", type="<i8", minus="done"),
    Recipe(name="intended", type="<i8", minus="sent"),
    Recipe(name="status", type="<i2"),
    Recipe(name="received", type="<i4"),
    Recipe(name="route", type="<i2"),
    Recipe(name="outcome", type="|i1"),
)


def encode(records: Records) -> bytes:
    """The records as bytes. Raises: JournalError if the columns do not fit together."""
    n = len(records)
    columns = {recipe.name: _column(records, recipe, n) for recipe in RECIPES}
    streams = []
    for recipe in RECIPES:
        values = columns[recipe.name]
        if recipe.minus is not None:
            values = columns[recipe.minus] - values
        if recipe.delta:
            values = np.diff(values, prepend=values.dtype.type(0))
        planes = values.view(np.uint8).reshape(n, values.itemsize).T
        streams.append(zlib.compress(planes.tobytes(), LEVEL))
    header = {
        "n": n,
        "crc32": zlib.crc32(b"".join(streams)),
        "columns": [
            {
                "name": recipe.name,
                "type": recipe.type,
                "minus": recipe.minus,
                "delta": recipe.delta,
                "bytes": len(stream),
            }
            for recipe, stream in zip(RECIPES, streams, strict=True)
        ],
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join((_PREFIX.pack(MAGIC, VERSION, len(text)), text, *streams))


def decode(content: bytes, *, where: str) -> Records:
    """The records again, bit for bit. Raises: JournalError if the bytes are damaged."""
    try:
        header, body = _opened(content)
        return Records(**_columns(header, body))
    except (ValueError, KeyError, TypeError, OverflowError, struct.error, zlib.error) as error:
        raise JournalError(
            f"the record columns of a trial cannot be read: {error}",
            where=where,
            way_out="restore the journal from a copy, or leave this trial out",
        ) from error


def _opened(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header, and the streams behind it."""
    magic, version, length = _PREFIX.unpack_from(content)
    if magic != MAGIC:
        raise ValueError("they do not begin with LCRC")
    if version != VERSION:
        raise ValueError(f"their format is version {version}, this labcoat reads {VERSION}")
    start = _PREFIX.size + length
    return json.loads(content[_PREFIX.size : start]), content[start:]


def _column(records: Records, recipe: Recipe, n: int) -> Column:
    """One column, contiguous and of the declared type; refuses to lose a value."""
    given: Column = np.asarray(getattr(records, recipe.name))
    column = np.ascontiguousarray(given, dtype=recipe.type)
    if given.shape != (n,) or not np.array_equal(column, given):
        raise JournalError(
            f"column {recipe.name!r} of a measurement does not fit",
            where=f"{given.dtype} {given.shape}, wanted {recipe.type} ({n},)",
            way_out="this is a defect of the load tool that made it; please report it",
        )
    return column


def _columns(header: dict[str, Any], body: bytes) -> dict[str, Column]:
    if zlib.crc32(body) != header["crc32"]:
        raise ValueError("their checksum differs")
    columns: dict[str, Column] = {}
    n, start = int(header["n"]), 0
    for each in header["columns"]:
        stream = body[start : start + each["bytes"]]
        start += each["bytes"]
        dtype = np.dtype(each["type"])
        # Never more than the header promises, whatever the stream holds.
        planes = zlib.decompressobj().decompress(stream, n * dtype.itemsize + 1)
        table = np.frombuffer(planes, dtype=np.uint8).reshape(dtype.itemsize, n)
        values: Column = np.ascontiguousarray(table.T).reshape(-1).view(dtype)
        if each["delta"]:
            values = np.cumsum(values, dtype=dtype)
        if each["minus"] is not None:
            values = columns[each["minus"]] - values
        columns[each["name"]] = values
    return columns
