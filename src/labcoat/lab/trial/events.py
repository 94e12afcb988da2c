"""What the lab tells while it works: frozen facts for whoever listens.

The lab never prints. Events are for display; nothing that matters hangs on one, and
whatever an event tells of has been committed to the journal before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from labcoat.lab.trial.question import Question
from labcoat.model.baseline import Baseline
from labcoat.model.metric import Metric
from labcoat.model.stats import Decision, Effect
from labcoat.model.variant import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted:
    """A phase began. ``expected_s``: how long it should take."""

    name: str
    expected_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished:
    """A phase ended; ``summary`` is one line for a person."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentUp:
    """A component serves."""

    name: str
    arm: str
    version: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmingUp:
    """An arm is being warmed up, and has been for so many seconds of load."""

    arm: str
    spent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceMeasured:
    """A slice is in the journal. ``done`` of ``total`` slices of the phase."""

    phase: str
    done: int
    total: int
    throughput_per_s: float
    latency_p99_s: float
    steal_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockVoided:
    """A block is void and will be measured again with a new coin."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An experiment begins, or goes on with ``blocks`` that an earlier sitting measured."""

    question: Question
    experiment_id: str
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockJudged:
    """What is known of a question after one more epoch. ``effect`` None: too little yet."""

    question: Question
    blocks: int
    effect: Effect | None
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """A change was accepted: what it changes is the incumbent's from now on.

    ``gain_ratio``: of all steps so far, as claimed at stopping; the confirmation comes last.
    """

    levels: tuple[tuple[str, Level], ...]
    gain_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignBegun:
    """The baseline of a campaign is known: what is sought from there, and in what time."""

    objective: Metric
    budget_s: float
    before: Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseTold:
    """Where a campaign stands. ``doing``: its present part, in a few words."""

    doing: str
    spent_s: float
    budget_s: float
    gain_ratio: float


Event = (
    PhaseStarted
    | PhaseFinished
    | ComponentUp
    | WarmingUp
    | SliceMeasured
    | BlockVoided
    | Asked
    | BlockJudged
    | CampaignBegun
    | StepTaken
    | CourseTold
)
Listener = Callable[[Event], None]
