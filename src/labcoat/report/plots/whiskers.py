"""Intervals in rows: a point with its ends, on a scale of ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from labcoat.report.experiment import MARKS, VERDICTS
from labcoat.report.format import percent
from labcoat.report.plots import drawn
from labcoat.report.plots.drawn import Figure, Style, axis, known, layout
from labcoat.report.tune.words import log_ratio

ROW_PX = 40
TICKS = (-0.9, -0.75, -0.5, -0.25, -0.1, -0.05, -0.02, -0.01, 0.0)
TICKS_UP = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 9.0, 19.0, 49.0, 99.0)
FURTHEST = math.log(100)
"""Nothing is drawn past a hundredfold; the table has the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisker:
    """One row. ``start``: where a bar to the point begins, None for no bar."""

    label: str
    value: str
    verdict: str
    point: float | None
    low: float | None
    high: float | None
    start: float | None = None
    hollow: bool = False


def whisker_figure(
    rows: Sequence[Whisker], *, title: str, margin: float | None = None
) -> tuple[Figure, int]:
    """The figure and its height in pixels; ``margin``: the band within which nothing matters."""
    low, high = _range(rows)
    height_px = 96 + ROW_PX * len(rows)
    traces = [trace for row in range(len(rows)) for trace in _lines(rows[row], row, low, high)]
    traces += _points(rows)
    layout_ = layout(
        height_px=height_px,
        hovermode="closest",
        margin={"l": 8, "r": 8, "t": 40, "b": 56, "pad": 4},
        xaxis=axis(title, range=[low, high], **_ticks(low, high)),
        yaxis={
            "visible": False,
            "range": [len(rows) - 0.45, -0.75],
            "fixedrange": True,
        },
        shapes=_shapes(margin),
        annotations=[each for row in range(len(rows)) for each in _labels(rows[row], row)],
    )
    return {"data": traces, "layout": layout_}, height_px


def _range(rows: Sequence[Whisker]) -> tuple[float, float]:
    """From end to end of what is bounded, a little beyond; zero is always in it."""
    ends = known(log_ratio(each) for row in rows for each in (row.low, row.point, row.high))
    ends = [min(max(end, -FURTHEST), FURTHEST) for end in ends]
    low, high = min([*ends, -0.05]), max([*ends, 0.05])
    room = 0.06 * (high - low)
    return low - room, high + room


def _ticks(low: float, high: float) -> Figure:
    """Round percents that are far enough from each other to be read on a phone."""
    chosen: list[float] = [0.0]
    least = (high - low) / 7
    for several in (TICKS_UP, tuple(reversed(TICKS[:-1]))):
        last = 0.0
        for value in several:
            place = math.log1p(value)
            if abs(place - last) >= least and low <= place <= high:
                chosen.append(value)
                last = place
    return {
        "tickvals": [math.log1p(value) for value in chosen],
        "ticktext": ["0" if value == 0 else percent(value, signed=True) for value in chosen],
    }


def _shapes(margin: float | None) -> list[Figure]:
    """The line of no effect, and the band of the margin."""
    line = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper"}
    shapes: list[Figure] = [{**line, "line": {"color": drawn.MUTED, "width": 1}}]
    if margin is not None and margin > 0:
        ends = {"x0": -math.log1p(margin), "x1": math.log1p(margin), "y0": 0, "y1": 1}
        band = {"type": "rect", "yref": "paper", "fillcolor": "var(--band)", "layer": "below"}
        shapes.append({**band, **ends, "line": {"width": 0}})
    return shapes


def _lines(row: Whisker, at: int, low: float, high: float) -> list[Figure]:
    """The interval; an end that is not bounded leaves the picture as an arrow."""
    style = _style(row)
    traces = []
    if row.start is not None and row.point is not None and not row.hollow:
        ends = [_inside(log_ratio(row.start), low, high), _inside(log_ratio(row.point), low, high)]
        line = {"color": style.color, "width": 8}
        traces.append({**_silent(), "x": ends, "y": [at, at], "opacity": 0.35, "line": line})
    if row.point is None:
        return traces
    left, right = log_ratio(row.low), log_ratio(row.high)
    traces.append(
        {
            **_silent(),
            "x": [
                low if left is None else max(left, low),
                high if right is None else min(right, high),
            ],
            "y": [at, at],
            "line": {"color": style.color, "width": 2, "dash": style.dash},
        }
    )
    for end, place, symbol in ((left, low, "arrow-left"), (right, high, "arrow-right")):
        if end is None or not low <= end <= high:
            marker = {"symbol": symbol, "size": 10, "color": style.color}
            arrow = {**_silent(), "mode": "markers", "x": [place], "y": [at], "marker": marker}
            traces.append({**arrow, "cliponaxis": False})
    return traces


def _points(rows: Sequence[Whisker]) -> list[Figure]:
    """One trace for each verdict, so that the legend tells every shape that occurs."""
    traces = []
    low, high = _range(rows)
    for verdict in VERDICTS:
        chosen = [
            (at, row)
            for at, row in enumerate(rows)
            if row.verdict == verdict and row.point is not None
        ]
        if not chosen:
            continue
        style = drawn.VERDICTS[verdict]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"{MARKS[verdict]} {VERDICTS[verdict]}",
                "x": [_inside(log_ratio(row.point), low, high) for _, row in chosen],
                "y": [at for at, _ in chosen],
                "marker": {
                    "symbol": [
                        style.symbol if style.symbol.endswith("-open") or not row.hollow
                        else f"{style.symbol}-open"
                        for _, row in chosen
                    ],
                    "size": 11,
                    "color": style.color,
                    "line": {"width": 2, "color": style.color},
                },
                "text": [f"{escaped(row.label)}<br>{escaped(row.value)}" for _, row in chosen],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )  # fmt: skip
    return traces


def _labels(row: Whisker, at: int) -> list[Figure]:
    """What the row is of, at the left above it; its numbers at the right where there is room."""
    common = {"y": at, "yref": "y", "xref": "paper", "showarrow": False, "yshift": 14}
    common |= {"bgcolor": drawn.PAPER, "borderpad": 1}
    label = f"{MARKS[row.verdict]} {row.label}" if row.verdict in MARKS else row.label
    return [
        {
            **common,
            "name": "label",
            "x": 0,
            "xanchor": "left",
            "text": escaped(label),
            "font": {"size": 12},
        },
        {
            **common,
            "name": "wide",
            "x": 1,
            "xanchor": "right",
            "text": escaped(row.value if row.point is not None else "not known"),
            "font": {"size": 12, "color": drawn.MUTED},
        },
    ]


def escaped(text: str) -> str:
    """A text in which plotly finds no markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _style(row: Whisker) -> Style:
    return drawn.VERDICTS.get(row.verdict, drawn.VERDICTS["invalid"])


def _silent() -> Figure:
    return {"type": "scatter", "mode": "lines", "showlegend": False, "hoverinfo": "skip"}


def _inside(value: float | None, low: float, high: float) -> float:
    return min(max(0.0 if value is None else value, low), high)
