"""The ceiling: what was reached, and what each resource alone would allow."""

from __future__ import annotations

from labcoat.model.baseline import Baseline
from labcoat.model.tune import TuneFinding
from labcoat.report.format import percent, rate
from labcoat.report.paper import Drawing, Table, cells
from labcoat.report.plots.bars import Pair, pair_figure
from labcoat.report.plots.drawn import Plot, unpaired

REACHED, IDEAL = "reached", "the app alone"


def draw(found: TuneFinding) -> Drawing:
    """Throughput reached beside the bounds, before and after."""
    sides = (found.before, found.after)
    names = list(
        dict.fromkeys(
            name for side in sides if side is not None for name in _amounts(side)
        )
    )  # fmt: skip
    pairs = [_pair(name, sides) for name in names]
    figure, height_px = pair_figure(pairs, title="requests per second")
    return Drawing(
        name="ceiling",
        title="How far it is to the ceiling",
        reading=_reading(found.before, found.after) + unpaired(found),
        alt=(
            "Bars of requests per second. "
            + " ".join(f"{pair.name}: {_both(pair)}." for pair in pairs)
        ),
        figure=figure,
        height_px=height_px,
        table=_table(found, pairs),
    )


def _amounts(side: Baseline) -> dict[str, float]:
    """What was reached, every bound, and the ceiling itself."""
    return {
        REACHED: side.saturation.throughput_per_s.value,
        **{bound.name: bound.limit_per_s for bound in side.ceiling.bounds},
        IDEAL: side.ceiling.ideal_per_s,
    }


def _pair(name: str, sides: tuple[Baseline, Baseline | None]) -> Pair:
    values = [None if side is None else _amounts(side).get(name) for side in sides]
    texts = ["" if value is None else rate(value) for value in values]
    return Pair(name=name, values=(values[0], values[1]), texts=(texts[0], texts[1]))


def _both(pair: Pair) -> str:
    before, after = (text or "unknown" for text in pair.texts)
    return before if pair.values[1] is None else f"{before} before, {after} after"


def _reading(before: Baseline, after: Baseline | None) -> str:
    reached = percent(before.ceiling.efficiency_ratio)
    if after is not None:
        reached += f" before and {percent(after.ceiling.efficiency_ratio)} after"
    return (
        f"Each bound is what one resource would allow if all others were free; the last row is the"
        f" ceiling, the app called in process with nothing around it. Reached: {reached} of it."
    )


def _table(found: TuneFinding, pairs: list[Pair]) -> Table:
    last = found.before if found.after is None else found.after
    because = {bound.name: bound.because for bound in last.ceiling.bounds}
    because[REACHED] = f"measured, closed loop, {last.saturation.users} users"
    because[IDEAL] = f"{last.waterfall.cores} cores, one call of the app after the other on each"
    return Table(
        caption="How far it is to the ceiling, in requests per second",
        head=("", "before", "after", "because"),
        align="lrrp",
        rows=tuple(
            cells(
                pair.name,
                pair.texts[0] or "–",
                pair.texts[1] or "–",
                because.get(pair.name, "")
                + (", binding" if pair.name == last.ceiling.binding else ""),
            )
            for pair in pairs
        ),
    )


PLOT = Plot(section="time", draw=draw)
