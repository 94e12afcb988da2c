"""What a campaign found: the document that is journaled, reported and printed as JSON.

Field names are the JSON keys: documented in docs/reference/tune-json.md, stable within one
``schema``. Times are seconds, ratios are fractions (0.02 is 2 %), unknown or unbounded is null.
"""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.model.baseline import Baseline
from labcoat.model.finding import ExperimentFinding, Guarded
from labcoat.model.stats import LabWarning
from labcoat.model.variant import Level

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A knob's way from one level to another, and what the catalogue says of it.

    ``before``: the user's level, or the program's default where the files are silent
    (``before_is_said``). ``safety``: the class. ``apply_cost``: ``reload``, ``restart`` or
    ``rebuild``. ``trap``: the trade-off, may be empty.
    """

    knob: str
    before: Level | None
    before_is_said: bool
    level: Level
    why: str
    trap: str
    safety: str
    apply_cost: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An accepted change, in the order of acceptance.

    ``experiment``: against the incumbent of its day, IMPROVED. ``removal``: the whole
    accepted set against the set without this change, None where that was not measured;
    for the last step it is the experiment itself. ``is_kept``: whether it is in the diff;
    ``reason`` says why, or why not. ``works_with``: knobs without which it showed nothing.
    """

    change: Change
    experiment: ExperimentFinding
    removal: ExperimentFinding | None
    is_kept: bool
    reason: str
    works_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A level of a knob that is no step: measured and not accepted, or never measured.

    ``outcome``: a verdict's value, ``skipped`` (nothing to gain, or not allowed, or not
    possible here) or ``undecided`` (the budget ended first, before or during it). ``bound_ratio``:
    the most that it could give. ``experiments``: against each incumbent it met, latest last.
    ``would_take_s``: the budget that would decide it, None where none would or none is needed.
    """

    change: Change
    outcome: str
    reason: str
    bound_ratio: float | None
    would_take_s: float | None
    experiments: tuple[ExperimentFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """A latency distribution: ``seconds[i]`` is the quantile ``q[i]`` of ``count`` requests."""

    count: int
    q: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Origin against what is handed over, on fresh processes, a number of epochs fixed before.

    ``claimed_ratio``: the steps' gains at stopping, multiplied: what a less careful tool would
    claim. ``low_ratio``, ``high_ratio``: the fixed-n interval of ``confirmed_ratio``; ``epochs``
    of ``planned_epochs`` were measured. ``before``, ``after``: latencies in the open loop of the
    guardrail, at the same rate for both. ``is_confirmed``: whether the interval excludes zero,
    on the better side.
    """

    experiment: ExperimentFinding
    claimed_ratio: float
    confirmed_ratio: float | None
    low_ratio: float | None
    high_ratio: float | None
    epochs: int
    planned_epochs: int
    is_confirmed: bool
    guardrails: tuple[Guarded, ...]
    rate_per_s: float | None
    before: Quantiles | None
    after: Quantiles | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """What the diff changes of one of the user's files. ``lines``: added plus removed."""

    path: str
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What is handed over: the minimal diff of the user's own files.

    ``assignment``: knob -> level, of the kept steps alone. ``diff``: unified, paths relative to
    the study's folder, to be read: changed lines alone, cut to the directive, since the rest of a
    user's file may be secret; ``labcoat diff`` prints the whole, as ``patch -p1`` and ``git apply``
    take it. ``by_hand``: what no file of the study can hold, in words that say where it goes.
    ``digests``: path -> keyed digest of each of the user's files as they were measured.
    """

    assignment: tuple[tuple[str, Level], ...]
    diff: str
    files: tuple[FileChange, ...]
    by_hand: tuple[str, ...]
    digests: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneFinding:
    """Everything that one campaign found.

    ``outcome``: ``improved`` (confirmed), ``nothing to change``, ``not confirmed``, ``interrupted``
    or ``guardrail`` (confirmed, but a guardrail broke: nothing is handed over); ``sentence``: the
    same for a person, with the gain. ``spent_s``: over all its sittings. ``allowed``: classes
    beyond the mild ones. ``after``: the tuned stack, measured as ``before`` was; None where nothing
    changed. ``steps``: in order. ``considered``: all other levels, the largest bound first.
    ``controls``: experiments of the incumbent against itself, made blindly in between.
    """

    schema: int
    study: str
    study_id: str
    at: str
    outcome: str
    sentence: str
    stopped: str
    objective: str
    margin_ratio: float
    budget_s: float
    spent_s: float
    allowed: tuple[str, ...]
    before: Baseline
    after: Baseline | None
    steps: tuple[Step, ...]
    considered: tuple[Considered, ...]
    controls: tuple[ExperimentFinding, ...]
    confirmation: Confirmation | None
    handover: Handover
    command: str
    seed: int
    warnings: tuple[LabWarning, ...]
