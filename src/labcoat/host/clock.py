"""The clock as an argument: what waits or measures can be given a fake one."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock that can also be waited on. Seconds; its zero means nothing."""

    def now_s(self) -> float:
        """Seconds since some moment; never goes backwards."""

    def sleep(self, duration_s: float) -> None:
        """Let so much time pass."""


class SystemClock:
    """CLOCK_MONOTONIC of this machine."""

    def now_s(self) -> float:
        """Seconds since some moment; never goes backwards."""
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        """Let so much time pass."""
        time.sleep(duration_s)
