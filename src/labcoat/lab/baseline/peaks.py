"""Peaks: what the components' own counters reach while they are loaded.

Busy workers and full queues are gauges: after the load nobody is busy. They are what the
necessary conditions of most knobs ask for.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from labcoat.stack.standing import Standing

PERIOD_S = 0.25


class Peaks:
    """Reads the counters of a standing stack now and then, and keeps the highest of each.

    A context manager around a load whose own CPU is not accounted for: to be asked costs the
    stack a little. ``seen``: component -> counter -> the highest.
    """

    def __init__(self, standing: Standing) -> None:
        self.seen: dict[str, dict[str, float]] = {}
        self._standing = standing
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peaks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(PERIOD_S):
            self.take()

    def take(self) -> None:
        """One look; a component that does not answer is left out of it."""
        for name, counters in self._standing.explain().items():
            known = self.seen.setdefault(name, {})
            for counter, value in counters.items():
                known[counter] = max(value, known.get(counter, value))
