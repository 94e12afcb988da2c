"""Placeholders for what was observed: a range, a few words, or a file of samples."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from labcoat.workload.draft import literal

FEW = 12
"""So many different words are written out, where they are equally frequent."""

LEAST_FOR_RANGE = 20
_NUMBER = re.compile(r"0|[1-9]\d{0,17}")
_PLAIN = re.compile(r"[\w.,~%+@-]+", re.ASCII)


@dataclass(slots=True)
class Files:
    """The files of samples that a draft needs, under names that no two share."""

    folder: str
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, wanted: str, lines: Sequence[str]) -> str:
        """The placeholder of a file with these lines."""
        stem = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:40] or "values"
        number, name = 1, f"{self.folder}/{stem}.txt"
        while name in self.lines:
            number += 1
            name = f"{self.folder}/{stem}-{number}.txt"
        self.lines[name] = tuple(sorted(lines))
        return f"{{file:{name}}}"


def place(pieces: Sequence[str], sample: Sequence[tuple[str, ...]], files: Files, name: str) -> str:
    """A template of a target from its pieces and what stood between them.

    A slot that holds one value only is part of the text. Where several vary they are kept
    together as they were asked for, from the first to the last: page 90 of department 3
    may not exist.
    """
    columns = list(zip(*sample, strict=True)) if sample else []
    varying = [index for index, column in enumerate(columns) if len(set(column)) > 1]
    text = literal(pieces[0])
    if not varying:
        return text + "".join(
            literal(column[0] + piece) for column, piece in zip(columns, pieces[1:], strict=True)
        )
    first, last = varying[0], varying[-1]
    for index in range(first):
        text += literal(columns[index][0] + pieces[index + 1])
    if first == last:
        text += placeholder(columns[first], files, name)
    else:
        joined = [_joined(row, pieces, first, last) for row in sample]
        text += files.add(name, joined)
    text += literal(pieces[last + 1])
    for index in range(last + 1, len(columns)):
        text += literal(columns[index][0] + pieces[index + 1])
    return text


def _joined(row: Sequence[str], pieces: Sequence[str], first: int, last: int) -> str:
    text = row[first]
    for index in range(first + 1, last + 1):
        text += pieces[index] + row[index]
    return text


def placeholder(values: Sequence[str], files: Files, name: str) -> str:
    """What draws values like these: uniform over a range or a few words, else a sample."""
    bounds = uniform_range(values)
    if bounds is not None:
        return f"{{{bounds[0]}..{bounds[1]}}}"
    counts = Counter(values)
    is_even = max(counts.values()) <= 2 * min(counts.values())
    if len(counts) <= FEW and is_even and all(map(_PLAIN.fullmatch, counts)):
        return f"{{{'|'.join(sorted(counts))}}}"
    return files.add(name, values)


def uniform_range(values: Sequence[str]) -> tuple[int, int] | None:
    """Least and greatest, if these look drawn evenly from all whole numbers between them.

    Asked are two things: whether their distribution function stays within the bound of
    Kolmogorov and Smirnov at 1 % of the straight line, and whether as many are different
    as n draws from N numbers would be, N (1 - (1 - 1/N)^n), to a tenth.
    """
    n = len(values)
    if n < LEAST_FOR_RANGE or not all(map(_NUMBER.fullmatch, values)):
        return None
    numbers = sorted(map(int, values))
    low, high = numbers[0], numbers[-1]
    size = high - low + 1
    if size < 2:
        return None
    expected = -size * math.expm1(n * math.log1p(-1 / size))
    if len(set(numbers)) < 0.9 * expected:
        return None
    if max(_distances(numbers, low, size)) > 1.63 / math.sqrt(n):
        return None
    return low, high


def _distances(numbers: Sequence[int], low: int, size: int) -> Iterator[float]:
    """How far the empirical distribution function is from the uniform one, at each value."""
    n = len(numbers)
    counts = sorted(Counter(numbers).items())
    below = 0
    for number, count in counts:
        yield abs(below / n - (number - low) / size)
        below += count
        yield abs(below / n - (number - low + 1) / size)
