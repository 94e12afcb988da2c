"""Latencies at the same rate of requests, before and after, out to the last of them."""

from __future__ import annotations

import bisect

from labcoat.model.tune import Quantiles, TuneFinding
from labcoat.report.format import percent, rate, seconds
from labcoat.report.paper import Drawing, Table, cells
from labcoat.report.plots.drawn import ACCENT, AFTER, BEFORE, Figure, Plot, axis, layout

TOLD = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
LAST = 0.99999
"""The slowest of all has a place of its own: a percentile of 100 has none on this scale."""


def draw(found: TuneFinding) -> Drawing:
    """Both distributions of the confirmation's open loop."""
    of = found.confirmation
    sides = (None, None) if of is None else (of.before, of.after)
    at = "" if of is None or of.rate_per_s is None else f" at {rate(of.rate_per_s)} requests/s"
    has_any = any(_points(side)[0] for side in sides)
    return Drawing(
        name="latency",
        title=f"Latency before and after{at}",
        reading=(
            "Both stacks endured the same open loop; each latency counts from the moment at which"
            " its request should have been sent, so nothing that had to wait is left out. Further"
            " right are the slower ones; both scales are logarithmic."
        ),
        alt=_alt(sides, at),
        figure=_figure(sides) if has_any else None,
        height_px=380 if has_any else 0,
        table=_table(sides),
    )


def _points(of: Quantiles | None) -> tuple[list[float], list[float]]:
    """Places (1 / (1 - q)) and milliseconds, those that a logarithm can show."""
    if of is None:
        return [], []
    pairs = [
        (1 / (1 - min(q, LAST)), 1e3 * value_s)
        for q, value_s in zip(of.q, of.seconds, strict=True)
        if q >= 0 and value_s > 0
    ]
    return [place for place, _ in pairs], [value for _, value in pairs]


def _figure(sides: tuple[Quantiles | None, Quantiles | None]) -> Figure:
    looks = (("var(--muted)", "dash", "circle-open"), (ACCENT, "solid", "circle"))
    traces = []
    for side, name, (color, dash, symbol) in zip(sides, (BEFORE, AFTER), looks, strict=True):
        x, y = _points(side)
        if side is None or not x:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(x) <= 40 else "lines",
                "name": name,
                "x": x,
                "y": y,
                "line": {"color": color, "dash": dash, "width": 2},
                "marker": {"symbol": symbol, "size": 6, "color": color},
                "text": [
                    f"{percent(1 - 1 / place)} within {seconds(value / 1e3)}"
                    for place, value in zip(x, y, strict=True)
                ],
                "hovertemplate": name + ": %{text}<extra></extra>",
            }
        )  # fmt: skip
    ticks = (0.5, 0.9, 0.99, 0.999, 0.9999)
    return {
        "data": traces,
        "layout": layout(
            height_px=380,
            margin={"l": 8, "r": 16, "t": 40, "b": 56, "pad": 4},
            xaxis=axis(
                "share of requests that were answered within it, %",
                type="log",
                tickvals=[1, *(1 / (1 - q) for q in ticks)],
                ticktext=["0", *(f"{100 * q:g}" for q in ticks)],
                minor={"ticks": ""},
            ),
            yaxis=axis("latency, ms", type="log", dtick="D2", tickformat="~r"),
        ),
    }


def at(of: Quantiles | None, q: float) -> float | None:
    """The latency that at least this share does not exceed; None where that is not known."""
    if of is None or not of.q:
        return None
    place = bisect.bisect_left(of.q, q - 1e-12)
    return of.seconds[place] if place < len(of.q) else None


def _told(of: Quantiles | None, q: float) -> str:
    value_s = at(of, q)
    return "–" if value_s is None else seconds(value_s)


def _alt(sides: tuple[Quantiles | None, Quantiles | None], rate_text: str) -> str:
    if sides == (None, None):
        return "Latencies before and after were not compared."
    told = "; ".join(
        f"p{100 * q:g} {_told(sides[0], q)} before, {_told(sides[1], q)} after"
        for q in (0.5, 0.95, 0.99)
    )
    return f"Latency by share of requests{rate_text}: {told}."


def _table(sides: tuple[Quantiles | None, Quantiles | None]) -> Table:
    rows = []
    if sides != (None, None):
        for q in TOLD:
            values = [at(side, q) for side in sides]
            change = "–"
            if values[0] and values[1] is not None:
                change = percent(values[1] / values[0] - 1, signed=True)
            rows.append(cells(f"{100 * q:g} %", *(_told(side, q) for side in sides), change))
        counts = ["–" if side is None else f"{side.count:,}" for side in sides]
        rows.append(cells("requests", *counts, ""))
    return Table(
        caption="Latency within which a share of the requests was answered",
        head=("share", "before", "after", "change"),
        align="lrrr",
        rows=tuple(rows),
        empty="Latencies before and after were not compared: there was nothing to confirm, or no"
        " budget left for it.",
    )


PLOT = Plot(section="latency", draw=draw)
