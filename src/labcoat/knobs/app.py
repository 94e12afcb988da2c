"""The app itself: what it can be told from outside, through a variable that the study names."""

from __future__ import annotations

from labcoat.model.domain import WholeNumber
from labcoat.model.host import Facts
from labcoat.model.knob import ApplyCost, Condition, Knob, Relief, Safety
from labcoat.model.variant import Level

_LARGEST = 32


def _pools(facts: Facts) -> tuple[Level, ...]:
    """One, two and four connections per CPU and process: past that, queries share the CPUs."""
    return tuple(sorted({min(_LARGEST, factor * facts.cpus) for factor in (1, 2, 4)}))


APP: tuple[Knob, ...] = (
    Knob(
        name="app.pool",
        domain=WholeNumber(low=1, high=1000),
        levels=_pools,
        default=(("", None),),
        why="Each process keeps so many connections to the database: too few, and threads wait"
        " for one; too many, and queries get in one another's way.",
        condition=Condition(text="Threads of one process ask the database at the same time."),
        cost=ApplyCost.RESTART,
        safety=Safety.MEMORY,
        relieves=(Relief.APP, Relief.WAITING),
        prior=0.05,
        trap="Every connection is a process of the database, with memory of its own.",
        constraints=(
            "the study names the variable that the app reads: [app] pool",
            "workers times the pool leave room under postgres.max_connections",
        ),
        source="PostgreSQL, Connections and Authentication, max_connections; psycopg_pool,"
        " What's the right size for the pool?",
    ),
)
