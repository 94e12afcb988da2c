"""Perfdata of every round, on its way into the series; nothing waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from labcoat.errors import JournalError
from labcoat.watch.engine.observing import Observation
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.perfdata.output import parse
from labcoat.watch.perfdata.ranges import Range
from labcoat.watch.record.series import Label, Observed, Series

EVERY_S = 2.0
SEAL_EVERY_S = 600.0
MOST_WAITING = 50_000
MOST_LABELS = 64  # of one check: a flood of labels is no measurement


class Sampler:
    """Keeps samples in memory for two seconds, then writes them in one go."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._thread = ThreadPoolExecutor(1, "watch-series")
        self._series = Series(path)
        self._waiting: list[Observed] = []
        self._sealed_s = 0.0
        self._task = asyncio.get_running_loop().create_task(self._write())

    def take(self, runbook: Runbook, target: str, observation: Observation, at_s: float) -> None:
        """The perfdata of a round."""
        for said in observation.said:
            if "|" not in said.output:
                continue
            for sample in parse(said.output).samples[:MOST_LABELS]:
                self._waiting.append(
                    Observed(
                        of=Label(target, runbook.path, said.check, sample.label),
                        at_s=at_s,
                        value=sample.value,
                        uom=sample.uom,
                        ranges=";".join(
                            (
                                _spelled(sample.warning),
                                _spelled(sample.critical),
                                "" if sample.low is None else f"{sample.low:g}",
                                "" if sample.high is None else f"{sample.high:g}",
                            )
                        ),
                    )
                )
        over = len(self._waiting) - MOST_WAITING
        if over > 0:
            del self._waiting[:over]
            self.lost += over

    async def close(self) -> None:
        """Write what there is, and end."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._once()
        self._thread.shutdown()
        self._series.close()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await asyncio.shield(self._once())

    async def _once(self) -> None:
        waiting, self._waiting = self._waiting, []
        loop = asyncio.get_running_loop()
        try:
            if waiting:
                await loop.run_in_executor(self._thread, self._series.add, waiting)
            now_s = time.time()
            if now_s - self._sealed_s > SEAL_EVERY_S:
                self._sealed_s = now_s
                await loop.run_in_executor(self._thread, self._series.seal, now_s)
        except JournalError:
            # Samples are for plots; the journal, which tells of a full disk, is for actions.
            self._waiting = waiting + self._waiting


def _spelled(range_: Range | None) -> str:
    """A range as plugins write it."""
    if range_ is None:
        return ""
    low = "~" if range_.low == -math.inf else f"{range_.low:g}"
    high = "" if range_.high == math.inf else f"{range_.high:g}"
    return f"{'@' if range_.inside else ''}{low}:{high}"
