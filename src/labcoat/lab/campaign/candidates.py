"""Candidates: the levels that may be asked about, each with the most that it could give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labcoat.errors import LabcoatError
from labcoat.lab.campaign.asked import Tune
from labcoat.lab.experiment.levels import lacking, missing, present
from labcoat.model.host import Facts
from labcoat.model.knob import Knob
from labcoat.model.tune import Change
from labcoat.model.variant import Level, Variant
from labcoat.stack.limits import OTHERS, WORKERS, refuse_impossible
from labcoat.stack.rig import Rig

LATER = 0.7
"""Rows name their levels in the order of promise; each is this much less likely than the one
before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One level of one knob. ``prior``: the chance that it helps, before anything is measured."""

    knob: Knob
    level: Level
    change: Change
    prior: float

    @property
    def key(self) -> tuple[str, Level]:
        """What names it."""
        return self.knob.name, self.level


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A knob that is not tried, and why."""

    change: Change
    reason: str


def candidates(
    rig: Rig,
    asked: Tune,
    facts: Facts,
    *,
    peaks: Mapping[str, Mapping[str, float]],
    wanted_workers: float,
) -> tuple[tuple[Candidate, ...], tuple[LeftOut, ...]]:
    """Every level that may be asked about, and every knob that may not.

    ``peaks``: the highest that the components' counters reached under load, for necessary
    conditions. ``wanted_workers``: how many requests must be worked on at once to keep all cores
    busy; of a knob that counts workers, the level next to it is tried first.
    """
    found: list[Candidate] = []
    left_out: list[LeftOut] = []
    for knob in asked.knobs:
        if knob.control or not asked.wants(knob):
            continue
        if knob.component not in rig.components and knob.component not in OTHERS:
            continue
        levels = _levels(rig, knob, facts)
        reason = _obstacle(rig, knob, asked, peaks)
        if not levels:
            reason = reason or "it is at its level already"
        if reason is not None:
            level = levels[0] if levels else (present(rig, knob)[0] or "")
            left_out.append(LeftOut(change=change_of(rig, knob, level), reason=reason))
            continue
        if WORKERS.get(knob.component) == knob.directive:
            levels = _nearest(levels, wanted_workers)
        for place, level in enumerate(levels):
            change = change_of(rig, knob, level)
            impossible = missing(rig, knob, level) or _impossible(rig, knob, level, facts)
            if impossible is not None:
                left_out.append(LeftOut(change=change, reason=impossible))
                continue
            found.append(
                Candidate(knob=knob, level=level, change=change, prior=knob.prior * LATER**place)
            )
    return tuple(found), tuple(left_out)


def change_of(rig: Rig, knob: Knob, level: Level) -> Change:
    """A change from where the user is, with what the catalogue says of it."""
    before, is_said = present(rig, knob)
    return Change(
        knob=knob.name,
        before=before,
        before_is_said=is_said,
        level=level,
        why=knob.why,
        trap=knob.trap,
        safety=knob.safety.value,
        apply_cost=knob.cost.name.lower(),
        source=knob.source,
    )


def _levels(rig: Rig, knob: Knob, facts: Facts) -> tuple[Level, ...]:
    now, _ = present(rig, knob)
    return tuple(
        level
        for level in dict.fromkeys(knob.levels(facts))
        if level != now and knob.domain.admits(level, facts)
    )


def _obstacle(
    rig: Rig, knob: Knob, asked: Tune, peaks: Mapping[str, Mapping[str, float]]
) -> str | None:
    """Why a knob is not tried at all."""
    if not asked.allows(knob.safety):
        return f"it is of class {knob.safety.value}: --allow {knob.safety.value} tries it"
    lacks = lacking(rig, knob)
    if lacks is not None:
        return lacks
    condition = knob.condition
    seen = peaks.get((condition.counter or "").partition(".")[0])
    if condition.holds is not None and seen and not condition.holds(seen):
        return f"its necessary condition was not seen under load: {_lowered(condition.text)}"
    return None


def _impossible(rig: Rig, knob: Knob, level: Level, facts: Facts) -> str | None:
    """Why a level cannot stand here, by worst-case arithmetic."""
    try:
        refuse_impossible(rig.components, Variant.of({knob.name: level}), facts, rig.study.app)
    except LabcoatError as error:
        return "; ".join((error.what, *error.log))
    return None


def _nearest(levels: Sequence[Level], wanted: float) -> tuple[Level, ...]:
    """Numbers of workers, the fewest that suffice first; then by distance."""

    def distance(level: Level) -> float:
        count = float(level)
        return count - wanted if count >= wanted else 2 * (wanted - count)

    return tuple(sorted(levels, key=distance))


def _lowered(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")
