"""Levels: what the user has now, what a text means, and whether it can be asked about."""

from __future__ import annotations

from labcoat.errors import StackError, UsageError
from labcoat.knobs import parse_level
from labcoat.model.domain import spelled
from labcoat.model.host import Facts
from labcoat.model.knob import Knob
from labcoat.model.variant import Level
from labcoat.stack import app_pool, swap
from labcoat.stack.app_pool import said_pool
from labcoat.stack.limits import OTHERS
from labcoat.stack.rig import Rig

DEPLOYED = frozenset({"study", "app", "path"})
"""Where a program comes from that is the user's own; see ``labcoat.stack.binaries``."""


def present(rig: Rig, knob: Knob) -> tuple[Level | None, bool]:
    """The present level of a knob, and whether the user's files say it."""
    component = rig.components.get(knob.component)
    if component is None:
        if knob.name == swap.KNOB:
            return swap.server_of(rig.components), True
        pool = said_pool(rig.study.app) if knob.component == app_pool.NAME else None
        return (knob.default_for(""), False) if pool is None else (pool, True)
    said = component.origin_level(knob.directive)
    if said is None:
        return knob.default_for(rig.located(knob.component).version), False
    return _same_type(knob, said), True


def lacking(rig: Rig, knob: Knob) -> str | None:
    """Why this stack, or the program of a knob, does not have it; None if it has."""
    if knob.component == app_pool.NAME:
        return app_pool.obstacle(rig.study, rig.components)
    if knob.component == swap.NAME:
        return swap.obstacle(rig.study, rig.components)
    if knob.component not in rig.components:
        return None
    located = rig.located(knob.component)
    return knob.lacks(located.version, located.build)


def missing(rig: Rig, knob: Knob, level: Level) -> str | None:
    """Why a level lacks its program here; None if it does not.

    What labcoat brings along for itself is not what the user would deploy.
    """
    if knob.name != swap.KNOB:
        return None
    try:
        located = rig.located(str(level))
    except StackError as error:
        return "; ".join((error.what, *error.log))
    if located.source in DEPLOYED:
        return None
    return f"{level} is installed for labcoat alone, not beside the app and not on PATH"


def asked_level(rig: Rig, knob: Knob, text: str, facts: Facts) -> Level:
    """The level that a text asks about, if it can be asked. Raises: UsageError."""
    if knob.component not in rig.components and knob.component not in OTHERS:
        raise UsageError(
            f"this study has no {knob.component}",
            where=f"{rig.study.file} [stack]",
            way_out=f"try a knob of {', '.join(rig.components)}; labcoat knobs lists them",
        )
    level = parse_level(knob, text, facts)
    lacks = lacking(rig, knob) or missing(rig, knob, level)
    if lacks is not None:
        raise UsageError(
            f"{knob.name} cannot be tried: {lacks}",
            where=_place(rig, knob),
            way_out="mend what it names, or try another knob",
        )
    now, is_said = present(rig, knob)
    if now == level:
        raise UsageError(
            f"{knob.name} is {spelled(level)} already"
            + ("" if is_said else " (the built-in default; your files do not say it)"),
            where=knob.name,
            way_out="ask about another level; labcoat try --aa compares the stack with itself",
        )
    return level


def _place(rig: Rig, knob: Knob) -> str:
    if knob.component in rig.components:
        return f"{knob.component} {rig.located(knob.component).argv[0]}"
    return str(rig.study.file)


def _same_type(knob: Knob, said: Level) -> Level:
    """A level as a file spells it, as the domain means it; as it is where it means nothing."""
    try:
        return knob.domain.parse(str(said))
    except ValueError:
        return said
