from __future__ import annotations

import pytest

from labcoat.report.plots import PLOTS
from labcoat.report.plots.drawn import Plot
from labcoat.testing.plots import DEGENERATE, PlotContract


@pytest.mark.slow
class TestPlots(PlotContract):
    @pytest.fixture(params=PLOTS, ids=lambda each: each.draw.__module__.rpartition(".")[2])
    def plot(self, request: pytest.FixtureRequest) -> Plot:
        plot: Plot = request.param
        return plot


def test_no_two_plots_have_one_name() -> None:
    names = [plot.draw(DEGENERATE["ordinary"]()).name for plot in PLOTS]
    assert len(set(names)) == len(names) == 6
