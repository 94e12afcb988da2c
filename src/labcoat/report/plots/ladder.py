"""The ladder: from the origin to what is handed over, one accepted change after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labcoat.model.tune import Confirmation, TuneFinding
from labcoat.report.format import counted, effect, percent
from labcoat.report.paper import Cell, Drawing, Table, cells
from labcoat.report.plots.drawn import Plot
from labcoat.report.plots.whiskers import Whisker, whisker_figure
from labcoat.report.tune.words import (
    change_of,
    confirmed_verdict,
    gain_of,
    metric_of,
    of_metric,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step: its own effect, and where the objective stands after it, over the origin.

    ``low``, ``high``: of its own effect, None where not bounded.
    """

    label: str
    verdict: str
    own: float
    low: float | None
    high: float | None
    before: float
    after: float
    is_kept: bool
    reason: str
    experiment_id: str
    blocks: int


def rungs(found: TuneFinding) -> tuple[Rung, ...]:
    """The accepted changes in order; one that was taken out again does not raise the ladder."""
    return tuple(_rungs(found))


def _rungs(found: TuneFinding) -> Iterator[Rung]:
    stands = 1.0
    for step in found.steps:
        own, measured = gain_of(step.experiment), of_metric(step.experiment, found.objective)
        after = stands * (1 + own) if step.is_kept else stands
        yield Rung(
            label=change_of(step.change),
            verdict=step.experiment.verdict,
            own=own,
            low=None if measured is None else measured.low_ratio,
            high=None if measured is None else measured.high_ratio,
            before=stands - 1,
            after=after - 1,
            is_kept=step.is_kept,
            reason=step.reason,
            experiment_id=step.experiment.experiment_id,
            blocks=step.experiment.blocks,
        )
        stands = after


def draw(found: TuneFinding) -> Drawing:
    """The rungs, what they claim together, and what was confirmed of it."""
    steps, title = rungs(found), metric_of(found.objective).title
    figure, height_px = None, 0
    if steps:
        figure, height_px = whisker_figure(
            list(_whiskers(steps, found.confirmation)),
            title=f"{title} over the origin's, % (scale of ratios)",
        )
    return Drawing(
        name="ladder",
        title=f"From the origin, one accepted change after the other: {title}",
        reading=(
            "Each bar begins where the change before it ended. The line is the 95 % interval of"
            " that step alone; an open mark was taken out again. Estimates at stopping overstate:"
            " the last row, measured on fresh processes, is the one to quote."
        ),
        alt=_alt(steps, found.confirmation, title),
        figure=figure,
        height_px=height_px,
        table=_table(steps, found.confirmation),
        shows_table=True,
    )


def _whiskers(steps: Sequence[Rung], of: Confirmation | None) -> Iterator[Whisker]:
    for step in steps:
        base = 1 + step.before
        yield Whisker(
            label=step.label if step.is_kept else f"{step.label} (taken out again)",
            value=effect(step.own, step.low, step.high),
            verdict=step.verdict,
            point=base * (1 + step.own) - 1,
            low=None if step.low is None else base * (1 + step.low) - 1,
            high=None if step.high is None else base * (1 + step.high) - 1,
            start=step.before,
            hollow=not step.is_kept,
        )
    if of is not None:
        yield Whisker(
            label="confirmed on fresh processes" if of.is_confirmed else "confirmation",
            value=effect(of.confirmed_ratio, of.low_ratio, of.high_ratio),
            verdict=confirmed_verdict(of),
            point=of.confirmed_ratio,
            low=of.low_ratio,
            high=of.high_ratio,
            start=0.0,
        )


def _alt(steps: Sequence[Rung], of: Confirmation | None, title: str) -> str:
    if not steps:
        return "No change was accepted."
    told = "; ".join(
        f"{step.label} {percent(step.own, signed=True)}" + ("" if step.is_kept else ", taken out")
        for step in steps
    )
    end = ""
    if of is not None:
        measured = effect(of.confirmed_ratio, of.low_ratio, of.high_ratio)
        end = f" Claimed {percent(of.claimed_ratio, signed=True)}, confirmation {measured}."
    return f"Ladder of {counted(len(steps), 'accepted change')} of {title}: {told}.{end}"


def _table(steps: Sequence[Rung], of: Confirmation | None) -> Table:
    rows = [
        cells(
            step.label,
            Cell(effect(step.own, step.low, step.high), of=step.experiment_id),
            percent(step.after, signed=True),
            f"{step.blocks:,}",
            f"kept: {step.reason}" if step.is_kept else f"taken out again: {step.reason}",
        )
        for step in steps
    ]
    if of is not None:
        measured = effect(of.confirmed_ratio, of.low_ratio, of.high_ratio)
        rows += [
            cells(
                "claimed: the steps multiplied", "", percent(of.claimed_ratio, signed=True), "", ""
            ),
            cells(
                "confirmed" if of.is_confirmed else "confirmation, which did not confirm it",
                Cell(measured, of=of.experiment.experiment_id),
                "–" if of.confirmed_ratio is None else percent(of.confirmed_ratio, signed=True),
                f"{of.experiment.blocks:,}",
                f"{counted(of.epochs, 'restart')} of both arms, {of.planned_epochs} planned",
            ),
        ]  # fmt: skip
    return Table(
        caption="From the origin, one accepted change after the other",
        head=("change", "effect at stopping", "over the origin", "blocks", ""),
        align="lrrrp",
        rows=tuple(rows),
        empty="No change was accepted.",
    )


PLOT = Plot(section="ladder", draw=draw)
