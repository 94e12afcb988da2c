"""From an experiment to what it found: the document of ``labcoat try``. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import BROKEN, LATENCIES, GuardAnswer
from labcoat.lab.experiment.race import headroom_ratio
from labcoat.lab.trial.workbench import Reading
from labcoat.model.experiment import Arm
from labcoat.model.finding import Compared, ExperimentFinding, Guarded, LayerCompared
from labcoat.model.knob import MILD, Knob
from labcoat.model.load import OpenLoop
from labcoat.model.metric import CPU_PER_REQUEST, MEMORY, THROUGHPUT, Metric
from labcoat.model.stats import Decision, LabWarning, Verdict
from labcoat.model.variant import Level
from labcoat.stats.ceiling import true_gain
from labcoat.stats.power import Costs, budget_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known beside the experiment itself."""

    origin_level: Level | None
    origin_is_said: bool
    headroom_per_s: float | None
    online: bool
    knob: Knob | None = None


def tell(
    experiment: Experiment,
    decision: Decision,
    guards: Sequence[GuardAnswer],
    context: Context,
) -> ExperimentFinding:
    """The document of one experiment. A broken guardrail makes an improvement a regression."""
    question = experiment.question
    change = question.change
    readings = _readings(experiment)
    decision = guarded(decision, guards)
    sample = experiment.sample(question.rule.objective.name)
    spread = None if sample is None or sample.log_ratios.size < 2 else sample.log_ratios.std(ddof=1)
    fast = next(
        (each.experiment for each in guards if each.experiment and each.experiment.gathered.blocks),
        experiment,
    )
    evidence = decision.evidence
    strongest = None if evidence is None else max(evidence.better, evidence.worse)
    share, gain = _generator(experiment, readings)
    return ExperimentFinding(
        experiment_id=experiment.record.id,
        kind=question.kind,
        knob=None if change is None else change[0],
        origin_level=context.origin_level,
        origin_is_said=context.origin_is_said,
        level=None if change is None else change[1],
        verdict=Verdict.INVALID.value if decision.verdict is None else decision.verdict.value,
        reason=decision.reason,
        objective=question.rule.objective.name,
        margin_ratio=question.rule.margin,
        compared=(
            *_compared(experiment, (THROUGHPUT, CPU_PER_REQUEST)),
            *_compared(fast, LATENCIES),
            *_compared(experiment, (MEMORY,)),
        ),
        latency_loop="open" if isinstance(fast.question.plan, OpenLoop) else "closed",
        layers=tuple(_layers(experiment, readings)),
        guardrails=tuple(guardrail(each) for each in guards),
        evidence=None if strongest is None else _finite(math.exp(min(strongest, 700.0))),
        evidence_needed=None if evidence is None else math.exp(evidence.needed),
        online=context.online,
        points=0 if sample is None else sample.log_ratios.size,
        points_up=0 if sample is None else int((sample.log_ratios > 0).sum()),
        epochs=len(experiment.gathered.epochs()),
        blocks=len(experiment.gathered.blocks),
        voids_baseline=_voids(experiment, Arm.BASELINE),
        voids_treatment=_voids(experiment, Arm.TREATMENT),
        void_reasons=tuple(dict.fromkeys(void.reason for void in experiment.gathered.voids)),
        noise_ratio=None if spread is None else _finite(float(np.expm1(spread))),
        steal_ratio=_mean([reading.steal_ratio for _, reading in readings]),
        adjusted=_beta(experiment) != 0,
        answers_compared=experiment.compared,
        answers_unstable=tuple(experiment.unstable),
        generator_share_ratio=share,
        true_gain_ratio=gain,
        headroom_ratio=headroom_ratio(experiment, context.headroom_per_s),
        measured_s=sum(block.took_s for block in experiment.gathered.blocks)
        + sum(experiment.restart_s),
        warnings=tuple(_warnings(experiment, decision, context.knob)),
    )


def value_of(metric: Metric, readings: Sequence[Reading]) -> float:
    """A metric over several slices of one arm: means, and percentiles of merged requests."""
    if metric == THROUGHPUT:
        return _mean([each.summary.throughput_per_s for each in readings]) or 0.0
    if metric == CPU_PER_REQUEST:
        spent = sum(each.layer_cpu_s(name) for each in readings for name in each.layers)
        return spent / max(sum(each.answered for each in readings), 1)
    if metric == MEMORY:
        return _mean([float(each.pss_bytes) for each in readings]) or 0.0
    merged = np.concatenate([each.latencies_s for each in readings])
    q = {each.name: q for each, q in zip(LATENCIES, (0.5, 0.95, 0.99), strict=True)}[metric.name]
    return float(np.quantile(merged, q, method="inverted_cdf")) if merged.size else 0.0


def _compared(experiment: Experiment, metrics: Iterable[Metric]) -> Iterable[Compared]:
    readings = _readings(experiment)
    arms = {arm: [each for which, each in readings if which is arm] for arm in Arm}
    if not all(arms.values()):
        return
    for metric in metrics:
        effect = experiment.effect(metric.name)
        yield Compared(
            metric=metric.name,
            unit=metric.unit,
            baseline=value_of(metric, arms[Arm.BASELINE]),
            treatment=value_of(metric, arms[Arm.TREATMENT]),
            effect_ratio=None if effect is None else _finite(effect.point),
            low_ratio=None if effect is None or effect.low <= -1 else _finite(effect.low),
            high_ratio=None if effect is None else _finite(effect.high),
            n=0 if effect is None else effect.n,
        )


def _layers(
    experiment: Experiment, readings: Sequence[tuple[Arm, Reading]]
) -> Iterable[LayerCompared]:
    arms = {arm: [each for which, each in readings if which is arm] for arm in Arm}
    if not all(arms.values()):
        return
    for names in _paired(*(arms[arm][0].layers for arm in (Arm.BASELINE, Arm.TREATMENT))):
        layer = dict(zip((Arm.BASELINE, Arm.TREATMENT), names, strict=True))
        cpu_s = {
            arm: sum(each.layer_cpu_s(layer[arm]) for each in arms[arm])
            / max(sum(each.answered for each in arms[arm]), 1)
            for arm in Arm
        }
        pss = {
            arm: _mean([float(each.usage.layers_after[layer[arm]].pss_bytes) for each in arms[arm]])
            or 0.0
            for arm in Arm
        }
        told = {arm: experiment.explained.get(arm, {}).get(layer[arm], {}) for arm in Arm}
        yield LayerCompared(
            name=" → ".join(dict.fromkeys(names)),
            baseline_cpu_per_request_s=cpu_s[Arm.BASELINE],
            treatment_cpu_per_request_s=cpu_s[Arm.TREATMENT],
            baseline_pss_bytes=pss[Arm.BASELINE],
            treatment_pss_bytes=pss[Arm.TREATMENT],
            baseline_counters=dict(told[Arm.BASELINE]),
            treatment_counters=dict(told[Arm.TREATMENT]),
        )


def _paired(baseline: Sequence[str], treatment: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Each layer of the baseline with the one in its place: servers take one another's."""
    other = [name for name in treatment if name not in baseline]
    for name in baseline:
        yield name, name if name in treatment else other.pop()


def guardrail(guard: GuardAnswer) -> Guarded:
    """What became of a guardrail, for the document."""
    measured = guard.experiment
    return Guarded(
        metric=guard.metric.name,
        margin_ratio=guard.margin,
        rate_per_s=guard.rate_per_s,
        answer=guard.answer,
        reason=guard.reason,
        compared=() if measured is None else tuple(_compared(measured, LATENCIES)),
    )


def guarded(decision: Decision, guards: Sequence[GuardAnswer]) -> Decision:
    """The decision where a broken guardrail makes an improvement a regression."""
    broken = [each for each in guards if each.answer == BROKEN]
    if decision.verdict is not Verdict.IMPROVED or not broken:
        return decision
    return Decision(
        verdict=Verdict.REGRESSED,
        reason=f"guardrail {broken[0].metric.title}: {broken[0].reason}",
        n=decision.n,
        evidence=decision.evidence,
        chance=decision.chance,
        warnings=decision.warnings,
    )


def _generator(
    experiment: Experiment, readings: Sequence[tuple[Arm, Reading]]
) -> tuple[float | None, float | None]:
    """The generator's share of a request's CPU, and the gain that it hides on shared cores.

    The gain's arithmetic is exact with what a request of the treatment costs.
    """
    generator_s, stack_s = _costs([each for _, each in readings])
    if not stack_s:
        return None, None
    share = generator_s / (generator_s + stack_s)
    effect = experiment.effect(THROUGHPUT.name)
    generator_s, stack_s = _costs([each for arm, each in readings if arm is Arm.TREATMENT])
    if effect is None or not stack_s or experiment.question.rule.objective != THROUGHPUT:
        return share, None
    return share, _finite(true_gain(effect.point, sut_s=stack_s, generator_s=generator_s))


def _costs(readings: Sequence[Reading]) -> tuple[float, float]:
    """CPU seconds of a request: the generator's, and the stack's."""
    answered = sum(each.answered for each in readings)
    generator_s = sum(each.generator_cpu_s for each in readings)
    return generator_s / max(answered, 1), value_of(CPU_PER_REQUEST, readings)


def _warnings(
    experiment: Experiment, decision: Decision, knob: Knob | None
) -> Iterable[LabWarning]:
    yield from decision.warnings
    if knob is not None and knob.safety not in MILD:
        yield LabWarning(
            code=f"class_{knob.safety.value}",
            message=f"{knob.name} is of class {knob.safety.value}: "
            + knob.safety.meaning[:1].lower()
            + knob.safety.meaning[1:].rstrip("."),
            remedy=f"labcoat knobs {knob.name} tells the trade-off",
        )
    if experiment.is_recorded:
        yield LabWarning(
            code="recorded",
            message="this was answered before, and nothing was measured now",
            remedy="labcoat try --again asks anew, from the beginning",
        )
    if decision.verdict is Verdict.INCONCLUSIVE and experiment.question.change is not None:
        yield from _what_would_decide(experiment)
    wrong = [void.arm for void in experiment.gathered.voids if void.errors]
    if experiment.question.change is not None and wrong and set(wrong) == {Arm.TREATMENT}:
        yield LabWarning(
            code="new_errors",
            message=f"{len(wrong)} void blocks ended with errors of the treatment and none with"
            " errors of the baseline, and what is void is in no number above",
            remedy="see its logs before you take this level",
        )
    if experiment.unsteady:
        yield LabWarning(
            code="not_steady",
            message=f"{experiment.unsteady} of the instances booted were still getting faster"
            " after a minute of warm-up",
            remedy="see what the app loads late; it disturbs both arms alike",
        )
    if experiment.unstable:
        routes = ", ".join(experiment.unstable)
        yield LabWarning(
            code="unstable_answers",
            message=f"answers of {routes} are not twice the same on one arm, so what changes by"
            " itself was not compared (of a body, the rough size was)",
            remedy="name what differs under [workload] normalise",
        )
    metric = experiment.question.rule.objective.name
    asks = experiment.question.change is not None and bool(experiment.gathered.blocks)
    if asks and experiment.history.beta(metric) is None:
        yield LabWarning(
            code="not_adjusted",
            message="no A/A experiment of this stack on this machine is in the journal, so steal"
            " was not taken out",
            remedy="labcoat baseline, or labcoat try --aa, first",
        )


def _what_would_decide(experiment: Experiment) -> Iterable[LabWarning]:
    """The budget that finds what was seen, or the margin if that is more; four times in five."""
    metric = experiment.question.rule.objective.name
    sample, effect = experiment.sample(metric), experiment.effect(metric)
    blocks = experiment.gathered.blocks
    if sample is None or effect is None or not experiment.restart_s:
        return
    sought = max(abs(effect.point), experiment.question.rule.margin)
    costs = Costs(
        block_s=float(np.mean([block.took_s for block in blocks])),
        restart_s=float(np.mean(experiment.restart_s)),
        blocks_per_epoch=experiment.question.rhythm.blocks_per_epoch,
    )
    budget_s = budget_for(sd=float(sample.log_ratios.std(ddof=1)), costs=costs, effect=sought)
    if budget_s is None:
        remedy = "no budget finds that with this noise: quieten the machine, or lengthen --slice"
    else:
        remedy = f"--budget {math.ceil(budget_s / 60)}m would find it four times in five"
    yield LabWarning(
        code="undecided",
        message=f"an effect of {100 * sought:.1f} % was not decided",
        remedy=remedy,
    )


def _beta(experiment: Experiment) -> float:
    beta = experiment.history.beta(experiment.question.rule.objective.name)
    return 0.0 if beta is None else beta.value


def _readings(experiment: Experiment) -> list[tuple[Arm, Reading]]:
    return [pair for block in experiment.gathered.blocks for pair in block.slices]


def _voids(experiment: Experiment, arm: Arm) -> int:
    return sum(void.arm is arm for void in experiment.gathered.voids)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
