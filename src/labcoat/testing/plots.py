"""The contract of a plot, and the campaigns that it must survive.

Subclass PlotContract in a test file and give it a ``plot`` fixture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any

import plotly.graph_objects as go
import pytest

from labcoat.model.baseline import Baseline, Estimate
from labcoat.model.tune import Quantiles, TuneFinding
from labcoat.report.paper import Drawing
from labcoat.report.plots.drawn import Plot
from labcoat.testing import tune

COLOURS = re.compile(r"#[0-9a-f]{3,8}\b|\brgba?\((?!0,0,0,0\))|\bhsl")
NAMED = re.compile(r"var\(--[a-z]+\)")


def unbounded() -> TuneFinding:
    """No interval has an end, and a measured effect is past all reason."""
    of = tune.found()

    def opened(side: Baseline) -> Baseline:
        return replace(
            side,
            sweep=tuple(
                replace(
                    point,
                    throughput_per_s=Estimate(
                        value=point.throughput_per_s.value, low=None, high=None, n=1
                    ),
                )
                for point in side.sweep
            ),
        )

    steps = tuple(
        replace(
            step,
            experiment=replace(
                step.experiment,
                compared=tuple(
                    replace(each, effect_ratio=1e6, low_ratio=None, high_ratio=None)
                    for each in step.experiment.compared
                ),
            ),
        )
        for step in of.steps
    )
    assert of.confirmation is not None
    confirmation = replace(of.confirmation, confirmed_ratio=None, low_ratio=None, high_ratio=None)
    return replace(of, before=opened(of.before), after=None, steps=steps, confirmation=confirmation)


def nothing_at_all() -> TuneFinding:
    """Not one point of anything."""
    of = tune.nothing()
    empty = replace(
        of.before,
        sweep=(),
        layers=(),
        waterfall=replace(of.before.waterfall, parts=()),
        ceiling=replace(of.before.ceiling, bounds=()),
        noise=replace(of.before.noise, metrics=(), detectable=()),
    )
    return replace(of, before=empty, considered=(), controls=())


def many_points() -> TuneFinding:
    """Five hundred points in every plot."""
    of = tune.many()
    (first, *_) = of.before.sweep
    side = replace(of.before, sweep=tuple(replace(first, users=1 + each) for each in range(500)))
    q = tuple(each / 500 for each in range(500))
    long = Quantiles(count=10**6, q=q, seconds=tuple(0.01 + each for each in q))
    assert of.confirmation is not None
    confirmation = replace(of.confirmation, before=long, after=long)
    return replace(of, before=side, after=side, confirmation=confirmation)


DEGENERATE: dict[str, Callable[[], TuneFinding]] = {
    **{name: cache(make) for name, make in tune.CAMPAIGNS.items()},
    "unbounded": cache(unbounded),
    "nothing-at-all": cache(nothing_at_all),
    "many-points": cache(many_points),
}


class PlotContract:
    """What every plot keeps, whatever it is given."""

    @pytest.fixture(params=list(DEGENERATE))
    def found(self, request: pytest.FixtureRequest) -> TuneFinding:
        """A campaign, ordinary or not."""
        return DEGENERATE[request.param]()

    @pytest.fixture
    def drawing(self, plot: Plot, found: TuneFinding) -> Drawing:
        """The plot of it."""
        return plot.draw(found)

    def test_it_is_pure(self, plot: Plot, found: TuneFinding, drawing: Drawing) -> None:
        assert plot.draw(found) == drawing

    def test_it_says_what_it_is(self, drawing: Drawing) -> None:
        assert re.fullmatch(r"[a-z-]+", drawing.name)
        for text in (drawing.title, drawing.reading, drawing.alt, drawing.table.caption):
            assert len(text) > 10
            assert not re.search(r"\bnan\b|\bNone\b(?! would|\.)|\binf\b", text)

    def test_its_table_says_the_same(self, drawing: Drawing) -> None:
        """Where there is a picture there is a table; where there is neither, a sentence."""
        if drawing.figure is not None:
            assert drawing.table.rows
        if not drawing.table.rows:
            assert drawing.table.empty.endswith(".")
        for row in drawing.table.rows:
            assert not [cell.text for cell in row if re.search(r"\bnan\b|\binf\b", cell.text)]

    def test_plotly_takes_it(self, drawing: Drawing) -> None:
        """Every property is one that plotly knows, and every number one that JSON knows."""
        if drawing.figure is None:
            return
        json.dumps(drawing.figure, allow_nan=False)
        go.Figure(json.loads(NAMED.sub("#000000", json.dumps(drawing.figure))))

    def test_its_colours_are_the_pages_own(self, drawing: Drawing) -> None:
        assert COLOURS.findall(json.dumps(drawing.figure)) == []

    def test_its_axes_say_quantity_and_unit(self, drawing: Drawing) -> None:
        if drawing.figure is None:
            return
        layout = drawing.figure["layout"]
        titles = [
            layout[each]["title"]["text"] for each in ("xaxis", "yaxis") if _has(layout, each)
        ]
        units = ("%", "ms", "per second", "users")
        assert any(unit in title for unit in units for title in titles)

    def test_it_stays_small(self, drawing: Drawing) -> None:
        assert drawing.height_px <= 3000
        assert (drawing.height_px > 0) == (drawing.figure is not None)
        assert len(json.dumps(drawing.figure)) < 400_000

    def test_it_holds_no_markup_of_others(self, drawing: Drawing) -> None:
        """Plotly reads a little HTML in its texts: nobody else's may get there."""
        for text in _texts(drawing.figure):
            parser = _Tags()
            parser.feed(text)
            assert parser.tags <= {"br", "extra"}


def _has(layout: dict[str, Any], axis: str) -> bool:
    return bool(layout.get(axis, {}).get("title", {}).get("text"))


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for each in part.values():
            yield from _texts(each)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _texts(each)


class _Tags(HTMLParser):
    """The elements that a text opens."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.add(tag)
