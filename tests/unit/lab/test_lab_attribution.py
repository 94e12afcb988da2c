"""The waterfall closes, and the nearest bound is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labcoat.lab.baseline.attribution import Account, bottleneck, waterfall
from labcoat.stats.ceiling import Demands, bounds

ACCOUNT = Account(
    cores=2,
    wall_s=10.0,
    requests=1000,
    layers={"nginx": 1.0, "uwsgi": 8.0, "postgres": 3.0},
    generator_s=0.5,
    lab_s=0.1,
    programs_s=0.2,
    kernel_s=0.2,
    idle_s=6.0,
    steal_s=1.0,
)


def test_the_parts_are_core_seconds_per_request_and_close() -> None:
    fall = waterfall(ACCOUNT, server="uwsgi", call_app_cpu_s=0.006)
    parts = {part.name: part.per_request_s for part in fall.parts}
    assert parts["app"] == pytest.approx(0.006)
    assert parts["uwsgi (server)"] == pytest.approx(0.002)
    assert parts["idle"] == pytest.approx(0.006)
    assert sum(parts.values()) == pytest.approx(0.020)
    assert fall.closure_ratio == pytest.approx(0.0)
    assert sum(part.share_ratio for part in fall.parts) == pytest.approx(1.0)


def test_what_was_not_seen_shows_as_a_gap() -> None:
    fall = waterfall(replace(ACCOUNT, idle_s=4.0), server="uwsgi", call_app_cpu_s=0.006)
    assert fall.closure_ratio == pytest.approx(-0.1)


def test_the_app_never_costs_more_than_the_tree_that_holds_it() -> None:
    fall = waterfall(ACCOUNT, server="uwsgi", call_app_cpu_s=0.050)
    parts = {part.name: part.per_request_s for part in fall.parts}
    assert parts["app"] == pytest.approx(0.008)
    assert parts["uwsgi (server)"] == 0.0


KNOWN = bounds(Demands(cores=2, cpu_s=0.005, workers=1, held_s=0.003))


def test_the_bottleneck_is_the_bound_that_was_reached() -> None:
    sentence = bottleneck(320.0, KNOWN, idle_ratio=0.4, steal_ratio=0.0)
    assert sentence.startswith("The app server's workers are the limit")
    assert "96% of that bound" in sentence
    assert "40% of the CPU was idle" in sentence
    assert "stolen" not in sentence


def test_throughput_far_below_every_bound_is_said_to_be_unexplained() -> None:
    sentence = bottleneck(100.0, KNOWN, idle_ratio=0.9, steal_ratio=0.1)
    assert sentence.startswith("No known bound explains")
    assert "10% was stolen" in sentence
    assert sentence.endswith("Requests wait for something that uses no CPU here.")


def test_requests_that_wait_for_cores_of_others_are_not_said_to_need_no_cpu() -> None:
    sentence = bottleneck(100.0, KNOWN, idle_ratio=0.02, steal_ratio=0.0, others_ratio=0.67)
    assert sentence.startswith("No known bound explains")
    assert "2% of the CPU was idle and 67% was used by other programs" in sentence
    assert "no CPU" not in sentence
    assert "Requests wait for cores that others use" in sentence
