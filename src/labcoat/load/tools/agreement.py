"""Who agrees with whom, and who was the bottleneck. Pure.

Tools take turns in rounds, so each pair is compared within rounds; the number of rounds was
fixed before. Two tools agree where the interval of their ratio lies within the margin, differ
where it leaves out 1, and else cannot be told apart by so many rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from labcoat.load.tools.running import OWN, ToolSlice
from labcoat.model.stats import Effect, Interval, Sample
from labcoat.stats.interval import fixed_effect, mean_interval

MARGIN = 0.05
"""What two tools may differ by and still be called agreed."""

BUSY_RATIO = 0.90
"""Of the cores that a tool can use: from here on it is itself the limit."""

DEARER = 0.15
"""By how much more CPU a tool must take for a request, for that to explain a lower rate."""

IDLE_RATIO = 0.05
"""Of the machine: with less idle the CPUs are the limit, shared by tool and target."""


class Answer(Enum):
    """What the rounds say of two tools."""

    AGREE = "agree"
    DIFFER = "differ"
    ALIKE = "cannot be told apart"


class Bottleneck(Enum):
    """What kept a tool from more."""

    TOOL = "the tool itself"
    CPUS = "the CPUs, which tool and target share"
    TARGET = "the target"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSummary:
    """A tool over all rounds. ``throughput``: OK answers per second, a t interval."""

    tool: str
    throughput: Interval
    own_per_s: float
    wrong_status: int
    failed: int
    cpu_ratio: float
    cpu_per_request_s: float
    idle_ratio: float
    bottleneck: Bottleneck


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two tools: ``effect`` of the second over the first on throughput, and why they differ."""

    first: str
    second: str
    effect: Effect
    answer: Answer
    why: str = ""


def summarise_tool(slices: Sequence[ToolSlice]) -> ToolSummary:
    """Raises: AnalysisError for fewer than two slices."""
    logs = mean_interval(np.log([max(each.told.throughput_per_s, 1e-9) for each in slices]))
    cpu = float(np.mean([each.cpu_ratio for each in slices]))
    idle = float(np.mean([each.idle_ratio for each in slices]))
    return ToolSummary(
        tool=slices[0].tool,
        throughput=Interval(
            point=math.exp(logs.point),
            low=math.exp(logs.low),
            high=math.exp(logs.high),
            confidence=logs.confidence,
            method=logs.method,
            n=logs.n,
        ),
        own_per_s=float(np.mean([each.told.own_per_s for each in slices])),
        wrong_status=sum(each.told.wrong_status for each in slices),
        failed=sum(each.told.failed for each in slices),
        cpu_ratio=cpu,
        cpu_per_request_s=float(np.mean([each.cpu_per_request_s for each in slices])),
        idle_ratio=idle,
        bottleneck=bottleneck_of(cpu, idle),
    )


def bottleneck_of(cpu_ratio: float, idle: float) -> Bottleneck:
    """The tool first: one that is at its own limit measures itself, whatever else is busy."""
    if cpu_ratio >= BUSY_RATIO:
        return Bottleneck.TOOL
    return Bottleneck.CPUS if idle < IDLE_RATIO else Bottleneck.TARGET


def pairs(rounds: Mapping[str, Sequence[ToolSlice]]) -> tuple[Pair, ...]:
    """Each pair of tools, in the order given. Raises: AnalysisError for fewer than two rounds."""
    summaries = {name: summarise_tool(slices) for name, slices in rounds.items()}
    names = list(rounds)
    return tuple(
        _pair(summaries[first], summaries[second], rounds[first], rounds[second])
        for n, first in enumerate(names)
        for second in names[n + 1 :]
    )


def _pair(
    first: ToolSummary, second: ToolSummary, ours: Sequence[ToolSlice], theirs: Sequence[ToolSlice]
) -> Pair:
    logs = np.array(
        [
            math.log(max(b.told.throughput_per_s, 1e-9) / max(a.told.throughput_per_s, 1e-9))
            for a, b in zip(ours, theirs, strict=True)
        ]
    )
    if float(np.ptp(logs)) == 0:  # rates that are alike to the last digit in every round
        point = math.expm1(float(logs[0]))
        effect = Effect(point=point, low=point, high=point, method="exact", n=logs.size)
    else:
        effect = fixed_effect(Sample(metric="throughput", log_ratios=logs))
    answer = answer_of(effect)
    why = why_differ(first, second, effect.point) if answer is Answer.DIFFER else ""
    return Pair(first=first.tool, second=second.tool, effect=effect, answer=answer, why=why)


def answer_of(effect: Effect) -> Answer:
    """Agreed within the margin is agreed, even where the small difference is certain."""
    if effect.low > -MARGIN and effect.high < MARGIN:
        return Answer.AGREE
    return Answer.DIFFER if effect.low > 0 or effect.high < 0 else Answer.ALIKE


def why_differ(first: ToolSummary, second: ToolSummary, effect: float) -> str:
    """What is known of two tools that would make them differ, the gravest first.

    ``effect``: of the second over the first. A costlier tool explains a lower rate only.
    """
    both = (first, second)
    wrong = [each for each in both if each.wrong_status or each.failed]
    limited = [each for each in both if each.bottleneck is Bottleneck.TOOL]
    if limited:
        names = " and ".join(each.tool for each in limited)
        return (
            f"{names} {'was' if len(limited) == 1 else 'were'} the bottleneck"
            f" ({', '.join(f'{each.cpu_ratio:.0%}' for each in limited)} of what it can use)"
        )
    if wrong:
        counts = ", ".join(f"{each.tool} {each.wrong_status + each.failed:,}" for each in wrong)
        return f"not every answer was OK ({counts}), and errors are left out"
    if any(each.bottleneck is Bottleneck.CPUS for each in both):
        dearer = second.cpu_per_request_s / max(first.cpu_per_request_s, 1e-12)
        if (effect < 0 and dearer > 1 + DEARER) or (effect > 0 and dearer < 1 / (1 + DEARER)):
            costs = ", ".join(f"{each.tool} {1e6 * each.cpu_per_request_s:.0f} µs" for each in both)
            return f"they take the CPU that the target needs: a request costs {costs}"
        if OWN in {first.tool, second.tool}:
            return (
                "no CPU was idle: labcoat asks the scheduler to come first, the other waits for"
                " its turn behind the target and whatever else is busy here"
            )
        return "no CPU was idle: what each got of it depended on what else was busy here"
    return "neither was the limit, and cores were idle: they wait differently for their answers"
