"""Replication: what somebody published of a change, and what was found of it here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from labcoat.model.finding import ExperimentFinding
from labcoat.model.host import Facts
from labcoat.model.metric import Metric
from labcoat.model.stats import Verdict
from labcoat.model.study import Study
from labcoat.model.variant import Level, Variant

SCHEMA = 1


class Claim(Enum):
    """What a source says of a change, in the direction of the metric that it speaks of."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"


class Outcome(Enum):
    """What replication says of a claim."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


class Mode(Enum):
    """Against what a step is asked: the origin alone, or all steps before it."""

    ALONE = "alone"
    ON_TOP = "on top"


OUTCOMES: dict[tuple[Claim, Verdict], Outcome] = {
    (Claim.BETTER, Verdict.IMPROVED): Outcome.CONFIRMED,
    (Claim.BETTER, Verdict.REGRESSED): Outcome.REFUTED,
    (Claim.BETTER, Verdict.EQUIVALENT): Outcome.REFUTED,
    (Claim.BETTER, Verdict.NOT_BETTER): Outcome.REFUTED,
    (Claim.WORSE, Verdict.REGRESSED): Outcome.CONFIRMED,
    (Claim.WORSE, Verdict.IMPROVED): Outcome.REFUTED,
    (Claim.WORSE, Verdict.EQUIVALENT): Outcome.REFUTED,
    (Claim.SAME, Verdict.EQUIVALENT): Outcome.CONFIRMED,
    (Claim.SAME, Verdict.IMPROVED): Outcome.REFUTED,
    (Claim.SAME, Verdict.REGRESSED): Outcome.REFUTED,
}
"""Every other pair is undecided: not better may be the same or worse."""


def outcome_of(claim: Claim, verdict: Verdict) -> Outcome:
    """What an experiment's verdict says of a claim. Pure."""
    return OUTCOMES.get((claim, verdict), Outcome.UNDECIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung: levels that are set together, and what was published of them.

    ``levels``: knob -> level on this machine. ``ratio``: the published effect as a ratio minus
    one, None where no number was published. ``published``: in the source's words. ``counters``:
    ``component.name`` of what explains a refutation. ``line``: where it stands in its file.
    ``is_kept``: whether the steps after it stand on it, too.
    """

    name: str
    levels: tuple[tuple[str, Level], ...]
    claim: Claim
    published: str
    source: str
    objective: Metric
    ratio: float | None = None
    why: str = ""
    counters: tuple[str, ...] = ()
    is_kept: bool = True
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A claim that is read from the running workers instead of measured.

    ``levels``: over the origin. ``claim``: ``one CPU`` says that all workers share one;
    ``all CPUs`` that each may use, and together they do use, more than one.
    """

    name: str
    levels: tuple[tuple[str, Level], ...]
    is_one_cpu: bool
    published: str
    source: str
    why: str = ""
    line: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A published ladder of changes, written down so that it can be replayed.

    ``origin``: levels over the study's own files. ``doubts``: what the source left open.
    ``packages``: what the app's interpreter must be able to import; ``programs``: what must be
    on PATH.
    """

    name: str
    title: str
    about: str
    file: Path
    study: Study
    origin: Variant
    steps: tuple[Step, ...]
    sightings: tuple[Sighting, ...] = ()
    doubts: tuple[str, ...] = ()
    margin: float = 0.02
    programs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def asked(self) -> tuple[tuple[Step, Mode, Variant, Variant], ...]:
        """Every question: step, mode, baseline, treatment; the first rung is asked once.

        Alone: against the origin. On top: against the origin with every kept step before.
        """
        before, questions = self.origin, []
        for step in self.steps:
            alone = with_levels(self.origin, step.levels)
            questions.append((step, Mode.ALONE, self.origin, alone))
            on_top = with_levels(before, step.levels)
            if before != self.origin:
                questions.append((step, Mode.ON_TOP, before, on_top))
            if step.is_kept:
                before = on_top
        return tuple(questions)


def with_levels(variant: Variant, levels: tuple[tuple[str, Level], ...]) -> Variant:
    """The variant with several levels set."""
    return Variant.of({**dict(variant.assignment), **dict(levels)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFinding:
    """What became of one claim. ``levels``, ``base``: as ``knob=level``.

    ``size``: the measured effect beside the published one: ``as published``, ``smaller``,
    ``larger``, or "" where it cannot be said. ``explains``: counters, in words.
    ``would_decide``: which budget would, "" where it is decided. ``experiment`` None: it was not
    measured, or was read from the running workers.
    """

    step: str
    mode: str
    levels: tuple[str, ...]
    base: tuple[str, ...]
    claim: str
    published: str
    published_ratio: float | None
    source: str
    why: str
    objective: str
    outcome: str
    reason: str
    size: str
    explains: tuple[str, ...]
    would_decide: str
    experiment: ExperimentFinding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationFinding:
    """Everything that one ``labcoat replicate`` found, in the order of the steps.

    ``aa``: the stack against itself, the noise of all the rest; None where it was not reached.
    """

    schema: int
    protocol: str
    title: str
    about: str
    doubts: tuple[str, ...]
    study: str
    study_id: str
    at: str
    elapsed_s: float
    budget_s: float
    margin_ratio: float
    is_interrupted: bool
    facts: Facts
    programs: tuple[tuple[str, str], ...]
    aa: ExperimentFinding | None
    claims: tuple[ClaimFinding, ...]
