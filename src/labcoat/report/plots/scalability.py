"""Throughput against concurrency, with the fitted law and the knee."""

from __future__ import annotations

import math

from labcoat.model.baseline import Baseline, Law
from labcoat.model.tune import TuneFinding
from labcoat.report.format import percent, rate, seconds
from labcoat.report.paper import Drawing, Table, cells
from labcoat.report.plots.drawn import (
    ACCENT,
    AFTER,
    BEFORE,
    Figure,
    Plot,
    axis,
    known,
    layout,
    unpaired,
)

LOOKS = (("var(--muted)", "dash", "circle-open"), (ACCENT, "solid", "circle"))


def draw(found: TuneFinding) -> Drawing:
    """The swept points with their intervals, and the law through them."""
    sides = tuple((name, side) for name, side in ((BEFORE, found.before), (AFTER, found.after)))
    swept = [(name, side) for name, side in sides if side is not None and side.sweep]
    return Drawing(
        name="scalability",
        title="Throughput against users",
        reading=(
            "Points are measured, closed loop, with 95 % intervals; lines are the Universal"
            " Scalability Law fitted to them. At the knee 95 % of the law's maximum is reached:"
            f" more users only wait longer.{unpaired(found)}"
        ),
        alt=_alt(swept),
        figure=_figure(swept) if swept else None,
        height_px=380 if swept else 0,
        table=_table(found.before, found.after),
    )


def law_per_s(law: Law, users: float) -> float:
    """X(N) = g N / (1 + a (N - 1) + b N (N - 1))."""
    below = 1 + law.alpha * (users - 1) + law.beta * users * (users - 1)
    return law.gamma * users / below if below > 0 else 0.0


def _figure(swept: list[tuple[str, Baseline]]) -> Figure:
    traces: list[Figure] = []
    knees: list[Figure] = []
    for name, side in swept:
        color, dash, symbol = LOOKS[name == AFTER]
        points = side.sweep
        users = [point.users for point in points]
        ends = [point.throughput_per_s for point in points]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": users,
                "y": [end.value for end in ends],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [_apart(end.value, end.high) for end in ends],
                    "arrayminus": [_apart(end.value, end.low) for end in ends],
                    "color": color,
                    "thickness": 1.5,
                    "width": 4,
                },
                "marker": {
                    "symbol": symbol,
                    "size": 9,
                    "color": color,
                    "line": {"width": 2, "color": color},
                },
                "hovertemplate": name + ", %{x} users: %{y:.0f}/s<extra></extra>",
            }
        )  # fmt: skip
        steps = _steps(min(users), max(users))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"{name}, law",
                "showlegend": False,
                "x": steps,
                "y": [law_per_s(side.law, step) for step in steps],
                "line": {"color": color, "dash": dash, "width": 2},
                "hoverinfo": "skip",
            }
        )
        if min(users) <= side.law.knee_users <= max(users):
            knees.append(_knee(name, side.law, color))
    return {"data": traces, "layout": _layout(swept, knees)}


def _apart(value: float, end: float | None) -> float | None:
    """How far an end is from its value; None where it is not bounded."""
    return None if end is None else abs(end - value)


def _steps(low: int, high: int, *, of: int = 80) -> list[float]:
    """Users from one end to the other, evenly on a scale of ratios."""
    if low == high:
        return [float(low)]
    return [low * (high / low) ** (step / of) for step in range(of + 1)]


def _knee(name: str, law: Law, color: str) -> Figure:
    return {
        "x": math.log10(max(law.knee_users, 1)),
        "y": law_per_s(law, law.knee_users),
        "text": f"knee {name}: {law.knee_users}",
        "showarrow": True,
        "arrowcolor": color,
        "arrowwidth": 1,
        "arrowhead": 0,
        "ax": 0,
        "ay": 36,
        "font": {"color": "var(--ink)", "size": 12},
    }


def _layout(swept: list[tuple[str, Baseline]], knees: list[Figure]) -> Figure:
    users = sorted({point.users for _, side in swept for point in side.sweep})
    return layout(
        height_px=380,
        margin={"l": 8, "r": 16, "t": 40, "b": 56, "pad": 4},
        xaxis=axis(
            "users at once (logarithmic)",
            type="log",
            tickvals=_few(users),
            ticktext=[f"{each:,}" for each in _few(users)],
        ),
        yaxis=axis("requests per second", rangemode="tozero"),
        annotations=knees,
    )


def _few(users: list[int], *, most: int = 9) -> list[int]:
    """At most so many of them, spread over all."""
    every = -(-len(users) // most)
    return users[::every]


def _alt(swept: list[tuple[str, Baseline]]) -> str:
    if not swept:
        return "Concurrency was not swept."
    told = []
    for name, side in swept:
        top = max(known(point.throughput_per_s.value for point in side.sweep), default=0.0)
        told.append(
            f"{name}: at most {rate(top)} requests/s, knee at {side.law.knee_users} users"
        )  # fmt: skip
    return f"Throughput against users. {'; '.join(told)}."


def _table(before: Baseline, after: Baseline | None) -> Table:
    sides = [{point.users: point for point in side.sweep} for side in (before, after) if side]
    rows = []
    for users in sorted({users for side in sides for users in side}):
        row = [f"{users:,}"]
        for side in sides:
            point = side.get(users)
            row += (
                ["–", "–", "–"]
                if point is None
                else [
                    rate(point.throughput_per_s.value),
                    _interval(point.throughput_per_s.low, point.throughput_per_s.high),
                    seconds(point.latency_p99_s) if point.latency_p99_s else "–",
                ]
            )
        rows.append(cells(*row))
    names = [
        f"{word}{when}"
        for when in ("", ", after")[: len(sides)]
        for word in ("req/s", "95 % interval", "p99")
    ]
    return Table(
        caption=_laws(before, after),
        head=("users", *names),
        align="r" * (1 + 3 * len(sides)),
        rows=tuple(rows),
        empty="Concurrency was not swept.",
    )


def _interval(low: float | None, high: float | None) -> str:
    return "not bounded" if low is None or high is None else f"[{rate(low)}, {rate(high)}]"


def _laws(before: Baseline, after: Baseline | None) -> str:
    told = []
    for name, side in ((BEFORE, before), (AFTER, after)):
        if side is not None:
            law = side.law
            told.append(
                f"{name} X(1) {rate(law.gamma)}/s, contention {law.alpha:.3g}, crosstalk"
                f" {law.beta:.2g}, residual {percent(law.residual_ratio)}, knee {law.knee_users}"
            )
    return "The law: " + "; ".join(told)


PLOT = Plot(section="concurrency", draw=draw)
