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
    answer.
    """

    objective: Metric
    margin: float
    alpha: float = 0.05
    screening: bool = False


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

    ``kind``: ``try``, ``aa`` or ``guard``. ``origin``: digest of the files, the app and the
    programs that both arms are made from. ``machine``: where it is asked. Two questions
    with the same document are the same question.
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
            "rule": {**asdict(self.rule), "objective": self.rule.objective.name},
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
        before, after = dict(self.baseline.assignment), dict(self.treatment.assignment)
        for knob in sorted(before.keys() | after.keys()):
            if before.get(knob) != after.get(knob):
                return knob, after.get(knob)
        return None

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
