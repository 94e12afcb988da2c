"""Proposals: several numbers at once, where one at a time may not see the whole.

Workers, threads and connections share one hill: the way up may need two of them together. Where
three or more such knobs may be tried, a model proposes cells of their levels from the paired
effects measured so far, never from raw throughput; what it proposes is asked like anything else.
The model is Optuna's TPE (the extra ``optimise``); without it nothing is proposed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from labcoat.lab.campaign.course import Course, Key
from labcoat.model.knob import Relief
from labcoat.model.variant import Level

if TYPE_CHECKING:
    import optuna

DIMENSIONS = 3
"""Fewer than these are raced level by level."""

ASKS = 20
"""A proposal that was asked about already is thrown back so often."""

Space = Mapping[str, tuple[Level, ...]]


def is_at_hand() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("optuna") is not None


def numeric_space(course: Course) -> Space:
    """Knobs that say how much is worked on at once, each with its levels in rising order.

    The incumbent's own level is among them. Empty where they are too few for a model.
    """
    space: dict[str, set[int]] = {}
    for each in course.candidates:
        is_number = isinstance(each.level, int) and not isinstance(each.level, bool)
        if is_number and Relief.WAITING in each.knob.relieves:
            space.setdefault(each.knob.name, set()).add(int(each.level))
    now = dict(course.incumbent.assignment)
    for each in course.candidates:
        level = now.get(each.knob.name, each.change.before)
        if each.knob.name in space and isinstance(level, int):
            space[each.knob.name].add(level)
    found = {knob: tuple(sorted(levels)) for knob, levels in sorted(space.items())}
    return found if len(found) >= DIMENSIONS else {}


def propose(course: Course) -> Key | None:
    """A cell that was not asked about yet, of two levels that change or more; None: none.

    The same measurements give the same proposal, so that a campaign which goes on after an
    interruption asks the same.
    """
    space = numeric_space(course)
    if not space or not is_at_hand():
        return None
    import optuna  # noqa: PLC0415  heavy, and an extra

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            seed=course.bench.study.seed, n_startup_trials=0, multivariate=False
        ),
    )
    axes = {
        knob: optuna.distributions.IntDistribution(0, len(levels) - 1)
        for knob, levels in space.items()
    }
    _teach(course, study, space, axes)
    for _ in range(ASKS):
        trial = study.ask(fixed_distributions=dict(axes))
        key = _key(course, {knob: space[knob][trial.params[knob]] for knob in space})
        if len(key) > 1 and not course.is_settled(key):
            return key
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return None


def _teach(
    course: Course,
    study: optuna.Study,
    space: Space,
    axes: Mapping[str, optuna.distributions.IntDistribution],
) -> None:
    """What was measured against the incumbent: the mean of each experiment's values."""
    import optuna  # noqa: PLC0415

    measured: dict[Key, float] = {(): 0.0}  # the incumbent against itself
    for (key, over), experiment in course.experiments.items():
        values = course.oriented(experiment)
        if over == course.incumbent.name and values and {knob for knob, _ in key} <= space.keys():
            measured[key] = float(np.mean(values))
    for key, value in measured.items():
        cell = _cell(course, space, key)
        if cell is not None:
            study.add_trial(
                optuna.trial.create_trial(params=cell, distributions=dict(axes), value=value)
            )


def _cell(course: Course, space: Space, key: Key) -> dict[str, int] | None:
    """Where a change lies in the space; None where a level is not among its axes."""
    levels = {**_now(course), **dict(key)}
    try:
        return {knob: axis.index(levels[knob]) for knob, axis in space.items()}
    except (KeyError, ValueError):
        return None


def _key(course: Course, cell: Mapping[str, Level]) -> Key:
    now = _now(course)
    return tuple((knob, level) for knob, level in sorted(cell.items()) if now.get(knob) != level)


def _now(course: Course) -> dict[str, Level]:
    """The incumbent's levels, those of the user's files and programs included."""
    said = {
        each.knob.name: each.change.before
        for each in course.candidates
        if each.change.before is not None
    }
    return {**said, **dict(course.incumbent.assignment)}
