"""What the watch knows of its own work: lateness, rounds made, slots skipped."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

REMEMBERED = 8192
EDGES_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


@dataclass(slots=True)
class Meters:
    """Counts since the start. Lateness: from when a round was due to its first check's start."""

    rounds: int = 0
    skipped: int = 0
    late_sum_s: float = 0.0
    late_most_s: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(EDGES_S) + 1))
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def late(self, lateness_s: float) -> None:
        """A round began so much after it was due."""
        self.rounds += 1
        self.late_sum_s += lateness_s
        self.late_most_s = max(self.late_most_s, lateness_s)
        self._recent.append(lateness_s)
        index = next((i for i, edge in enumerate(EDGES_S) if lateness_s <= edge), len(EDGES_S))
        self.buckets[index] += 1

    def quantile_s(self, share: float) -> float:
        """A quantile of the latest rounds' lateness; 0 before the first."""
        if not self._recent:
            return 0.0
        ordered = sorted(self._recent)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def document(self) -> dict[str, Any]:
        """As it is kept in the journal, for ``status`` and ``export``."""
        return {
            "rounds": self.rounds,
            "skipped": self.skipped,
            "late_sum_s": round(self.late_sum_s, 3),
            "late_most_s": round(self.late_most_s, 4),
            "late_p50_s": round(self.quantile_s(0.5), 4),
            "late_p99_s": round(self.quantile_s(0.99), 4),
            "edges_s": list(EDGES_S),
            "buckets": list(self.buckets),
        }
