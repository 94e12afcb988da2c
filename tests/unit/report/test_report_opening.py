"""The first two lines of a tuning, word for word; and where something is not known."""

from __future__ import annotations

from dataclasses import replace

from labcoat.model.metric import THROUGHPUT
from labcoat.report.tune.opening import opening
from labcoat.testing.tune import found

BEFORE = found().before


def test_the_noise_and_the_starting_point() -> None:
    assert list(opening(THROUGHPUT, 600.0, BEFORE)) == [
        f"labcoat tune · {BEFORE.study} · objective throughput · budget 10:00 · noise floor ± 2.9 %"
        " (A/A, 6 blocks, steal 0.0 %)",
        "baseline  347 req/s · p99 40.0 ms at 105 req/s · 2.33 ms CPU/req: app 56 % uwsgi 23 %"
        " nginx 11 % postgres 9.9 % · 28 % of the ceiling",
    ]


def test_the_shares_are_of_the_stacks_own_cpu_alone() -> None:
    _, line = opening(THROUGHPUT, 600.0, BEFORE)
    assert not any(other in line for other in ("generator", "idle", "stolen"))


def test_a_noise_that_is_not_known_is_not_made_up() -> None:
    noise = replace(BEFORE.noise, metrics=())
    first, _ = opening(THROUGHPUT, 600.0, replace(BEFORE, noise=noise))
    assert "noise floor ± unknown" in first
