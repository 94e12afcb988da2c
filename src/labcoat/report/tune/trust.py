"""Why to believe it, or not: noise, controls, voids, the generator, claimed and confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from labcoat.model.baseline import Baseline
from labcoat.model.finding import ExperimentFinding
from labcoat.model.tune import TuneFinding
from labcoat.report.experiment import VERDICTS
from labcoat.report.format import clock, counted, effect, percent
from labcoat.report.paper import Cell, Part, Prose, Section, Table, Terms, cells
from labcoat.report.trials import Background
from labcoat.report.tune.words import (
    all_experiments,
    baselines,
    marked,
    metric_of,
    of_metric,
    warnings_of,
)
from labcoat.stats.interval import binomial_interval

FALSE = frozenset({"improved", "regressed"})
"""Verdicts that are false where both arms are the same."""


def trust(found: TuneFinding, background: Background) -> Section:
    """Everything that a doubter asks first."""
    parts: list[Part] = [_noise(found), Prose(_controls_sentence(found))]
    if found.controls:
        parts.append(_controls(found))
    parts.append(Terms(tuple(_terms(found, background))))
    dishonest = _dishonest(found)
    if dishonest.rows:
        parts.append(dishonest)
    warnings = warnings_of(found)
    if warnings:
        parts.append(Prose("Warnings, each with what to do about it:"))
        parts.append(Terms(tuple((Cell(each.message), (each.remedy,)) for each in warnings)))
    return Section(name="trust", title="Why to believe it, and where not", parts=tuple(parts))


def _noise(found: TuneFinding) -> Table:
    rows = []
    sides = baselines(found)
    if len({baseline.noise for _, baseline in sides}) == 1:
        sides = sides[:1]  # one A/A experiment was made, and told with both
    for name, baseline in sides:
        for each in baseline.noise.metrics:
            floor = "unbounded" if each.floor_ratio is None else f"±{percent(each.floor_ratio)}"
            adjusted = each.adjusted_sd_ratio
            is_false = each.verdict in FALSE
            rows.append(
                cells(
                    f"{metric_of(each.metric).title}, {name}",
                    floor,
                    percent(each.sd_ratio),
                    "–" if adjusted is None else percent(adjusted),
                    effect(each.effect_ratio, each.low_ratio, each.high_ratio),
                    Cell(
                        f"! falsely {each.verdict}" if is_false else "no difference shown",
                        verdict="regressed" if is_false else "",
                    ),
                )
            )  # fmt: skip
    return Table(
        caption="Noise: the stack against itself (A/A)",
        head=("metric", "noise floor", "sd of a block", "without steal", "seen", "verdict"),
        align="lrrrrl",
        rows=tuple(rows),
        empty="No A/A experiment was made.",
    )


def false_verdicts(found: TuneFinding) -> tuple[int, int]:
    """False verdicts among the controls that had a verdict, and how many those are."""
    valid = [each for each in found.controls if each.verdict != "invalid"]
    return sum(each.verdict in FALSE for each in valid), len(valid)


def _controls_sentence(found: TuneFinding) -> str:
    false, of = false_verdicts(found)
    if not of:
        return (
            "Controls: none. No experiment of the incumbent against itself was made in between, so"
            " this campaign cannot tell its own rate of false verdicts."
        )
    interval = binomial_interval(false, of)
    return (
        f"Controls: {false} false verdict{'' if false == 1 else 's'} of {of}, made blindly in"
        " between with the incumbent against itself. The rate behind that is"
        f" {percent(interval.low)} to {percent(interval.high)} (95 %, Clopper-Pearson)."
        + (" Few controls say little; the interval tells how little." if of < 20 else "")
    )


def _controls(found: TuneFinding) -> Table:
    return Table(
        caption="Controls, in order",
        head=("verdict", "effect", "blocks", "because"),
        align="lrrp",
        rows=tuple(
            cells(
                Cell(
                    _judged(each.verdict),
                    verdict="regressed" if each.verdict in FALSE else each.verdict,
                ),
                Cell(_seen(each), of=each.experiment_id),
                f"{each.blocks:,}",
                each.reason,
            )
            for each in found.controls
        ),
    )  # fmt: skip


def _judged(verdict: str) -> str:
    """A control's verdict: where both arms are the same, one that decides is false."""
    return f"! FALSE {VERDICTS[verdict]}" if verdict in FALSE else marked(verdict)


def _seen(each: ExperimentFinding) -> str:
    measured = of_metric(each, each.objective)
    if measured is None:
        return "not known"
    return effect(measured.effect_ratio, measured.low_ratio, measured.high_ratio)


def _terms(found: TuneFinding, background: Background) -> Iterator[tuple[Cell, tuple[str, ...]]]:
    yield Cell("Claimed and confirmed"), (_shrinkage(found),)
    yield Cell("Void blocks"), tuple(_voids(found, background))
    yield Cell("Load generator"), tuple(_generator(found))
    yield Cell("Same answers"), (_answers(found),)
    yield Cell("Steal"), (_steal(found),)
    yield Cell("What it could find"), (_detectable(found.before),)


def _shrinkage(found: TuneFinding) -> str:
    of = found.confirmation
    if of is None:
        return "Nothing was confirmed; every effect in this report is an estimate at stopping."
    measured = effect(of.confirmed_ratio, of.low_ratio, of.high_ratio)
    told = f"Claimed {percent(of.claimed_ratio, signed=True)}, confirmed {measured}"
    if not of.is_confirmed:
        told = f"Claimed {percent(of.claimed_ratio, signed=True)}, not confirmed: {measured}"
    if of.confirmed_ratio is not None and of.claimed_ratio > -1 and of.confirmed_ratio > -1:
        claimed = math.log1p(of.claimed_ratio)
        if claimed:
            share = math.log1p(of.confirmed_ratio) / claimed
            told += f"; {percent(share)} of the claim, on a scale of ratios"
    if of.epochs < of.planned_epochs:
        told += f". Only {of.epochs} of {of.planned_epochs} planned restarts were made"
    return told + "."


def _voids(found: TuneFinding, background: Background) -> Iterator[str]:
    experiments = all_experiments(found)
    before = sum(each.voids_baseline for each in experiments)
    after = sum(each.voids_treatment for each in experiments)
    blocks = sum(each.blocks for each in experiments)
    of = [block for each in background.experiments for block in each.blocks if block.id]
    if of:
        void = sum(block.void is not None for block in of)
        yield f"In the whole study, guardrails included: {void} of {counted(len(of), 'block')}."
    if not before + after:
        yield f"None among {counted(blocks, 'block')} that counted."
        return
    yield (
        f"{before + after} beside {counted(blocks, 'block')} that counted: {before} ended on the"
        f" baseline, {after} on the treatment; without a cause in the knob a coin decides which."
    )
    reasons = dict.fromkeys(reason for each in experiments for reason in each.void_reasons)
    yield from list(reasons)[:6]
    if len(reasons) > 6:
        yield f"and {len(reasons) - 6} more reasons, in the trials."


def _generator(found: TuneFinding) -> Iterator[str]:
    for name, baseline in baselines(found):
        failed = sum(not row.passed for row in baseline.honesty)
        headroom = baseline.headroom_ratio
        more = (
            "; headroom unknown: no static answer to compare with"
            if headroom is None
            else f"; against a static answer it reaches {headroom:.1f} × the stack's throughput"
        )
        checks = counted(len(baseline.honesty), "check")
        honest = f"honest, all {checks} passed" if not failed else f"{failed} of {checks} FAILED"
        yield f"{name.capitalize()}: {honest}{more}."
    of = found.confirmation
    if of is not None and of.experiment.generator_share_ratio:
        told = f"It takes {percent(of.experiment.generator_share_ratio)} of a request's CPU"
        gain = of.experiment.true_gain_ratio
        if gain is not None:
            told += (
                ": where it shares the cores and the CPU is the limit, the stack alone changed by"
                f" {percent(gain, signed=True)}"
            )
        yield told + "."


def _answers(found: TuneFinding) -> str:
    experiments = all_experiments(found)
    compared = sum(each.answers_compared for each in experiments)
    unstable = dict.fromkeys(route for each in experiments for route in each.answers_unstable)
    told = f"{compared:,} answers of each arm were held against the other's."
    if unstable:
        told += f" Not twice the same by themselves, so not compared: {', '.join(unstable)}."
    return told


def _steal(found: TuneFinding) -> str:
    ratios = [each.steal_ratio for each in all_experiments(found) if each.steal_ratio is not None]
    adjusted = sum(each.adjusted for each in all_experiments(found))
    noise = percent(found.before.noise.steal_ratio)
    if not ratios:
        return f"{noise} during the baseline."
    taken = (
        f"taken out of the effects of {counted(adjusted, 'experiment')}"
        if adjusted
        else "not taken out"
    )
    return f"{noise} during the baseline, at most {percent(max(ratios))} in an experiment; {taken}."


def _detectable(baseline: Baseline) -> str:
    told = {
        percent(each.effect_ratio): clock(each.budget_s)
        for each in reversed(baseline.noise.detectable)
        if each.effect_ratio is not None
    }
    if not told:
        return "No experiment of the budgets that were asked would reach a verdict here."
    each = ", ".join(f"{effect_} in {budget} min" for effect_, budget in reversed(told.items()))
    return f"The smallest effect that an experiment finds four times in five: {each}."


def _dishonest(found: TuneFinding) -> Table:
    return Table(
        caption="Checks of the generator that failed",
        head=("side", "phase", "check", "because"),
        align="lllp",
        rows=tuple(
            cells(name, row.phase, row.check, row.explanation)
            for name, baseline in baselines(found)
            for row in baseline.honesty
            if not row.passed
        ),
    )
