"""Numbers as people read them. The only room that turns seconds into milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime


def seconds(value: float) -> str:
    """A duration in the unit that suits it: ``850 µs``, ``12.3 ms``, ``1.20 s``."""
    if not math.isfinite(value):
        return "∞"
    if value == 0:
        return "0 s"
    for unit, scale in (("µs", 1e6), ("ms", 1e3)):
        if abs(value) < 0.9995 * 1e3 / scale:
            return f"{three_digits(value * scale)} {unit}"
    return f"{three_digits(value)} s"


def clock(value: float) -> str:
    """A duration as minutes and seconds: ``4:05``."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02d}"


def moment(at: str) -> str:
    """An instant in UTC, to the minute: ``2026-01-31 14:05 UTC``; what is none is told as it is."""
    try:
        return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return at


def three_digits(value: float) -> str:
    """Three digits that count: ``0.123``, ``1.23``, ``12.3``, ``123``, ``12,345``."""
    size = abs(value)
    decimals = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    return f"{value:,.{decimals}f}"


def rate(value: float) -> str:
    """Requests per second, without the unit."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 99.5 else three_digits(value)


def percent(ratio: float, *, signed: bool = False) -> str:
    """A ratio as percent with the digits that count: ``2.1 %``, ``41 %``, ``+0.4 %``."""
    if not math.isfinite(ratio):
        return "∞ %"
    value = ratio * 100
    sign = "+" if signed else ""
    value = 0.0 if abs(value) < 0.05 else value  # no "-0.0 %"
    return f"{value:{sign}.0f} %" if abs(value) >= 9.95 else f"{value:{sign}.1f} %"


def counted(number: int, noun: str) -> str:
    """``1 block``, ``7 blocks``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def effect(point: float | None, low: float | None, high: float | None) -> str:
    """A change with its interval: ``+6.2 % [-0.8 %, +13 %]``.

    An upper end that is not bounded is ∞; nothing falls by more than all of it, so a lower
    end of -1 bounds as little.
    """
    if point is None:
        return "not known yet"
    is_open = (low is None or low <= -1, high is None or not math.isfinite(high))
    if all(is_open):
        return f"{percent(point, signed=True)} [no interval yet]"
    ends = (
        "-100 %" if low is None else percent(low, signed=True),
        "+∞" if high is None or is_open[1] else percent(high, signed=True),
    )
    return f"{percent(point, signed=True)} [{ends[0]}, {ends[1]}]"


def evidence(value: float) -> str:
    """How often a bet has multiplied its stake: ``11.4``, ``4.1e6``."""
    if not math.isfinite(value) or value >= 1e5:
        return (
            "1e300 or more"
            if not math.isfinite(value)
            else f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
        )
    return three_digits(value)


def size(value: float) -> str:
    """Bytes in the unit that suits them: ``700 kB``, ``1.2 GB`` (powers of ten)."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{three_digits(value / scale)} {unit}"
    return f"{value:.0f} B"


def bar(ratio: float, *, width: int = 24) -> str:
    """A share as a bar of eighths of a cell."""
    eighths = round(max(0.0, min(1.0, ratio)) * width * 8)
    full, part = divmod(eighths, 8)
    return "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")


def table(rows: Sequence[tuple[str, ...]], *, left: int = 1, indent: int = 2) -> list[str]:
    """Columns in line: the first ``left`` flush left, the others flush right."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return lines
