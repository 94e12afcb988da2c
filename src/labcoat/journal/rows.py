"""Nouns to rows and back: the only place that knows both."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, TypeVar, assert_never

from sqlalchemy import Row

from labcoat.journal import columns
from labcoat.journal.documents import dumped, exact, loaded, masked
from labcoat.model.experiment import Arm, Order, Trial, Usage
from labcoat.model.host import Facts, HostCounters, TreeCounters
from labcoat.model.journal import (
    BlockRecord,
    EventRecord,
    ExperimentRecord,
    FindingRecord,
    StateRecord,
    StudyRecord,
    TrialRecord,
    VerdictRecord,
)
from labcoat.model.load import (
    Arrivals,
    ClosedLoop,
    GeneratorUse,
    Measurement,
    OpenLoop,
    Plan,
    Window,
)
from labcoat.model.stats import Decision, Effect, Evidence, LabWarning, Verdict
from labcoat.model.variant import Variant

Values = dict[str, Any]
BEFORE, AFTER = "before", "after"


def study_record(row: Row[Any]) -> StudyRecord:
    """A row of ``studies``."""
    return StudyRecord(
        id=row.id,
        at=row.at,
        name=row.name,
        fingerprint=row.fingerprint,
        labcoat=row.labcoat,
        document=loaded(row.document, where=f"study {row.id}"),
    )


def facts_values(facts: Facts) -> Values:
    """Columns of ``facts``."""
    values = {field.name: getattr(facts, field.name) for field in dataclasses.fields(Facts)}
    values["port_low"], values["port_high"] = values.pop("port_range")
    return {**values, "programs": dumped(facts.programs, where="facts")}


def facts_of(row: Row[Any]) -> Facts:
    """A row of ``facts``."""
    names = {field.name for field in dataclasses.fields(Facts)} - {"port_range", "programs"}
    programs = loaded(row.programs, where=f"facts {row.id}")
    return Facts(
        **{name: getattr(row, name) for name in names},
        port_range=(row.port_low, row.port_high),
        programs=tuple((name, version) for name, version in programs),
    )


def assignment(variant: Variant) -> str:
    """Column ``variants.assignment``."""
    return exact(variant.assignment, where=f"variant {variant.name}")


def variant_of(text: str) -> Variant:
    """A variant again, levels with their types."""
    levels = loaded(text, where="variants")
    return Variant(tuple((knob, level) for knob, level in levels))


def experiment_record(row: Row[Any]) -> ExperimentRecord:
    """A row of ``experiments``, with both variants' assignments joined."""
    return ExperimentRecord(
        id=row.id,
        at=row.at,
        study_id=row.study_id,
        kind=row.kind,
        question=loaded(row.question, where=f"experiment {row.id}"),
        baseline=variant_of(row.baseline_assignment),
        treatment=variant_of(row.treatment_assignment),
        seed=row.seed,
    )


def block_record(row: Row[Any]) -> BlockRecord:
    """A row of ``blocks``, with its void, if any, joined as ``void``."""
    return BlockRecord(
        id=row.id,
        at=row.at,
        experiment_id=row.experiment_id,
        index=row.block_index,
        attempt=row.attempt,
        epoch=row.epoch,
        order=Order(row.block_order),
        seed=row.seed,
        void=row.void,
    )


def trial_record(row: Row[Any]) -> TrialRecord:
    """A row of ``trials``, with the variant's assignment and the request count joined."""
    trial = Trial(
        experiment=row.experiment_id,
        block=row.block_id,
        arm=Arm(row.arm),
        slot=row.slot,
        position=row.position,
        variant=variant_of(row.assignment),
    )
    return TrialRecord(id=row.id, at=row.at, trial=trial, requests=row.requests)


def measurement_values(measurement: Measurement) -> Values:
    """Columns of ``measurements``."""
    use, window = measurement.use, measurement.window
    return {
        **_plan_values(measurement.plan),
        "measure_s": window.measure_s,
        "warmup_s": window.warmup_s,
        "started_ns": measurement.started_ns,
        "tool": measurement.tool,
        "generator_cpu_s": use.cpu_s,
        "generator_cores": use.cores,
        "generator_loop_lag_p99_s": use.loop_lag_p99_s,
        "generator_stalled_ratio": use.stalled_ratio,
        "generator_connects": use.connects,
        "generator_syn_retransmits": use.syn_retransmits,
        "routes": dumped(measurement.routes, where="measurement.routes"),
        "notes": dumped(measurement.notes, where="measurement.notes"),
        "requests": len(measurement.records),
        "records": columns.encode(measurement.records),
    }


def measurement_of(row: Row[Any]) -> Measurement:
    """A row of ``measurements``."""
    where = f"trial {row.trial_id}"
    return Measurement(
        plan=_plan_of(row),
        window=Window(measure_s=row.measure_s, warmup_s=row.warmup_s),
        started_ns=row.started_ns,
        records=columns.decode(row.records, where=where),
        use=GeneratorUse(
            cpu_s=row.generator_cpu_s,
            cores=row.generator_cores,
            loop_lag_p99_s=row.generator_loop_lag_p99_s,
            stalled_ratio=row.generator_stalled_ratio or 0.0,
            connects=row.generator_connects,
            syn_retransmits=row.generator_syn_retransmits,
        ),
        routes=tuple(loaded(row.routes, where=where)),
        tool=row.tool,
        notes=tuple(loaded(row.notes, where=where)),
    )


def host_values(usage: Usage) -> list[Values]:
    """Rows of ``host_readings``."""
    readings = ((BEFORE, usage.host_before), (AFTER, usage.host_after))
    return [{"moment": moment, **_fields(reading)} for moment, reading in readings]


def layer_values(usage: Usage) -> list[Values]:
    """Rows of ``layer_readings``, front to back."""
    return [
        {"moment": moment, "depth": depth, "layer": layer, **_fields(readings[layer])}
        for moment, readings in ((BEFORE, usage.layers_before), (AFTER, usage.layers_after))
        for depth, layer in enumerate(usage.layers_before)
    ]


def usage_of(hosts: Iterable[Row[Any]], layers: Iterable[Row[Any]]) -> Usage:
    """The rows of one trial in ``host_readings`` and ``layer_readings`` (by depth)."""
    host = {row.moment: _reading(HostCounters, row) for row in hosts}
    layer: dict[str, dict[str, TreeCounters]] = {BEFORE: {}, AFTER: {}}
    for row in layers:
        layer[row.moment][row.layer] = _reading(TreeCounters, row)
    return Usage(
        host_before=host[BEFORE],
        host_after=host[AFTER],
        layers_before=layer[BEFORE],
        layers_after=layer[AFTER],
    )


def verdict_values(decision: Decision, verdict: Verdict, effect: Effect | None) -> Values:
    """Columns of ``verdicts``."""
    values: Values = {
        "verdict": verdict.value,
        "reason": masked(decision.reason),  # it may quote a log
        "n": decision.n,
        "chance": decision.chance,
        "warnings": dumped(decision.warnings, where="verdict.warnings"),
    }
    if decision.evidence is not None:
        values |= {f"log_e_{name}": value for name, value in _fields(decision.evidence).items()}
    if effect is not None:
        values |= {f"effect_{name}": value for name, value in _fields(effect).items()}
        values["effect_warnings"] = dumped(effect.warnings, where="effect.warnings")
    return values


def verdict_record(row: Row[Any]) -> VerdictRecord:
    """A row of ``verdicts``."""
    where = f"verdict {row.id}"
    decision = Decision(
        verdict=Verdict(row.verdict),
        reason=row.reason,
        n=row.n,
        evidence=_evidence_of(row),
        chance=row.chance,
        warnings=_warnings(row.warnings, where),
    )
    effect = None
    if row.effect_point is not None:
        effect = Effect(
            point=row.effect_point,
            low=row.effect_low,
            high=row.effect_high,
            method=row.effect_method,
            n=row.effect_n,
            warnings=_warnings(row.effect_warnings, where),
        )
    return VerdictRecord(
        id=row.id,
        at=row.at,
        experiment_id=row.experiment_id,
        metric=row.metric,
        decision=decision,
        effect=effect,
    )


def finding_record(row: Row[Any]) -> FindingRecord:
    """A row of ``findings``."""
    document = loaded(row.document, where=f"finding {row.name}")
    return FindingRecord(
        id=row.id, at=row.at, study_id=row.study_id, name=row.name, document=document
    )


def event_record(row: Row[Any]) -> EventRecord:
    """A row of ``events``."""
    document = loaded(row.document, where=f"event {row.id}")
    return EventRecord(
        id=row.id, at=row.at, study_id=row.study_id, kind=row.kind, document=document
    )


def state_record(row: Row[Any]) -> StateRecord:
    """A row of ``states``, with the variant's assignment joined."""
    return StateRecord(
        id=row.id,
        at=row.at,
        study_id=row.study_id,
        variant=variant_of(row.assignment),
        document=loaded(row.document, where=f"state {row.id}"),
    )


def _plan_values(plan: Plan) -> Values:
    match plan:
        case ClosedLoop():
            return {"plan": "closed", "users": plan.users, "think_s": plan.think_s}
        case OpenLoop():
            return {
                "plan": "open",
                "rate_per_s": plan.rate_per_s,
                "arrivals": plan.arrivals.value,
                "connections": plan.connections,
            }
        case _:
            assert_never(plan)


def _plan_of(row: Row[Any]) -> Plan:
    if row.plan == "closed":
        return ClosedLoop(users=row.users, think_s=row.think_s)
    return OpenLoop(
        rate_per_s=row.rate_per_s,
        arrivals=Arrivals(row.arrivals),
        connections=row.connections,
    )


def _evidence_of(row: Row[Any]) -> Evidence | None:
    if row.log_e_better is None:
        return None
    names = [field.name for field in dataclasses.fields(Evidence)]
    return Evidence(**{name: getattr(row, f"log_e_{name}") for name in names})


def _warnings(text: str, where: str) -> tuple[LabWarning, ...]:
    return tuple(LabWarning(**each) for each in loaded(text, where=where))


def _fields(value: HostCounters | TreeCounters | Evidence | Effect) -> Values:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


Reading = TypeVar("Reading", HostCounters, TreeCounters)


def _reading(kind: type[Reading], row: Row[Any]) -> Reading:
    return kind(**{field.name: getattr(row, field.name) for field in dataclasses.fields(kind)})
