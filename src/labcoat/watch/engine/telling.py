"""Entries of the journal, made from what the pure rooms say."""

from __future__ import annotations

from typing import Any

from labcoat.watch.decide.decision import Decision
from labcoat.watch.engine.observing import Observation
from labcoat.watch.heal.state import Attempt, LaneKey, Phase
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.model.status import Status
from labcoat.watch.record.entry import Entry, Kind


def round_entry(
    runbook: Runbook, target: str, observation: Observation, *, at_s: float, lateness_s: float
) -> Entry:
    """A round: each check's status, reason and first line."""
    told = {said.check: said for said in observation.said}
    results: dict[str, Any] = {}
    for result in observation.round.results:
        row: dict[str, Any] = {"status": result.status.name}
        if result.reason is not None:
            row["reason"] = result.reason
        if result.status is not Status.OK:
            row["text"] = told[result.check].text
        row["took_s"] = round(told[result.check].elapsed_s, 4)
        results[result.check] = row
    body: dict[str, Any] = {"results": results, "late_s": round(lateness_s, 4)}
    if observation.round.unreachable:
        body["unreachable"] = True
    return Entry(kind=Kind.ROUND, at_s=at_s, target=target, runbook=runbook.path, body=body)


def decision_entry(runbook: Runbook, target: str, decision: Decision, *, at_s: float) -> Entry:
    """An action that was called for, with every condition and its numbers."""
    return Entry(
        kind=Kind.DECISION,
        at_s=at_s,
        target=target,
        runbook=runbook.path,
        body={
            "action": decision.action,
            "fires": decision.fires,
            "held": decision.held,
            "sha256": runbook.sha256,
            "conditions": [
                {"name": condition.name, "holds": condition.holds, "text": condition.text}
                for condition in decision.conditions
            ],
        },
    )


def attempt_entry(
    attempt: Attempt, phase: Phase, *, at_s: float, boot_id: str | None = None
) -> Entry:
    """An attempt that reached a phase."""
    body: dict[str, Any] = {
        "action": attempt.key.action,
        "phase": phase.value,
        "cause": attempt.cause.value,
        "sha256": attempt.sha256,
    }
    if boot_id is not None:
        body["boot_id"] = boot_id
    if attempt.action.body.host is not None:
        body["host"] = attempt.action.body.host
    if attempt.before and phase is Phase.INTENT:
        body["before"] = {check: status.name for check, status in attempt.before.items()}
    if attempt.status is not None:
        body["status"] = attempt.status
    if attempt.note is not None:
        body["note"] = attempt.note
    if attempt.outcome is not None:
        body["outcome"] = attempt.outcome.value
    if attempt.restored is not None:
        body["restored"] = attempt.restored.value
    return _about(Kind.ATTEMPT, attempt.key, attempt.id, body, at_s)


def verdict_entry(attempt: Attempt, outcome: Outcome, *, at_s: float) -> Entry:
    """How an attempt ended."""
    body = {"action": attempt.key.action, "outcome": outcome.value, "note": attempt.note}
    return _about(Kind.VERDICT, attempt.key, attempt.id, body, at_s)


def lane_entry(kind: Kind, key: LaneKey, subject: str, *, at_s: float, **body: Any) -> Entry:
    """Something about one action on one target."""
    return _about(kind, key, subject, {"action": key.action, **body}, at_s)


def _about(kind: Kind, key: LaneKey, subject: str, body: dict[str, Any], at_s: float) -> Entry:
    return Entry(
        kind=kind,
        at_s=at_s,
        target=key.target,
        runbook=key.runbook,
        subject=subject,
        body=body,
    )
