"""The small parts of the lab: pace, levels of the sweep, when a slice is void."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labcoat.errors import AnalysisError
from labcoat.lab.baseline.pace import FULL, QUICK, RESTART_GUESS_S
from labcoat.lab.baseline.phases import sweep_levels
from labcoat.lab.trial.pairing import slice_values
from labcoat.lab.trial.question import Rule
from labcoat.lab.trial.validity import void_reason
from labcoat.lab.trial.workbench import Reading
from labcoat.model.metric import LATENCY_P99
from labcoat.testing.baseline import honesty_row, reading
from labcoat.testing.experiment import experiment, question


@pytest.mark.parametrize(
    ("users", "levels"),
    [
        (1, (1, 2, 4, 8)),
        (4, (1, 2, 4, 8)),
        (5, (1, 2, 4, 8)),
        (8, (1, 2, 4, 8, 16)),
        (32, (1, 2, 4, 8, 16, 32, 64)),
        (33, (1, 2, 4, 8, 16, 32, 64)),
    ],
)
def test_the_sweep_goes_by_powers_of_two_to_twice_the_users(
    users: int, levels: tuple[int, ...]
) -> None:
    assert sweep_levels(users) == levels


def test_a_noise_floor_needs_six_restarts() -> None:
    with pytest.raises(ValueError, match="at least six"):
        replace(QUICK, epochs=5)


def test_the_expected_time_adds_up() -> None:
    assert QUICK.aa_s == pytest.approx(6 * (RESTART_GUESS_S + 4 * 1.0))
    assert QUICK.total_s(7) == pytest.approx(30 + 2 * 7 * 0.8 + 4 + 5 + 4 + QUICK.aa_s)
    assert QUICK.total_s(7) < FULL.total_s(7)
    assert replace(QUICK, epochs=12).aa_s == 2 * QUICK.aa_s


@pytest.mark.parametrize(
    ("slice_", "reason"),
    [
        (reading(), None),
        (reading(errors=2), "2 errors"),
        (reading(throttled_n=1), "the CPU quota throttled the stack"),
        (reading(steal_ratio=0.6), "60% of the CPU was stolen"),
        (reading(steal_ratio=0.4), None),
        (reading(per_s=0.0), "nothing was answered"),
        # The warm-up was answered, the measured part was not.
        (replace(reading(), summary=reading(per_s=0.0).summary), "nothing was answered"),
        (reading(rows=[honesty_row("lag", passed=False)]), "generator: lag is 0.5"),
        (reading(rows=[replace(honesty_row("lag", passed=False), voids=False)]), None),
    ],
)
def test_when_a_slice_is_void(slice_: Reading, reason: str | None) -> None:
    assert void_reason(slice_) == reason


def test_a_baseline_with_errors_of_its_own_allows_as_many() -> None:
    assert void_reason(reading(per_s=100.0, errors=2), allowed_error_ratio=0.02) is None
    assert void_reason(reading(per_s=100.0, errors=3), allowed_error_ratio=0.02) == "3 errors"


def test_a_metric_that_could_not_be_read_is_left_out_and_spoils_no_other() -> None:
    slice_ = reading()
    layers = {name: replace(v, pss_bytes=0) for name, v in slice_.usage.layers_after.items()}
    values = slice_values(replace(slice_, usage=replace(slice_.usage, layers_after=layers)))
    assert "memory" not in values
    assert {"throughput", "cpu_per_request", "latency_p99"} <= values.keys()


def test_blocks_that_do_not_tell_what_is_asked_end_the_experiment() -> None:
    asked = question(rule=Rule(objective=LATENCY_P99, margin=0.1))
    found = experiment((1.1, 1.2), asked=asked)
    short = [
        replace(
            block,
            slices=tuple(
                (arm, replace(each, summary=reading(latencies_s=(), routes=()).summary))
                for arm, each in block.slices
            ),
        )
        for block in found.gathered.blocks
    ]
    found.gathered.blocks = short
    with pytest.raises(AnalysisError, match="no latency_p99"):
        found.decision()
    assert found.effect("latency_p99") is None
