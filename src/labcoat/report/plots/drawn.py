"""What plots have in common: colours by the page's own names, layouts for any width."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from labcoat.model.tune import TuneFinding
from labcoat.report.paper import Drawing

Figure = dict[str, Any]
INK, MUTED, GRID, PAPER, ACCENT = (
    f"var(--{name})" for name in ("ink", "muted", "grid", "paper", "accent")
)
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a verdict is drawn: a colour of the page, and a shape that tells it without colour."""

    color: str
    symbol: str
    dash: str = "solid"


VERDICTS: dict[str, Style] = {
    "improved": Style(color="var(--improved)", symbol="triangle-right"),
    "regressed": Style(color="var(--regressed)", symbol="triangle-left"),
    "equivalent": Style(color="var(--neutral)", symbol="square"),
    "not_better": Style(color="var(--neutral)", symbol="square-open"),
    "inconclusive": Style(color="var(--open)", symbol="circle-open", dash="dot"),
    "invalid": Style(color="var(--invalid)", symbol="x-thin-open", dash="dash"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One plot of the report: the section that it stands in, and how it is drawn."""

    section: str
    draw: Callable[[TuneFinding], Drawing]


def layout(*, height_px: int, **changed: Any) -> Figure:
    """A layout without ornament: no background, no frame, nothing that drags."""
    return {
        "height": height_px,
        "autosize": True,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 13},
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK}},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 48, "pad": 4},
        "dragmode": False,
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "font": {"color": INK},
            "itemclick": False,
            "itemdoubleclick": False,
        },
        **changed,
    }


def axis(title: str, **changed: Any) -> Figure:
    """An axis with its quantity and unit."""
    return {
        "title": {"text": title, "font": {"color": MUTED, "size": 13}, "standoff": 10},
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "tickfont": {"color": MUTED, "size": 12},
        "automargin": True,
        "fixedrange": True,
        **changed,
    }


def unpaired(found: TuneFinding) -> str:
    """What must be said where before and after were not measured side by side."""
    if found.after is None:
        return ""
    return (
        " Before and after were measured one after the other, while the machine may have changed:"
        " compare their shapes. Their heights are compared in the confirmation, side by side."
    )


def known(values: Iterable[float | None]) -> list[float]:
    """The values that are numbers."""
    return [each for each in values if each is not None and math.isfinite(each)]
