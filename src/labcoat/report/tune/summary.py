"""What comes first: the sentence, what changes hands, the ladder, every effect."""

from __future__ import annotations

from collections.abc import Iterator

from labcoat.model.domain import spelled
from labcoat.model.knob import Safety
from labcoat.model.tune import Step, TuneFinding
from labcoat.report.format import clock, counted, effect, percent, rate, seconds, size
from labcoat.report.paper import Cell, Code, Part, Prose, Section, Table, Terms, cells
from labcoat.report.tune.words import (
    all_experiments,
    change_of,
    considered_as,
    gain_of,
    kept_steps,
    metric_of,
    of_metric,
)

NOT_HANDED_OVER = {
    "improved": "",
    "nothing to change": "No change was shown to be worth having, so there is nothing to apply.",
    "not confirmed": "The accepted changes did not stand the confirmation on fresh processes, so"
    " nothing is handed over. What they claimed is in the ladder, for whoever asks again.",
    "interrupted": "The campaign was interrupted before the confirmation, so nothing is handed"
    " over: a gain that was not confirmed is not quoted. The same command goes on from here.",
    "guardrail": "The gain is there, and it costs what must not be paid: a guardrail broke, so"
    " nothing is handed over.",
}


def summary(found: TuneFinding) -> Section:
    """The sentence, and the numbers of both sides."""
    parts: list[Part] = [Prose(found.sentence, "lead")]
    numbers = _numbers(found)
    if numbers.rows:
        parts.append(numbers)
    parts.append(Prose(" ".join(_claimed(found))))
    parts.append(Prose(" ".join(_effort(found)), "note"))
    return Section(name="summary", title="What was found", parts=tuple(parts), is_core=True)


def _numbers(found: TuneFinding) -> Table:
    """Every metric of the confirmation, before and after."""
    rows = []
    of = found.confirmation
    experiment = None if of is None else of.experiment
    for each in () if experiment is None else experiment.compared:
        change = effect(each.effect_ratio, each.low_ratio, each.high_ratio)
        if of is not None and each.metric == found.objective:
            change = effect(of.confirmed_ratio, of.low_ratio, of.high_ratio)
        is_closed = each.metric.startswith("latency") and experiment.latency_loop != "open"  # type: ignore[union-attr] # it has rows
        rows.append(
            cells(
                metric_of(each.metric).title + (" (closed loop)" if is_closed else ""),
                value(each.unit, each.baseline),
                value(each.unit, each.treatment),
                Cell(change, of=experiment.experiment_id),  # type: ignore[union-attr] # it has rows
            )
        )
    return Table(
        caption="Before and after, side by side in the confirmation",
        head=("", "before", "after", "change"),
        align="lrrr",
        rows=tuple(rows),
    )


def value(unit: str, amount: float) -> str:
    """A metric's value with its unit."""
    if unit == "1/s":
        return f"{rate(amount)}/s"
    if unit == "s":
        return seconds(amount)
    return size(amount) if unit == "bytes" else percent(amount)


def _claimed(found: TuneFinding) -> Iterator[str]:
    of = found.confirmation
    if of is None:
        yield "Nothing was confirmed, so no gain is quoted."
        return
    measured = effect(of.confirmed_ratio, of.low_ratio, of.high_ratio)
    yield (
        f"Claimed {percent(of.claimed_ratio, signed=True)}: the gains of the steps at the moment"
        " each was accepted, multiplied; what stops when luck has helped overstates."
    )
    word = "Confirmed" if of.is_confirmed else "Not confirmed: measured"
    yield (
        f"{word} {measured}: origin against all kept changes, on fresh processes, in"
        f" {counted(of.epochs, 'restart')} of both arms; {of.planned_epochs} were fixed beforehand."
    )
    if of.epochs < of.planned_epochs:
        yield "It ended before its time, so its interval is wider than planned."
    if found.outcome == "improved":
        yield "The confirmed number is the one to quote."


def _effort(found: TuneFinding) -> Iterator[str]:
    experiments = all_experiments(found)
    blocks = sum(each.blocks for each in experiments)
    yield (
        f"{counted(len(experiments), 'experiment')}, {counted(blocks, 'block')},"
        f" {clock(found.spent_s)} of {clock(found.budget_s)} min of the budget;"
        f" objective {metric_of(found.objective).title},"
        f" margin {percent(found.margin_ratio)}."
    )
    if found.stopped:
        yield f"Why it ended: {found.stopped.rstrip('.')}."
    allowed = ", ".join(found.allowed)
    yield f"Allowed beyond the mild classes: {allowed or 'nothing'}."


def change(found: TuneFinding) -> Section:
    """The diff, and the evidence for every line of it."""
    steps = kept_steps(found)
    parts: list[Part] = []
    reason = NOT_HANDED_OVER.get(found.outcome, "")
    if reason:
        parts.append(Prose(reason))
    open_ = len(considered_as(found, "inconclusive", "undecided"))
    if open_ and found.outcome == "nothing to change":
        told = (
            f"{counted(open_, 'level')} could not be decided: nothing was shown of them either way."
        )
        parts.append(Prose(told, "warning"))
    if steps:
        parts += [_table(steps, found), Terms(tuple(_reasons(steps)))]
    if found.handover.diff:
        parts.append(Code("The diff of your own files, to be read", found.handover.diff, "diff"))
        parts.append(Prose(_to_apply(found)))
    if found.handover.by_hand:
        parts.append(Prose("By hand, because no file of the study can hold it:"))
        parts += [Code("", line, "text") for line in found.handover.by_hand]
    if not parts:
        parts.append(Prose("There is nothing to change."))
    return Section(name="change", title="What to change", parts=tuple(parts), is_core=True)


def _to_apply(found: TuneFinding) -> str:
    lines = ", ".join(
        f"{each.path} ({counted(each.lines, 'line')})" for each in found.handover.files
    )
    return (
        f"Changed: {lines}. Only what changes is shown, for the rest of a line may be secret;"
        " `labcoat diff` prints the whole patch, `labcoat apply` puts it in place, and `labcoat"
        " rollback` takes it out again."
    )


def _table(steps: tuple[Step, ...], found: TuneFinding) -> Table:
    told = {step.change.knob for step in steps}
    others = [
        cells(f"{knob} → {spelled(level)}", "", "", "with the change above it")
        for knob, level in found.handover.assignment
        if knob not in told
    ]
    return Table(
        caption=(
            "What is handed over" if found.outcome == "improved" else "What would be handed over"
        ),
        head=("knob", "takes", "class", "gain when accepted"),
        align="lllr",
        rows=(
            *(
                cells(
                    change_of(step.change),
                    f"a {step.change.apply_cost}",
                    step.change.safety,
                    Cell(_gain(step, found.objective), of=step.experiment.experiment_id),
                )
                for step in steps
            ),
            *others,
        ),
    )


def _gain(step: Step, objective: str) -> str:
    measured = of_metric(step.experiment, objective)
    if measured is None:
        return percent(gain_of(step.experiment), signed=True)
    return effect(measured.effect_ratio, measured.low_ratio, measured.high_ratio)


def _reasons(steps: tuple[Step, ...]) -> Iterator[tuple[Cell, tuple[str, ...]]]:
    for step in steps:
        told = [step.change.why, f"Kept: {step.reason}"]
        if step.works_with:
            told.append(f"It showed nothing without {' and '.join(step.works_with)}.")
        if step.change.trap:
            told.append(f"Trade-off: {step.change.trap}")
        if step.change.safety != Safety.SAFE.value:
            told.append(f"Class {step.change.safety}: {_meaning(step.change.safety)}")
        told.append(f"Source: {step.change.source}")
        yield Cell(step.change.knob, of=step.experiment.experiment_id), tuple(told)


def _meaning(name: str) -> str:
    try:
        return Safety(name).meaning
    except ValueError:
        return "unknown to this version of labcoat."
