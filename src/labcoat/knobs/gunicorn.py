"""Gunicorn: its knobs."""

from __future__ import annotations

from labcoat.knobs.levels import per_cpu, times_cpus
from labcoat.model.domain import WholeNumber
from labcoat.model.knob import ApplyCost, Condition, Knob, Safety

GUNICORN: tuple[Knob, ...] = (
    Knob(
        name="gunicorn.workers",
        domain=WholeNumber(low=1, high=per_cpu(8)),
        levels=times_cpus(1, 2, 4),
        default=(("", 1),),
        why="More requests are worked on at once, on more cores and during waits.",
        condition=Condition(text="The workers are busy while a CPU is idle."),
        cost=ApplyCost.RELOAD,
        safety=Safety.MEMORY,
        trap="Each worker takes memory and, with a database, a connection.",
        constraints=("workers x threads connections fit into postgres.max_connections",),
        source="Gunicorn, Settings, workers",
    ),
)
