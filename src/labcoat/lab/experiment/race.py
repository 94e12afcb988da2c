"""A race: several questions about one baseline, epoch by epoch in turn, within one budget.

A single question is a race of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from labcoat.errors import AnalysisError
from labcoat.lab.experiment.epoch import measure_epoch
from labcoat.lab.experiment.experiment import Experiment, out_of_budget, settle
from labcoat.lab.trial.events import Asked, BlockJudged
from labcoat.lab.trial.workbench import Workbench
from labcoat.load.honesty import HEADROOM
from labcoat.model.stats import Decision, Verdict
from labcoat.stack.rig import Rig

NEEDS_HEADROOM = frozenset({Verdict.EQUIVALENT, Verdict.NOT_BETTER})
"""Verdicts that two arms would also get from a generator that is the limit of both."""


def race(
    bench: Workbench,
    rig: Rig,
    experiments: Sequence[Experiment],
    *,
    budget_s: float,
    headroom_per_s: float | None,
    stops: Callable[[], bool] = lambda: False,
) -> list[Decision]:
    """A decision for each experiment; what the budget leaves undecided is INCONCLUSIVE.

    An epoch is begun only if one as long as the longest so far would still fit. ``stops``:
    whether the user wants to stop now, asked before each epoch; what is open then has no verdict.
    Raises: StackError when the baseline does not stand; LoadError.
    """
    started = time.monotonic()
    decisions = [judged(each, headroom_per_s) for each in experiments]
    for experiment, decision in zip(experiments, decisions, strict=True):
        if decision.verdict is not None and not _is_settled(bench, experiment, decision):
            settle(bench, experiment, decision)  # a crash came between its blocks and its verdict
    open_ones = [n for n, decision in enumerate(decisions) if decision.verdict is None]
    for n in open_ones:
        blocks = len(experiments[n].gathered.blocks)
        bench.tell(
            Asked(
                question=experiments[n].question,
                experiment_id=experiments[n].record.id,
                blocks=blocks,
            )
        )
    longest_s = 0.0
    while open_ones:
        for n in tuple(open_ones):
            if stops():
                return decisions
            began = time.monotonic()
            if began - started + longest_s > budget_s and longest_s:
                decisions[n] = out_of_budget(experiments[n], decisions[n], budget_s)
            else:
                measure_epoch(bench, rig, experiments[n])
                decisions[n] = judged(experiments[n], headroom_per_s)
                longest_s = max(longest_s, time.monotonic() - began)
            if decisions[n].verdict is not None:
                settle(bench, experiments[n], decisions[n])
                open_ones.remove(n)
            tell_decision(bench, experiments[n], decisions[n])
    return decisions


def _is_settled(bench: Workbench, experiment: Experiment, decision: Decision) -> bool:
    """Whether the journal's last word on an experiment is this verdict."""
    verdicts = bench.journal.verdicts(experiment.record.id)
    return bool(verdicts) and verdicts[-1].decision.verdict is decision.verdict


def judged(experiment: Experiment, headroom_per_s: float | None) -> Decision:
    """What the rule says now, where it may be asked; INVALID where it may not.

    An answer that the journal holds stays: headroom is another one each time.
    """
    try:
        decision = experiment.decision()
    except AnalysisError as error:
        return Decision(
            verdict=Verdict.INVALID, reason=error.what, n=len(experiment.gathered.blocks)
        )
    is_free = decision.verdict not in NEEDS_HEADROOM or headroom_per_s is None
    if is_free or experiment.is_recorded:
        return decision
    ratio = headroom_ratio(experiment, headroom_per_s)
    if ratio is None or ratio >= HEADROOM:
        return decision
    return replace(
        decision,
        verdict=Verdict.INVALID,
        reason=f"the generator reaches only {ratio:.1f} times this throughput where there is"
        " nothing to wait for, so both arms would look equal whatever the knob does",
    )


def headroom_ratio(experiment: Experiment, headroom_per_s: float | None) -> float | None:
    """What the generator reaches, over the mean throughput of both arms; None where unknown."""
    rates = [
        reading.summary.throughput_per_s
        for block in experiment.gathered.blocks
        for _, reading in block.slices
    ]
    if headroom_per_s is None or not rates:
        return None
    return headroom_per_s * len(rates) / sum(rates)


def tell_decision(bench: Workbench, experiment: Experiment, decision: Decision) -> None:
    """Tell what is known after an epoch."""
    bench.tell(
        BlockJudged(
            question=experiment.question,
            blocks=len(experiment.gathered.blocks),
            effect=experiment.effect(experiment.question.rule.objective.name),
            decision=decision,
        )
    )
