"""Amounts before and after, as pairs of bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labcoat.report.plots.drawn import ACCENT, AFTER, BEFORE, MUTED, Figure, axis, layout
from labcoat.report.plots.whiskers import escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One amount on both sides, None where there is none; ``texts``: as people read them."""

    name: str
    values: tuple[float | None, float | None]
    texts: tuple[str, str]


def pair_figure(pairs: Sequence[Pair], *, title: str) -> tuple[Figure, int]:
    """The figure and its height in pixels; a side without any amount is left out."""
    sides = [
        (side, name)
        for side, name in enumerate((BEFORE, AFTER))
        if any(pair.values[side] is not None for pair in pairs)
    ]
    looks = (
        {"color": "var(--before)", "line": {"color": MUTED, "width": 1}},
        {"color": ACCENT, "line": {"color": ACCENT, "width": 1}},
    )
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [pair.values[side] for pair in pairs],
            "y": [escaped(pair.name) for pair in pairs],
            "text": [pair.texts[side] for pair in pairs],
            "textposition": "outside",
            "cliponaxis": False,
            "marker": looks[side],
            "hovertemplate": "%{y}, " + name + ": %{text}<extra></extra>",
        }
        for side, name in sides
    ]
    height_px = 110 + (18 * len(sides) + 8) * len(pairs)
    most = max((value for pair in pairs for value in pair.values if value is not None), default=1.0)
    layout_ = layout(
        height_px=height_px,
        barmode="group",
        bargap=0.25,
        margin={"l": 8, "r": 8, "t": 40, "b": 56, "pad": 4},
        xaxis=axis(title, range=[0, 1.28 * (most or 1.0)], nticks=6),
        yaxis=axis(
            "", autorange="reversed", showgrid=False, tickfont={"size": 12}, type="category"
        ),
    )
    return {"data": traces, "layout": layout_}, height_px
