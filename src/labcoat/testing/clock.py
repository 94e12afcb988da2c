"""A clock that moves only when it is told to, or slept on."""

from __future__ import annotations


class FakeClock:
    """Time without waiting: ``sleep`` moves it at once. ``slept`` lists every wait."""

    def __init__(self, *, now_s: float = 0.0) -> None:
        self._now_s = now_s
        self.slept: list[float] = []

    def now_s(self) -> float:
        """Seconds; starts where it was told to."""
        return self._now_s

    def sleep(self, duration_s: float) -> None:
        """Move on by so much, at once."""
        self.slept.append(duration_s)
        self.advance(duration_s)

    def advance(self, duration_s: float) -> None:
        """Let time pass. Raises: ValueError if it would run backwards."""
        if duration_s < 0:
            raise ValueError("time does not run backwards")
        self._now_s += duration_s
