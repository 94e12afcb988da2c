"""Both clocks of this machine, and a way to wait."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Protocol

from labcoat.watch.model.moment import Moment

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class WatchClock(Protocol):
    """What tells the time to the watch."""

    def now(self) -> Moment:
        """Now, on both."""

    async def sleep(self, duration_s: float) -> None:
        """Let so much time pass."""


class SystemWatchClock:
    """CLOCK_BOOTTIME, which goes on while the machine sleeps, and the wall clock."""

    def __init__(self) -> None:
        self._boot_id = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""

    def now(self) -> Moment:
        """Now, on both."""
        return Moment(
            elapsed_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            wall_s=time.time(),
            boot_id=self._boot_id,
        )

    async def sleep(self, duration_s: float) -> None:
        """Let so much time pass."""
        await asyncio.sleep(duration_s)
