"""What a campaign's numbers are called: changes, effects, verdicts, in few words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from labcoat.model.baseline import Baseline
from labcoat.model.domain import spelled
from labcoat.model.finding import Compared, ExperimentFinding
from labcoat.model.metric import METRICS, Better, Metric
from labcoat.model.stats import LabWarning
from labcoat.model.tune import Change, Confirmation, Considered, Step, TuneFinding
from labcoat.report.experiment import MARKS, VERDICTS, change_text
from labcoat.report.format import effect

CONFIRMATION, STEP, DROPPED, REMOVAL, SCREENED, CONTROL = (
    "confirmation",
    "kept",
    "taken out again",
    "leaving it out",
    "not taken",
    "control",
)
"""What an experiment was for."""

NEVER_MEASURED = {"skipped": "–", "undecided": "~"}
EMPHATIC = frozenset({"improved", "regressed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """One experiment's effect on the objective. An end that is None is not bounded."""

    label: str
    role: str
    verdict: str
    reason: str
    experiment_id: str
    point: float | None
    low: float | None
    high: float | None
    blocks: int
    online: bool | None

    @property
    def text(self) -> str:
        """``+6.2 % [-0.8 %, +13 %]``."""
        return effect(self.point, self.low, self.high)


def metric_of(name: str) -> Metric:
    """The metric of this name; one that is not known any more is taken for a rate."""
    for metric in METRICS:
        if metric.name == name:
            return metric
    return Metric(name=name, unit="1/s", better=Better.HIGHER, title=name.replace("_", " "))


def change_of(change: Change) -> str:
    """``uwsgi.processes 1 (default) → 2``."""
    silent = "" if change.before_is_said or change.before is None else " (default)"
    return f"{change.knob} {spelled(change.before)}{silent} → {spelled(change.level)}"


def marked(verdict: str) -> str:
    """The verdict's mark and its word: ``~ INCONCLUSIVE``."""
    if verdict in NEVER_MEASURED:
        return f"{NEVER_MEASURED[verdict]} {verdict.upper()}"
    return f"{MARKS[verdict]} {VERDICTS[verdict]}"


def of_metric(experiment: ExperimentFinding, metric: str) -> Compared | None:
    """The row of a metric, if it was measured."""
    return next((each for each in experiment.compared if each.metric == metric), None)


def confirmed_verdict(confirmation: Confirmation) -> str:
    """What a confirmation says, as a verdict; only one that is confirmed has improved."""
    if confirmation.is_confirmed:
        return "improved"
    verdict = confirmation.experiment.verdict
    return "inconclusive" if verdict == "improved" else verdict


def effect_rows(found: TuneFinding) -> tuple[EffectRow, ...]:
    """Every experiment of a campaign once: what is handed over, the steps, the rest."""
    rows = {row.experiment_id: row for row in reversed(tuple(_rows(found)))}
    return tuple(dict.fromkeys(rows[row.experiment_id] for row in _rows(found)))


def _rows(found: TuneFinding) -> Iterator[EffectRow]:
    if found.confirmation is not None:
        yield _confirmation(found.confirmation)
    for step in found.steps:
        role = STEP if step.is_kept else DROPPED
        yield _row(step.experiment, change_of(step.change), role)
    for step in found.steps:
        if step.removal is not None:
            yield _row(step.removal, f"{change_of(step.change)}, beside all others", REMOVAL)
    for considered in found.considered:
        for experiment in considered.experiments:
            yield _row(experiment, change_of(considered.change), SCREENED)
    for control in found.controls:
        yield _row(control, "the stack against itself", CONTROL)


def _confirmation(of: Confirmation) -> EffectRow:
    return EffectRow(
        label="all kept changes together, against the origin",
        role=CONFIRMATION,
        verdict=confirmed_verdict(of),
        reason=of.experiment.reason,
        experiment_id=of.experiment.experiment_id,
        point=of.confirmed_ratio,
        low=of.low_ratio,
        high=of.high_ratio,
        blocks=of.experiment.blocks,
        online=None,
    )


def _row(experiment: ExperimentFinding, label: str, role: str) -> EffectRow:
    measured = of_metric(experiment, experiment.objective)
    is_asked = role != CONTROL and experiment.verdict in EMPHATIC
    return EffectRow(
        label=label if experiment.knob is None or role != SCREENED else change_text(experiment),
        role=role,
        verdict=experiment.verdict,
        reason=experiment.reason,
        experiment_id=experiment.experiment_id,
        point=None if measured is None else measured.effect_ratio,
        low=None if measured is None else measured.low_ratio,
        high=None if measured is None else measured.high_ratio,
        blocks=experiment.blocks,
        online=experiment.online if is_asked else None,
    )


def kept_steps(found: TuneFinding) -> tuple[Step, ...]:
    """The steps that are in the diff."""
    return tuple(step for step in found.steps if step.is_kept)


def considered_as(found: TuneFinding, *outcomes: str) -> tuple[Considered, ...]:
    """What was considered and ended so."""
    return tuple(each for each in found.considered if each.outcome in outcomes)


def gain_of(experiment: ExperimentFinding) -> float:
    """The effect on the objective at stopping, 0 where none is known."""
    measured = of_metric(experiment, experiment.objective)
    return 0.0 if measured is None else measured.effect_ratio or 0.0


def log_ratio(value: float | None) -> float | None:
    """An effect on the scale of its logarithm; None for what is not bounded."""
    if value is None or value <= -1 or not math.isfinite(value):
        return None
    return math.log1p(value)


def all_experiments(found: TuneFinding) -> tuple[ExperimentFinding, ...]:
    """Every experiment of the document, each once."""
    several = (
        *((found.confirmation.experiment,) if found.confirmation else ()),
        *(step.experiment for step in found.steps),
        *(step.removal for step in found.steps if step.removal is not None),
        *(each for considered in found.considered for each in considered.experiments),
        *found.controls,
    )
    return tuple({each.experiment_id: each for each in several}.values())


def baselines(found: TuneFinding) -> tuple[tuple[str, Baseline], ...]:
    """What was measured as a whole: the origin, and what is handed over."""
    after = () if found.after is None else (("after", found.after),)
    return (("before", found.before), *after)


def warnings_of(found: TuneFinding) -> tuple[LabWarning, ...]:
    """Every warning of the campaign once: its own, of the baselines, of the experiments."""
    several = [*found.warnings]
    for _, baseline in baselines(found):
        several += baseline.warnings
    for experiment in all_experiments(found):
        several += experiment.warnings
    return tuple({(each.message, each.remedy): each for each in several}.values())
