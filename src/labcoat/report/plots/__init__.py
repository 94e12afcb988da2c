"""The plots, one file each: from a campaign to a drawing with its words and its table.

A plot draws nothing itself: it is data for plotly.js, colours by the names that the page gives
them, so that light, dark and print are the page's business. Refuses to be the only place where a
number stands: its table says the same. May import: model, stats, the rest of report.
"""

from labcoat.report.plots import ceiling, forest, ladder, latency, scalability, waterfall
from labcoat.report.plots.drawn import Plot

PLOTS: tuple[Plot, ...] = (
    ladder.PLOT,
    forest.PLOT,
    waterfall.PLOT,
    ceiling.PLOT,
    latency.PLOT,
    scalability.PLOT,
)
