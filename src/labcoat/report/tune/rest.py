"""What is not in the diff: what did not matter, what is not known, what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from labcoat.model.finding import Guarded
from labcoat.model.knob import MILD, Safety
from labcoat.model.tune import Considered, TuneFinding
from labcoat.report.format import clock, effect, percent, rate
from labcoat.report.paper import Cell, Part, Prose, Section, Table, Terms, cells
from labcoat.report.tune.summary import value
from labcoat.report.tune.words import (
    change_of,
    considered_as,
    kept_steps,
    marked,
    metric_of,
    of_metric,
)

GUARD_MARKS = {"held": ("✓", "improved"), "broken": ("✗", "regressed")}


def rest(found: TuneFinding) -> Section:
    """Everything that was considered and is no step: what did not matter, and what is open."""
    parts: list[Part] = [
        _measured(
            found,
            considered_as(found, "not_better", "equivalent"),
            caption="What did not matter: shown to give less than the margin",
            empty="Nothing was shown not to matter.",
        )
    ]
    better = considered_as(found, "improved")
    if better:
        caption = "What was better, and is not in what is handed over"
        parts.append(_measured(found, better, caption=caption, empty=""))
    worse = considered_as(found, "regressed")
    if worse:
        caption = "What made it worse"
        parts.append(_measured(found, worse, caption=caption, empty=""))
    parts += _open(found)
    invalid = considered_as(found, "invalid")
    if invalid:
        caption = "What could not be measured: nothing follows from these"
        parts.append(_measured(found, invalid, caption=caption, empty=""))
    skipped = considered_as(found, "skipped")
    if skipped:
        parts += [
            Prose("What was left out before anything was measured, and why:"),
            _skipped(skipped),
        ]
    return Section(
        name="rest",
        title="What did not matter, and what is not known",
        parts=tuple(parts),
        is_core=True,
    )


def _measured(
    found: TuneFinding, chosen: Sequence[Considered], *, caption: str, empty: str
) -> Table:
    return Table(
        caption=caption,
        head=("change", "verdict", "effect", "because"),
        align="llrp",
        rows=tuple(
            cells(
                change_of(each.change),
                Cell(marked(each.outcome), verdict=each.outcome),
                _effect(found, each),
                each.reason,
            )
            for each in chosen
        ),
        empty=empty,
    )


def _effect(found: TuneFinding, each: Considered) -> Cell:
    if not each.experiments:
        return Cell("not measured")
    last = each.experiments[-1]
    measured = of_metric(last, found.objective)
    if measured is None:
        return Cell("not known", of=last.experiment_id)
    told = effect(measured.effect_ratio, measured.low_ratio, measured.high_ratio)
    return Cell(told, of=last.experiment_id)


def _open(found: TuneFinding) -> Iterator[Part]:
    every = considered_as(found, "inconclusive", "undecided")
    undecided = [each for each in every if each.experiments]
    yield Table(
        caption="What could not be decided: not shown to matter, and not shown not to",
        head=("change", "verdict", "effect so far", "could give", "would take, min", "because"),
        align="llrrrp",
        rows=tuple(
            cells(
                change_of(each.change),
                Cell(marked(each.outcome), verdict="inconclusive"),
                _effect(found, each),
                _bound(each.bound_ratio),
                _takes(each),
                each.reason,
            )
            for each in undecided
        ),
        empty="Nothing that was begun was left undecided.",
    )
    unasked = [each for each in every if not each.experiments]
    if unasked:
        yield Table(
            caption="What was never asked: the budget ended first, and others promised more",
            head=("change", "could give", "would take, min"),
            align="lrr",
            rows=tuple(
                cells(change_of(each.change), _bound(each.bound_ratio), _takes(each))
                for each in unasked
            ),
        )
    if every:
        takes = [each.would_take_s for each in every if each.would_take_s is not None]
        told = "These are open questions, not findings of no effect."
        if undecided:
            told += " What was begun may still be anything within its interval."
        if takes:
            minutes = math.ceil(sum(takes) / 60)
            told += f" {minutes} min more would decide {len(takes)} of {len(every)}."
        yield Prose(told, "warning")


def _takes(each: Considered) -> str:
    return "none would" if each.would_take_s is None else f"{clock(each.would_take_s)} more"


def _bound(ratio: float | None) -> str:
    return "?" if ratio is None else f"up to {percent(ratio, signed=True)}"


def _skipped(chosen: Sequence[Considered]) -> Terms:
    """Each reason once, with the changes that it is of."""
    reasons: dict[str, list[str]] = {}
    for each in chosen:
        reasons.setdefault(each.reason, []).append(change_of(each.change))
    return Terms(tuple((Cell(reason), ("; ".join(of),)) for reason, of in reasons.items()))


def guardrails(found: TuneFinding) -> Section:
    """What must not get worse, and what is given for the gain."""
    of = found.confirmation
    guards = () if of is None else of.guardrails
    parts: list[Part] = [
        Table(
            caption="Guardrails of what is handed over, measured with the confirmation",
            head=("guardrail", "answer", "may be worse by", "before", "after", "because"),
            align="llrrrp",
            rows=tuple(_guard(each) for each in guards),
            empty="None was measured: there was nothing to guard.",
        )
    ]
    if any(each.answer == "not shown" for each in guards):
        told = "Not shown means that it was proven neither to hold nor to be broken: watch it."
        parts.append(Prose(told, "warning"))
    broken = tuple(_broken(found))
    if broken:
        parts.append(Prose("Faster, and refused because a guardrail broke:"))
        parts.append(Terms(broken))
    accepted = tuple(_accepted(found))
    if accepted:
        parts.append(Prose("Trade-offs of what is handed over, or would be:"))
        parts.append(Terms(accepted))
    elif kept_steps(found):
        parts.append(Prose("None of the changes has a trade-off in the catalogue."))
    else:
        parts.append(Prose("Nothing changes hands, so nothing is given for it."))
    return Section(
        name="guardrails", title="Guardrails and trade-offs", parts=tuple(parts), is_core=True
    )


def _guard(each: Guarded) -> tuple[Cell, ...]:
    mark, verdict = GUARD_MARKS.get(each.answer, ("~", "inconclusive"))
    at = "" if each.rate_per_s is None else f" at {rate(each.rate_per_s)}/s"
    measured = next((one for one in each.compared if one.metric == each.metric), None)
    sides = (
        ("–", "–")
        if measured is None
        else (value(measured.unit, measured.baseline), value(measured.unit, measured.treatment))
    )
    margin = percent(each.margin_ratio)
    return cells(
        metric_of(each.metric).title + at,
        Cell(f"{mark} {each.answer}", verdict=verdict),
        f"{margin} of memory" if each.metric == "memory" else margin,
        *sides,
        each.reason,
    )


def _broken(found: TuneFinding) -> Iterator[tuple[Cell, tuple[str, ...]]]:
    for each in considered_as(found, "regressed"):
        for experiment in each.experiments[-1:]:
            for guard in experiment.guardrails:
                if guard.answer == "broken":
                    told = f"{metric_of(guard.metric).title} {guard.reason}"
                    yield Cell(change_of(each.change), of=experiment.experiment_id), (told,)


def _accepted(found: TuneFinding) -> Iterator[tuple[Cell, tuple[str, ...]]]:
    for step in kept_steps(found):
        told = [step.change.trap] if step.change.trap else []
        if step.change.safety not in {safety.value for safety in MILD}:
            meaning = next(
                (each.meaning for each in Safety if each.value == step.change.safety), ""
            )
            told.insert(0, f"Class {step.change.safety}, allowed for this campaign. {meaning}")
        if told:
            yield Cell(change_of(step.change)), tuple(told)
