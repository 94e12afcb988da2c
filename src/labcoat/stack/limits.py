"""Worst-case arithmetic: levels that cannot work are refused before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labcoat.errors import RenderError
from labcoat.model.host import Facts
from labcoat.model.study import App
from labcoat.model.variant import Level, Variant
from labcoat.stack.app_pool import pool_level, said_pool
from labcoat.stack.base import Component

# What a server takes for its listen queue, and its level when nobody says one.
BACKLOGS = {"uwsgi": "listen", "gunicorn": "backlog", "granian": "backlog", "uvicorn": "backlog"}
WORKERS = {"uwsgi": "processes", "gunicorn": "workers", "granian": "workers", "uvicorn": "workers"}
MAX_CONNECTIONS = 100
# Names in a variant that are no component: the interpreter, what the app itself is told, and
# which components there are.
OTHERS = frozenset({"app", "python", "stack"})
RESERVED = 3


def refuse_impossible(
    components: Mapping[str, Component], variant: Variant, facts: Facts, app: App
) -> None:
    """Raises: RenderError that names every level that this machine or this stack cannot give."""
    problems = list(_problems(components, variant, facts, app))
    if problems:
        raise RenderError(
            "the levels cannot work together" if len(problems) > 1 else problems[0],
            where=f"variant {variant.name}",
            log=problems if len(problems) > 1 else (),
            way_out="lower the level, raise the limit it meets, or leave the knob out",
        )


def _problems(
    components: Mapping[str, Component], variant: Variant, facts: Facts, app: App
) -> Iterator[str]:
    for knob, _ in variant.assignment:
        name = knob.partition(".")[0]
        if name not in components and name not in OTHERS:
            yield f"{knob} cannot be set: there is no {name} in this stack"
    if pool_level(variant) is not None and app.pool is None:
        yield "app.pool cannot be set: the study names no variable for it"
    for name, directive in BACKLOGS.items():
        if name not in components:
            continue
        backlog = _number(_level(components[name], directive, variant))
        # uWSGI ends itself; the others are cut short in silence, as the user may know.
        is_asked = directive in variant.levels(name)
        if backlog is not None and backlog > facts.somaxconn and (name == "uwsgi" or is_asked):
            yield (f"{name}.{directive} = {backlog} is over net.core.somaxconn = {facts.somaxconn}")
    yield from _nginx(components, variant, facts)
    yield from _connections(components, variant, app)


def _nginx(components: Mapping[str, Component], variant: Variant, facts: Facts) -> Iterator[str]:
    levels = variant.levels("nginx")
    if "nginx" not in components or not levels.keys() & {"worker_connections", "listen.backlog"}:
        return
    connections = _number(levels.get("worker_connections"))
    limit = _number(_level(components["nginx"], "worker_rlimit_nofile", variant)) or facts.nofile
    if connections is not None and connections >= limit:
        yield f"nginx.worker_connections = {connections} is not under the file limit of {limit}"
    backlog = _number(levels.get("listen.backlog"))
    if backlog is not None and backlog > facts.somaxconn:
        yield f"nginx.listen.backlog = {backlog} is over net.core.somaxconn = {facts.somaxconn}"


def _connections(components: Mapping[str, Component], variant: Variant, app: App) -> Iterator[str]:
    """Each worker needs one connection at the least; a pool needs its size in each.

    A pooler takes them in the database's place, as many as its own limit allows.
    """
    if "postgres" not in components:
        return
    name_of_limit, kept = "postgres.max_connections", RESERVED
    if "pgbouncer" in components:
        name_of_limit, kept = "pgbouncer.max_client_conn", 0
    taker, _, limit = name_of_limit.partition(".")
    level = _level(components[taker], limit, variant)
    room = (_number(level) or MAX_CONNECTIONS) - kept
    for name, directive in WORKERS.items():
        if name not in components:
            continue
        workers = _number(_level(components[name], directive, variant))
        said = _number(pool_level(variant)) or said_pool(app)
        if workers is None and said is None:
            continue
        # Each server has one worker unless told otherwise.
        needed = (workers or 1) * (said or 1)
        if needed > room:
            each = "" if said is None else f" with a pool of {said} in each"
            yield (
                f"{name}.{directive} = {workers or 1}{each} needs {needed} connections or more, and"
                f" {name_of_limit} leaves {room}"
            )


def _level(component: Component, directive: str, variant: Variant) -> Level | None:
    levels = variant.levels(component.name)
    return levels[directive] if directive in levels else component.origin_level(directive)


def _number(level: Level | None) -> int | None:
    if isinstance(level, bool) or level is None:
        return None
    try:
        return int(level)
    except ValueError:
        return None
