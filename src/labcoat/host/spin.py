"""The spin probe: what one CPU gives a program that only computes.

A program of its own (``python -I -S spin.py CPU SECONDS``, standard library only). Does
the same small piece of work again and again, pinned, and prints one JSON object:
``pieces`` (how many), ``wall_s`` and ``cpu_s`` (in all), ``median_s`` (wall time of an
undisturbed piece), and ``parts``: median CPU time of a piece in each tenth of the time,
which moves when the clock frequency does.
"""

from __future__ import annotations

import json
import os
import sys
import time

PIECE_S = 0.0005
PARTS = 10


def work(count: int) -> int:
    """One piece: nothing but arithmetic, so that only the CPU matters."""
    total = 0
    for number in range(count):
        total += number & 7
    return total


def calibrate() -> int:
    """How much work makes a piece of about PIECE_S."""
    count = 1000
    while True:
        began = time.perf_counter()
        work(count)
        elapsed = time.perf_counter() - began
        if elapsed >= PIECE_S:
            return max(1, int(count * PIECE_S / elapsed))
        count *= 2


def median(values: list[int]) -> int:
    """The middle one."""
    return sorted(values)[len(values) // 2]


def probe(seconds: float) -> dict[str, object]:
    """Spin for so long."""
    count = calibrate()
    walls: list[int] = []
    cpus: list[int] = []
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    end = wall + int(seconds * 1e9)
    while wall < end:
        work(count)
        now, used = time.perf_counter_ns(), time.process_time_ns()
        walls.append(now - wall)
        cpus.append(used - cpu)
        wall, cpu = now, used
    size = max(1, len(cpus) // PARTS)
    parts = [cpus[start : start + size] for start in range(0, len(cpus), size)]
    return {
        "pieces": len(walls),
        "wall_s": sum(walls) / 1e9,
        "cpu_s": sum(cpus) / 1e9,
        "median_s": median(walls) / 1e9,
        "parts": [median(part) / 1e9 for part in parts if len(part) == size],
    }


if __name__ == "__main__":
    os.sched_setaffinity(0, [int(sys.argv[1])])
    sys.stdout.write(json.dumps(probe(float(sys.argv[2]))))
