"""The baseline of the state that holds, from the journal of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.lab.handover import writing
from labcoat.lab.handover.states import history_of
from labcoat.lab.trial.arms import SERVER_NAMES
from labcoat.load.summary import is_counted
from labcoat.model.experiment import Usage
from labcoat.model.journal import FindingRecord, StateRecord
from labcoat.model.load import ClosedLoop, Measurement
from labcoat.watch.production.reference import Phase, Reference

SATURATED = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed the files: ``apply`` or ``rollback``, when, and the state that came of it."""

    at: datetime
    kind: str
    holds: int


def recall(journal: Journal, root: Path) -> Reference:
    """The newest baseline that was measured while the state that holds now held.

    Raises: JournalError if there is none, or it does not hold what is compared.
    """
    records = _states(journal, root)
    holds = history_of(records).holds
    newest: tuple[FindingRecord, int] | None = None
    for study in journal.studies():
        for finding in journal.findings(study.id):
            if finding.name != "baseline":
                continue
            held = history_of([record for record in records if record.at <= finding.at]).holds
            if held == holds and (newest is None or finding.at > newest[0].at):
                newest = finding, held
    if newest is None:
        what = f"state {holds}" if records else "this study"
        raise JournalError(
            f"there is no baseline of {what}",
            where=root / ".labcoat",
            way_out="measure the stack as it is now, on a machine like production's:"
            " labcoat baseline",
        )
    return _reference(journal, newest[0], state=holds)


def changes(journal: Journal, root: Path) -> tuple[Change, ...]:
    """Every apply and rollback, oldest first."""
    records = _states(journal, root)
    return tuple(
        Change(
            at=record.at,
            kind=str(record.document["kind"]),
            holds=history_of(records[: index + 1]).holds,
        )
        for index, record in enumerate(records)
    )


def _states(journal: Journal, root: Path) -> list[StateRecord]:
    found = [
        state
        for study in journal.studies()
        for state in journal.states(study.id)
        if writing.is_done(root, state.id)
    ]
    return sorted(found, key=lambda record: record.id)


def _reference(journal: Journal, finding: FindingRecord, *, state: int) -> Reference:
    study = journal.study(finding.study_id)
    before = [e for e in journal.experiments(study.id) if e.id < finding.id]
    phases = {
        kind: list(_measured(journal, [e.id for e in before if e.kind == kind][-1:]))
        for kind in ("sweep", "open loop", SATURATED)
    }
    alone = [
        (m, u) for m, u in phases["sweep"] if isinstance(m.plan, ClosedLoop) and m.plan.users == 1
    ]
    if not alone or not phases["open loop"]:
        raise JournalError(
            "the baseline does not hold the loads that production is compared with",
            where=f"study {study.id}",
            way_out="measure it again: labcoat baseline",
        )
    requests = study.document["workload"]["requests"]
    errors, answered = _errors([m for m, _ in phases["open loop"] + phases[SATURATED]])
    return Reference(
        at=finding.at,
        state=state,
        routes=tuple(str(request["name"]) for request in requests),
        requests=tuple(requests),
        alone=_phase(alone),
        loaded=_phase(phases["open loop"]),
        saturation_per_s=float(finding.document["saturation"]["throughput_per_s"]["value"]),
        errors=errors,
        answered=answered,
        calls_cpu_s=tuple(
            route["call_cpu_s"] for route in finding.document["saturation"]["routes"]
        ),
    )


def _measured(journal: Journal, experiments: Sequence[str]) -> Iterator[tuple[Measurement, Usage]]:
    for experiment in experiments:
        for record in journal.trials(experiment):
            yield journal.measurement(record.id), journal.usage(record.id)


def _phase(measured: Sequence[tuple[Measurement, Usage]]) -> Phase:
    """Trials at one load, one after the other."""
    took, routes, cpu = [], [], []
    seconds = answered = 0.0
    for measurement, usage in measured:
        records = measurement.records
        counted = is_counted(measurement) & (records.done >= 0) & (records.sent >= 0)
        took.append((records.done - records.sent)[counted] / 1e9)
        routes.append(records.route[counted])
        seconds += measurement.window.measure_s or 0.0
        answered += float(counted.sum())
        served = int((records.status > 0).sum())
        used = [
            usage.layers_after[name].cpu_s - usage.layers_before[name].cpu_s
            for name in usage.layers_after
            if name in SERVER_NAMES
        ]
        if served and used and sum(used) > 0:
            cpu.append(sum(used) / served)
    return Phase(
        rate_per_s=answered / seconds if seconds else 0.0,
        took_s=np.concatenate(took),
        route=np.concatenate(routes),
        cpu_per_request_s=tuple(cpu),
    )


def _errors(measured: Sequence[Measurement]) -> tuple[int, int]:
    """Answers of 5xx, and answers."""
    statuses = np.concatenate([m.records.status[m.records.status > 0] for m in measured])
    return int((statuses >= 500).sum()), int(statuses.size)
