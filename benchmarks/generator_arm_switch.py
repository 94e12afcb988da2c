"""What it costs to load the other arm: the time between two slices, nothing restarted.

Two nginx, loaded in turn. The cost of a switch is the wall time of a slice beyond what
was asked for: the order, new requests, the drain, the records' way back to the lab.
Fails when the median is above 50 ms.
"""

from __future__ import annotations

import statistics
import sys
import time

from ground import STATIC, say, static_targets

from labcoat.load import Generator
from labcoat.model.load import ClosedLoop, Outcome, Window

SLICES = 24
LIMIT_S = 0.050
WINDOW = Window(warmup_s=0.1, measure_s=0.9)
USERS = ClosedLoop(users=32)


def main() -> int:
    """Exit status: 0 when the target is met."""
    costs = []
    connects = rows = 0
    with static_targets(2) as targets, Generator() as generator:
        for target in targets:
            generator.load(target, STATIC, USERS, WINDOW, seed=1)
        for index in range(SLICES):
            started = time.monotonic()
            measured = generator.load(targets[index % 2], STATIC, USERS, WINDOW, seed=index)
            lasted_s = time.monotonic() - started
            costs.append(lasted_s - WINDOW.warmup_s - WINDOW.measure_s)
            connects += measured.use.connects
            rows += int((measured.records.outcome == Outcome.OK).sum())
    median = statistics.median(costs)
    say(f"{SLICES} switches, {rows / SLICES:,.0f} OK records each, {connects} connections opened")
    say(
        f"median {median * 1e3:.1f} ms, {min(costs) * 1e3:.1f} to {max(costs) * 1e3:.1f} ms"
        f" (limit {LIMIT_S * 1e3:.0f} ms)"
    )
    return 0 if median < LIMIT_S and connects == 0 < rows else 1


if __name__ == "__main__":
    sys.exit(main())
