"""What ``labcoat tune`` says at its end: the sentence, the ladder, where the rest is."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from labcoat.model.tune import TuneFinding
from labcoat.report.experiment import MARKS
from labcoat.report.format import clock, counted, effect, percent, table
from labcoat.report.plots.ladder import rungs
from labcoat.report.tune.trust import false_verdicts
from labcoat.report.tune.words import (
    change_of,
    confirmed_verdict,
    considered_as,
    of_metric,
)

WIDTH = 100
REPORT, PATCH = ".labcoat/report.html", ".labcoat/tuned.patch"
WORDS = {
    "regressed": "worse",
    "equivalent": "no difference worth having",
    "not_better": "not better",
    "inconclusive": "inconclusive",
    "invalid": "invalid",
    "improved": "better, and not taken",
}


def ladder_text(
    found: TuneFinding, *, report: str | None = REPORT, patch: str | None = PATCH
) -> str:
    """The few lines for a terminal. ``report``, ``patch``: where they lie; None is not told."""
    lines = [*wrap(found.sentence, WIDTH), ""]
    lines += table(list(_rows(found)), left=1)
    lines += ["", *_rest(found)]
    if report is not None:
        lines.append(f"  report     {report}")
    if patch is not None and found.handover.diff:
        lines.append(f"  patch      {patch}")
    lines += [f"  by hand    {line}" for line in found.handover.by_hand]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines) + "\n"


def _rows(found: TuneFinding) -> Iterator[tuple[str, ...]]:
    """One line per experiment, as the live view had them; then what was confirmed."""
    for step, rung in zip(found.steps, rungs(found), strict=True):
        mark = MARKS["improved"] if step.is_kept else "–"
        end = "kept" if step.is_kept else "taken out again"
        yield _row(
            f"{mark} {rung.label}",
            effect(rung.own, rung.low, rung.high),
            counted(rung.blocks, "block"),
            clock(step.experiment.measured_s),
            end,
        )
    for considered in found.considered:
        if not considered.experiments:
            continue
        last = considered.experiments[-1]
        measured = of_metric(last, found.objective)
        told = "not known"
        if measured is not None:
            told = effect(measured.effect_ratio, measured.low_ratio, measured.high_ratio)
        mark = MARKS.get(considered.outcome, "~")
        yield _row(
            f"{mark} {change_of(considered.change)}",
            told,
            counted(sum(each.blocks for each in considered.experiments), "block"),
            clock(sum(each.measured_s for each in considered.experiments)),
            WORDS.get(considered.outcome, considered.outcome),
        )
    of = found.confirmation
    if of is not None:
        yield _row("  claimed", percent(of.claimed_ratio, signed=True), "", "", "steps multiplied")
        yield _row(
            f"{MARKS[confirmed_verdict(of)]} {'confirmed' if of.is_confirmed else 'not confirmed'}",
            effect(of.confirmed_ratio, of.low_ratio, of.high_ratio),
            counted(of.experiment.blocks, "block"),
            clock(of.experiment.measured_s),
            "on fresh processes",
        )


def _row(*texts: str) -> tuple[str, ...]:
    return texts


def _rest(found: TuneFinding) -> Iterator[str]:
    """How many were not measured, what is open, and the false verdicts of the controls."""
    skipped = len(considered_as(found, "skipped"))
    every = considered_as(found, "undecided", "inconclusive")
    begun = [each for each in every if each.experiments]
    unasked = len(every) - len(begun)
    if skipped or unasked:
        left = [f"{skipped} left out" if skipped else "", f"{unasked} not asked" if unasked else ""]
        told = ", ".join(filter(None, left))
        of = counted(len(found.considered) + len(found.steps), "level")
        yield f"  {told} of {of}; the report says why"
    if begun:
        yield f'  {counted(len(begun), "level")} not decided, which is not "no effect"'
    takes = sum(each.would_take_s or 0.0 for each in every)
    if takes:
        yield f"  {clock(takes)} min more would decide what can be decided"
    false, controls = false_verdicts(found)
    if controls:
        yield f"  {counted(false, 'false verdict')} of {counted(controls, 'control')}"
