"""One item of performance data: ``'label'=value[UOM];[warn];[crit];[min];[max]``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from labcoat.watch.perfdata.ranges import Range, read_range

# A label in quotes ('' is a quote), or without blanks, quotes and equals signs.
_ITEM = re.compile(r"\s*(?:'((?:[^']|'')*)'|([^\s'=]+))=(\S*)")
_VALUE = re.compile(r"(U|[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)([^\d\s;.,=+-][^\s;]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a check. ``value`` None: undetermined (``U``). ``uom``: as written.

    ``warning``, ``critical``: None where they are missing or no ranges. ``low``, ``high``: the
    least and the greatest value that is possible.
    """

    label: str
    value: float | None
    uom: str = ""
    warning: Range | None = None
    critical: Range | None = None
    low: float | None = None
    high: float | None = None


def read_samples(text: str) -> tuple[tuple[Sample, ...], int]:
    """The samples of a text, and how many items were skipped as bad."""
    found: list[Sample] = []
    skipped = 0
    for label, rest in items(text):
        sample = None if label is None else read_sample(label, rest)
        if sample is None:
            skipped += 1
        else:
            found.append(sample)
    return tuple(found), skipped


def items(text: str) -> Iterator[tuple[str | None, str]]:
    """Label and rest of each item; a label of None is a piece that is no item at all."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found = _ITEM.match(text, at)
        if found is not None:
            label = found[2] if found[1] is None else found[1].replace("''", "'")
            yield (label or None), found[3]
            at = found.end()
            continue
        blank = re.compile(r"\s").search(text, at)
        at = len(text) if blank is None else blank.end()
        yield None, ""


def read_sample(label: str, rest: str) -> Sample | None:
    """One item; None where its value is none. A bad threshold or bound is left out."""
    value, *others = rest.split(";")
    found = _VALUE.fullmatch(value)
    if found is None or len(others) > 5 or any(others[4:]):
        return None
    number = None if found[1] == "U" else float(found[1])
    if number is not None and not math.isfinite(number):
        return None
    warning, critical, low, high = (*others, "", "", "", "")[:4]
    return Sample(
        label=label,
        value=number,
        uom=found[2] or "",
        warning=read_range(warning),
        critical=read_range(critical),
        low=bound(low),
        high=bound(high),
    )


def bound(text: str) -> float | None:
    """A finite number; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
