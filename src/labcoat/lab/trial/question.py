"""Questions: what an experiment asks, complete enough to be asked again after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from labcoat.model.journal import ExperimentRecord
from labcoat.model.load import ClosedLoop, OpenLoop, Plan
from labcoat.model.metric import Metric
from labcoat.model.stats import Effect, Sample
from labcoat.model.variant import Level, Variant
from labcoat.stats.interval import anytime_effect

CAP = 40
"""Data points after which an experiment ends without a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How an experiment decides: see ``stats.decide``.

    ``margin``: the smallest effect worth having, a ratio. ``screening``: NOT_BETTER is an
    answer. ``planned``: a number of data points fixed before, at which alone is judged; None
    is the sequential rule.
    """

    objective: Metric
    margin: float
    alpha: float = 0.05
    screening: bool = False
    planned: int | None = None

    def document(self) -> dict[str, Any]:
        """The rule as plain values; a plan that is not there is not said."""
        document = {**asdict(self), "objective": self.objective.name}
        if self.planned is None:
            del document["planned"]
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How long an experiment takes for each thing. Seconds.

    ``slice_s``: mean measured length of a slice; ``discard_s``: its warm-up.
    ``blocks_per_epoch``: blocks between two restarts (science.md section 2: 1 or 2).
    """

    slice_s: float = 1.5
    discard_s: float = 0.25
    blocks_per_epoch: int = 1

    def __post_init__(self) -> None:
        if not self.slice_s > 0 or self.discard_s < 0 or self.blocks_per_epoch not in {1, 2}:
            raise ValueError("slices need a length, and an epoch holds one or two blocks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Baseline against treatment, which differ in exactly one knob (in an A/A in none).

    A campaign also asks of two knobs together, and confirms all of them at once.
    ``kind``: ``try``, ``aa``, ``guard``, ``removal`` or ``confirmation``. ``origin``: digest of
    the files, the app and the programs that both arms are made from. ``machine``: where it is
    asked. Two questions with the same document are the same question.
    """

    kind: str
    baseline: Variant
    treatment: Variant
    plan: Plan
    rule: Rule
    rhythm: Rhythm
    origin: str
    machine: str

    def document(self) -> dict[str, Any]:
        """What the journal keeps beside both variants."""
        return {
            "plan": {"loop": type(self.plan).__name__, **_plain(self.plan)},
            "rule": self.rule.document(),
            "rhythm": asdict(self.rhythm),
            "origin": self.origin,
            "machine": self.machine,
        }

    def is_asked_by(self, record: ExperimentRecord) -> bool:
        """Whether an experiment of the journal asks the same."""
        return (
            record.kind == self.kind
            and record.baseline == self.baseline
            and record.treatment == self.treatment
            and dict(record.question) == self.document()
        )

    @property
    def change(self) -> tuple[str, Level | None] | None:
        """The knob that differs, and its level in the treatment; None in an A/A.

        The level is None where the treatment leaves the knob as the user has it.
        """
        return next(iter(self.changes), None)

    @property
    def changes(self) -> tuple[tuple[str, Level | None], ...]:
        """Every knob that differs, with its level in the treatment, by name."""
        before, after = dict(self.baseline.assignment), dict(self.treatment.assignment)
        return tuple(
            (knob, after.get(knob))
            for knob in sorted(before.keys() | after.keys())
            if before.get(knob) != after.get(knob)
        )

    @property
    def own_databases(self) -> bool:
        """Whether each arm needs a database of its own, so that neither warms the other's."""
        variants = (self.baseline, self.treatment)
        return any(variant.levels("postgres") for variant in variants)


def effect_or_none(sample: Sample) -> Effect | None:
    """The anytime effect of a sample, None while nothing can be said."""
    return anytime_effect(sample) if sample.log_ratios.size > 1 else None


def _plain(plan: ClosedLoop | OpenLoop) -> Mapping[str, Any]:
    return {name: getattr(value, "value", value) for name, value in asdict(plan).items()}
