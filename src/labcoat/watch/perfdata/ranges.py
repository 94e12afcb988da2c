"""Thresholds as the monitoring plugins write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(@?)(?:(~|{_NUMBER})?:)?({_NUMBER})?")


@dataclass(frozen=True, slots=True)
class Range:
    """An alert is raised outside [low, high]; inside it where ``inside`` (written ``@``).

    ``10`` is [0, 10], ``10:`` is [10, ∞), ``~:10`` is (-∞, 10], ``10:20``, ``@10:20``.
    Source: Monitoring Plugins Development Guidelines, "Threshold and Ranges".
    """

    low: float
    high: float
    inside: bool = False

    def alerts(self, value: float) -> bool:
        return (self.low <= value <= self.high) == self.inside


def read_range(text: str) -> Range | None:
    """A range; None for what is none, the empty text included."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or not text.strip(" @"):
        return None
    has_colon = ":" in text
    if has_colon:
        low = -math.inf if found[2] == "~" else float(found[2] or 0)
        high = math.inf if found[3] is None else float(found[3])
    else:
        low, high = 0.0, float(found[3])
    return Range(low, high, found[1] == "@") if low <= high else None
