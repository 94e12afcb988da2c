"""The forest: every effect that was measured, with its interval and its verdict."""

from __future__ import annotations

from collections.abc import Sequence

from labcoat.model.tune import TuneFinding
from labcoat.report.format import counted
from labcoat.report.paper import Cell, Drawing, Table, cells
from labcoat.report.plots.drawn import Plot
from labcoat.report.plots.whiskers import Whisker, whisker_figure
from labcoat.report.tune.words import EffectRow, effect_rows, marked, metric_of

MOST = 60
"""Rows that are drawn; the table has all of them."""


def draw(found: TuneFinding) -> Drawing:
    """Effects on the objective, in the order of the report."""
    rows, title = effect_rows(found), metric_of(found.objective).title
    figure, height_px = None, 0
    if any(row.point is not None for row in rows):
        figure, height_px = whisker_figure(
            [_whisker(row) for row in rows[:MOST]],
            title=f"change of {title}, % (scale of ratios)",
            margin=found.margin_ratio,
        )
    return Drawing(
        name="forest",
        title=f"Every effect on {title}",
        reading=_reading(found, rows),
        alt=_alt(rows, title),
        figure=figure,
        height_px=height_px,
        table=_table(rows, title),
    )


def _whisker(row: EffectRow) -> Whisker:
    return Whisker(
        label=row.label,
        value=row.text,
        verdict=row.verdict,
        point=row.point,
        low=row.low,
        high=row.high,
    )


def _reading(found: TuneFinding, rows: Sequence[EffectRow]) -> str:
    more = "" if len(rows) <= MOST else f" The first {MOST} of {len(rows)}; the table has all."
    return (
        "Each row is an experiment: the mark is the effect at stopping, the line its 95 % interval,"
        " valid at every look; an arrow is an end that is not bounded. The band is the margin of"
        f" ±{100 * found.margin_ratio:g} %. A dotted line with an open circle is undecided: it"
        f" could be anything within its line.{more}"
    )


def _alt(rows: Sequence[EffectRow], title: str) -> str:
    if not rows:
        return "Nothing was measured."
    seen = {row.verdict: 0 for row in rows}
    for row in rows:
        seen[row.verdict] += 1
    told = ", ".join(f"{number} {marked(verdict)[2:]}" for verdict, number in seen.items())
    first = rows[0]
    return (
        f"Forest plot of the effects on {title} of {counted(len(rows), 'experiment')}: {told}."
        f" First row, {first.label}: {first.text}."
    )


def _table(rows: Sequence[EffectRow], title: str) -> Table:
    return Table(
        caption=f"Every effect on {title}, with 95 % intervals that are valid at every look",
        head=("verdict", "change", "asked as", "effect", "blocks", "among all questions"),
        align="lllrrl",
        rows=tuple(
            cells(
                Cell(marked(row.verdict), verdict=row.verdict),
                row.label,
                row.role,
                Cell(row.text, of=row.experiment_id),
                f"{row.blocks:,}",
                "" if row.online is None else "holds" if row.online else "not yet",
            )
            for row in rows
        ),
        empty="No experiment was made.",
    )


PLOT = Plot(section="effects", draw=draw)
