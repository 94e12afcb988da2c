"""The waterfall: where the cores' time goes for one request, before and after."""

from __future__ import annotations

from labcoat.model.baseline import Waterfall
from labcoat.model.tune import TuneFinding
from labcoat.report.format import percent, seconds
from labcoat.report.paper import Drawing, Table, cells
from labcoat.report.plots.bars import Pair, pair_figure
from labcoat.report.plots.drawn import Plot, unpaired

CLOSES = 0.03
"""A waterfall that closes worse than this is told as one."""


def draw(found: TuneFinding) -> Drawing:
    """Every part on both sides, front to back."""
    before = found.before.waterfall
    after = None if found.after is None else found.after.waterfall
    pairs = _pairs(before, after)
    figure, height_px = None, 0
    if pairs:
        figure, height_px = pair_figure(
            [
                Pair(
                    name=pair.name,
                    values=(_ms(pair.values[0]), _ms(pair.values[1])),
                    texts=pair.texts,
                )
                for pair in pairs
            ],
            title="core time per request, ms",
        )
    return Drawing(
        name="waterfall",
        title="Where the time of one request goes",
        reading=_reading(before, after) + unpaired(found),
        alt=_alt(pairs, before, after),
        figure=figure,
        height_px=height_px,
        table=_table(before, after, pairs),
    )


def total_s(fall: Waterfall) -> float:
    """Core time per request, all parts."""
    return sum(part.per_request_s for part in fall.parts)


def _ms(value_s: float | None) -> float | None:
    return None if value_s is None else 1e3 * value_s


def _pairs(before: Waterfall, after: Waterfall | None) -> list[Pair]:
    ours = {part.name: part for part in before.parts}
    theirs = {} if after is None else {part.name: part for part in after.parts}
    pairs = []
    for name in (*ours, *(each for each in theirs if each not in ours)):
        parts = (ours.get(name), theirs.get(name))
        pairs.append(
            Pair(
                name=name,
                values=(
                    None if parts[0] is None else parts[0].per_request_s,
                    None if parts[1] is None else parts[1].per_request_s,
                ),
                texts=tuple("" if p is None else seconds(p.per_request_s) for p in parts),  # type: ignore[arg-type] # two
            )
        )
    return pairs


def _closing(fall: Waterfall) -> str:
    closes = "closing to" if abs(fall.closure_ratio) <= CLOSES else "NOT closing: off by"
    return f"{closes} {percent(fall.closure_ratio, signed=True)}"


def _reading(before: Waterfall, after: Waterfall | None) -> str:
    told = f"before {seconds(total_s(before))} ({_closing(before)})"
    if after is not None:
        told += f", after {seconds(total_s(after))} ({_closing(after)})"
    return (
        f"Time of all {before.cores} cores over the requests answered at saturation, part by part,"
        f" measured apart and then added: {told}. Idle and stolen time are parts as well."
    )


def _alt(pairs: list[Pair], before: Waterfall, after: Waterfall | None) -> str:
    if not pairs:
        return "Nothing was measured."
    after_s = None if after is None else total_s(after)
    largest = max(pairs, key=lambda pair: pair.values[0] or 0.0)
    to = "" if after_s is None else f" and {seconds(after_s)} after"
    return (
        f"Bars of core time per request: {seconds(total_s(before))} before{to}. The largest part"
        f" before is {largest.name} with {largest.texts[0] or 'nothing'}."
    )


def _table(before: Waterfall, after: Waterfall | None, pairs: list[Pair]) -> Table:
    shares = [
        {} if fall is None else {part.name: part.share_ratio for part in fall.parts}
        for fall in (before, after)
    ]
    rows = [
        cells(
            pair.name,
            pair.texts[0] or "–",
            percent(shares[0][pair.name]) if pair.name in shares[0] else "–",
            pair.texts[1] or "–",
            percent(shares[1][pair.name]) if pair.name in shares[1] else "–",
        )
        for pair in pairs
    ]
    if rows:
        end = ("–", "–") if after is None else (seconds(total_s(after)), _closing(after))
        rows.append(cells("all parts", seconds(total_s(before)), _closing(before), *end))
    return Table(
        caption="Where the time of one request goes: core time, and its share",
        head=("part", "before", "share", "after", "share"),
        align="lrrrr",
        rows=tuple(rows),
        empty="Nothing was measured.",
    )


PLOT = Plot(section="time", draw=draw)
