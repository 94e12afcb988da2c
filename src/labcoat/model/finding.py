"""What an experiment found: the document that is journaled, reported and printed as JSON.

Field names are the JSON keys: documented in docs/reference/try-json.md, stable within one
``schema``. Times are seconds, ratios are fractions (0.02 is 2 %), an unbounded end is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labcoat.model.stats import LabWarning
from labcoat.model.variant import Level

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of both arms, and the effect of the treatment on it.

    ``effect_ratio`` with its anytime interval is over epochs, adjusted for steal where
    earlier A/A experiments taught how; ``baseline`` and ``treatment`` are plain means.
    """

    metric: str
    unit: str
    baseline: float
    treatment: float
    effect_ratio: float | None
    low_ratio: float | None
    high_ratio: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCompared:
    """One layer of both arms: CPU of a request, memory, and its own counters."""

    name: str
    baseline_cpu_per_request_s: float
    treatment_cpu_per_request_s: float
    baseline_pss_bytes: float
    treatment_pss_bytes: float
    baseline_counters: Mapping[str, float]
    treatment_counters: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A guardrail: a metric that must not worsen by more than ``margin_ratio``.

    ``answer``: ``held``, ``broken`` or ``not shown``. ``rate_per_s``: of the open loop.
    """

    metric: str
    margin_ratio: float
    rate_per_s: float | None
    answer: str
    reason: str
    compared: tuple[Compared, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentFinding:
    """Everything that one experiment found.

    ``origin_level``: the present level; the program's default where the user's files do
    not say one (``origin_is_said``), None where there is none.
    ``points``: values that the verdict rests on, one for each restart; ``points_up``: those
    in which the treatment's objective was larger.
    ``evidence``, ``evidence_needed``: how often a bet against "no effect" has multiplied its
    stake, and how often it must. ``true_gain_ratio``: the effect of the stack alone, where
    generator and stack share the cores and the CPU is the limit. ``online``: whether the
    verdict also holds among all experiments of the study, one after the other (e-LOND).
    ``latency_loop``: ``open`` where latencies count from the intended start at a fixed
    rate, else ``closed``: not what users see.
    """

    experiment_id: str
    kind: str
    knob: str | None
    origin_level: Level | None
    origin_is_said: bool
    level: Level | None
    verdict: str
    reason: str
    objective: str
    margin_ratio: float
    compared: tuple[Compared, ...]
    latency_loop: str
    layers: tuple[LayerCompared, ...]
    guardrails: tuple[Guarded, ...]
    evidence: float | None
    evidence_needed: float | None
    online: bool
    points: int
    points_up: int
    epochs: int
    blocks: int
    voids_baseline: int
    voids_treatment: int
    void_reasons: tuple[str, ...]
    noise_ratio: float | None
    steal_ratio: float | None
    adjusted: bool
    answers_compared: int
    answers_unstable: tuple[str, ...]
    generator_share_ratio: float | None
    true_gain_ratio: float | None
    headroom_ratio: float | None
    measured_s: float
    warnings: tuple[LabWarning, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TryFinding:
    """Everything that one ``labcoat try`` found, in the order of the levels."""

    schema: int
    study: str
    study_id: str
    at: str
    elapsed_s: float
    experiments: tuple[ExperimentFinding, ...]
