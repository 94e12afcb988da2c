"""Many targets, a third of them bad: the healthy ones do not notice."""

from __future__ import annotations

import time
from pathlib import Path

from labcoat.testing.watch_rig import first_round, judge, lay_site, targets, watch

BAD = ("hang=0-4", "flood=5-6", "mute=7-8", "drip=9-9")
BAD_COUNT = 10
COUNT = 30
WELL = range(BAD_COUNT, COUNT)
PERIOD_S = 5
ROUNDS = 3


def test_targets_that_hang_flood_or_keep_silent_delay_no_other(tmp_path: Path) -> None:
    site = tmp_path / "site"
    with targets(tmp_path / "keys", COUNT, *BAD) as port:
        lay_site(site, tmp_path / "keys", port, COUNT, period_s=PERIOD_S, timeout_s=7)
        with watch(site):
            first_round(site)
            time.sleep(2 * PERIOD_S)
            since_s = time.time()
            time.sleep(ROUNDS * PERIOD_S)
            until_s = time.time()
    seen = judge(site, WELL, period_s=PERIOD_S, since_s=since_s, until_s=until_s)
    assert seen.targets == len(WELL)
    assert (seen.skipped, seen.gaps, seen.unwell) == (0, 0, 0)
    assert seen.rounds >= (ROUNDS - 1) * len(WELL)
    assert seen.late_s(0.99) < PERIOD_S / 2
    bad = judge(site, range(BAD_COUNT), period_s=PERIOD_S, since_s=0.0, until_s=until_s)
    assert bad.unwell == bad.rounds
    assert bad.skipped > 0  # their rounds outlast their period, and that is journaled
