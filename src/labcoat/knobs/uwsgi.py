"""uWSGI: its knobs."""

from __future__ import annotations

from labcoat.knobs.levels import SOMAXCONN, always, per_cpu, queues, times_cpus
from labcoat.model.domain import WholeNumber
from labcoat.model.knob import ApplyCost, Condition, Knob, Safety

UWSGI: tuple[Knob, ...] = (
    Knob(
        name="uwsgi.processes",
        domain=WholeNumber(low=1, high=per_cpu(8)),
        levels=times_cpus(1, 2, 3),
        default=(("", 1),),
        why="More requests are worked on at once, on more cores and during waits.",
        condition=Condition(
            text="All workers are busy, or requests wait in the listen queue.",
            counter="uwsgi.busy",
            holds=lambda seen: (
                seen.get("busy", 0) >= seen.get("slots", 1) or seen.get("listen_queue", 0) > 0
            ),
        ),
        cost=ApplyCost.RESTART,
        safety=Safety.MEMORY,
        trap="Each worker takes memory and, with a database, a connection.",
        constraints=("processes x threads connections fit into postgres.max_connections",),
        source="uWSGI, Things to know; core/init.c",
    ),
    Knob(
        name="uwsgi.threads",
        domain=WholeNumber(low=1, high=32),
        levels=always(2, 4, 8),
        default=(("", 1),),
        why="A worker serves another request while one waits for I/O.",
        condition=Condition(text="Requests wait longer than they compute."),
        cost=ApplyCost.RESTART,
        safety=Safety.SEMANTIC,
        trap="The app must be thread-safe; one that computes gains nothing or loses.",
        constraints=("processes x threads connections fit into postgres.max_connections",),
        source="uWSGI, Options, threads; core/uwsgi.c",
    ),
    Knob(
        name="uwsgi.listen",
        domain=WholeNumber(low=1, high=SOMAXCONN),
        levels=queues(1024),
        default=(("", 100),),
        why="A longer queue absorbs bursts of connections that would be refused.",
        condition=Condition(
            text="The listen queue overflows.",
            counter="uwsgi.listen_queue_errors",
            holds=lambda seen: seen.get("listen_queue_errors", 0) > 0,
        ),
        cost=ApplyCost.RESTART,
        safety=Safety.SAFE,
        trap="It adds waiting, not capacity.",
        constraints=("at most net.core.somaxconn, or uWSGI does not start",),
        source="uWSGI, Options, listen; core/socket.c",
    ),
)
