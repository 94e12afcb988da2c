"""Many experiments one after the other: which verdicts hold among all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def e_lond(log_evidence: Sequence[float], *, alpha: float = 0.05) -> tuple[bool, ...]:
    """Which of a sequence of experiments are discoveries; false ones are at most alpha of them.

        alpha_t = alpha · g_t · (D_(t-1) + 1),   g_t = (6/π²) / t²;   discovered if E_t >= 1/alpha_t

    Symbols: E_t the e-value of experiment t against "no effect" (its log is given), D_t the
    discoveries among the first t. Holds for experiments that depend on one another in any
    way, and in the order in which they were asked; the false discovery rate, not the chance
    of a single false one, is bounded.
    Source: Xu & Ramdas 2024, arXiv 2311.06412 (e-LOND).
    """
    found: list[bool] = []
    for t, log_e in enumerate(log_evidence, start=1):
        level = alpha * 6 / math.pi**2 / t**2 * (sum(found) + 1)
        found.append(log_e >= -math.log(level))
    return tuple(found)
