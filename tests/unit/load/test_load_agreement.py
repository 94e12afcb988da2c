"""Who agrees with whom, and who was the bottleneck."""

from __future__ import annotations

import pytest

from labcoat.load.tools.agreement import Answer, Bottleneck, bottleneck_of, pairs
from labcoat.load.tools.base import Told
from labcoat.load.tools.running import ToolSlice


def slices(
    tool: str,
    rates: tuple[float, ...],
    *,
    cpu: float = 0.3,
    idle: float = 0.3,
    wrong: int = 0,
) -> list[ToolSlice]:
    return [
        ToolSlice(
            tool=tool,
            told=Told(
                ok=round(rate * 10),
                wrong_status=wrong,
                failed=0,
                elapsed_s=10.0,
                own_per_s=rate,
            ),
            cpu_s=10 * cpu,
            wall_s=10.0,
            cores=1.0,
            idle_ratio=idle,
        )
        for rate in rates
    ]


@pytest.mark.parametrize(
    ("theirs", "cpu", "idle", "wrong", "answer", "why"),
    [
        ((1001, 1003, 998, 1000), 0.3, 0.3, 0, Answer.AGREE, ""),
        ((1001, 1300, 900, 1000), 0.3, 0.3, 0, Answer.ALIKE, ""),
        ((701, 703, 698, 702), 0.97, 0.3, 0, Answer.DIFFER, "wrk was the bottleneck (97%"),
        ((701, 703, 698, 702), 0.3, 0.01, 0, Answer.DIFFER, "they take the CPU that the target"),
        ((701, 703, 698, 702), 0.1, 0.01, 0, Answer.DIFFER, "labcoat asks the scheduler"),
        ((701, 703, 698, 702), 0.3, 0.3, 99, Answer.DIFFER, "not every answer was OK"),
        ((701, 703, 698, 702), 0.3, 0.3, 0, Answer.DIFFER, "they wait differently"),
    ],
)
def test_a_pair(
    theirs: tuple[float, ...], cpu: float, idle: float, wrong: int, answer: Answer, why: str
) -> None:
    rounds = {
        "labcoat": slices("labcoat", (1000, 1002, 999, 1001), idle=idle),
        "wrk": slices("wrk", theirs, cpu=cpu, idle=idle, wrong=wrong),
    }
    (pair,) = pairs(rounds)
    assert pair.answer is answer
    assert why in pair.why
    assert bool(pair.why) == bool(why)


def test_pairs_are_compared_within_rounds() -> None:
    drifting = (1000.0, 800.0, 600.0, 400.0)
    rounds = {
        "labcoat": slices("labcoat", drifting),
        "ab": slices("ab", tuple(1.01 * rate for rate in drifting)),
    }
    (pair,) = pairs(rounds)
    assert pair.answer is Answer.AGREE  # whatever the machine did meanwhile
    assert pair.effect.point == pytest.approx(0.01, abs=1e-3)


def test_the_bottleneck_is_named() -> None:
    assert bottleneck_of(0.97, 0.0) is Bottleneck.TOOL
    assert bottleneck_of(0.40, 0.01) is Bottleneck.CPUS
    assert bottleneck_of(0.40, 0.50) is Bottleneck.TARGET
