"""A thousand SSH targets, three checks each every 30 s, on two cores; then with 50 bad ones.

    python benchmarks/watch_scale.py [TARGETS [SECONDS]]

The simulated targets (real SSH, simulated commands) have core 1, the watch core 0. The
first 40 seconds, with a thousand logins and all facts collected, do not count. Aims:
lateness p99 below 1 s, memory below 300 MB, no slot missed; and the same for the healthy
targets while 50 others hang, flood, or never say a word.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from labcoat.testing.watch_rig import (
    cpu_s,
    first_round,
    judge,
    lay_site,
    resident_bytes,
    targets,
    watch,
)

PERIOD_S = 30
WARM_UP_S = 40.0
BAD = ("hang=0-19", "flood=20-29", "mute=30-44", "drip=45-49")
BAD_COUNT = 50


def measured(count: int, seconds: float, bad: tuple[str, ...]) -> bool:
    """One measurement, told; whether it meets the aims."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        keys, site = Path(name) / "keys", Path(name) / "site"
        with targets(keys, count, *bad, core=cores[-1]) as port:
            lay_site(site, keys, port, count, period_s=PERIOD_S, timeout_s=10)
            with watch(site, core=cores[0]) as process:
                first_round(site)
                time.sleep(WARM_UP_S)
                since_s, before_s = time.time(), cpu_s(process.pid)
                time.sleep(seconds)
                until_s, spent_s = time.time(), cpu_s(process.pid) - before_s
                resident = resident_bytes(process.pid)
        first = BAD_COUNT if bad else 0
        seen = judge(site, range(first, count), period_s=PERIOD_S, since_s=since_s, until_s=until_s)
    print(
        f"{count} targets{f', {BAD_COUNT} of them bad' if bad else ''}: {seen.rounds} rounds of"
        f" {seen.targets} healthy targets in {seconds:.0f} s;"
        f" lateness p50 {seen.late_s(0.5) * 1e3:.1f} ms, p99 {seen.late_s(0.99) * 1e3:.1f} ms,"
        f" most {seen.lateness_s[-1] * 1e3:.1f} ms; skipped {seen.skipped}, gaps {seen.gaps},"
        f" unwell {seen.unwell}; {resident / 1e6:.0f} MB; {spent_s / seconds:.0%} of a core"
    )
    missed = seen.skipped + seen.gaps + seen.unwell + (count - first - seen.targets)
    return missed == 0 and seen.late_s(0.99) < 1.0 and resident < 300e6


def main(count: int, seconds: float) -> int:
    """Exit status: 0 if both measurements meet the aims."""
    well = measured(count, seconds, ())
    return 0 if measured(count, seconds, BAD) and well else 1


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[1:]]
    sys.exit(main(int(numbers[0]) if numbers else 1000, numbers[1] if numbers[1:] else 90.0))
