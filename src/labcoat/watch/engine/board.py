"""What the watch at work tells of itself, small enough to be kept every few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labcoat.watch.engine.healing import Healer
from labcoat.watch.engine.ledger import Ledger
from labcoat.watch.engine.meters import Meters
from labcoat.watch.heal.advice import advice_id
from labcoat.watch.heal.state import BreakerState, LaneKey

BOARD = "board"
MOST = 500  # of each list; there are counts beside them


def board(
    ledger: Ledger,
    healer: Healer,
    meters: Meters,
    *,
    lost: tuple[str, ...],
    findings: Mapping[str, object],
    pid: int,
) -> dict[str, Any]:
    """The present, without the statuses: those are the standings'."""
    now = healer.clock.now()
    state = healer.state
    open_lanes = [
        {
            **_lane(ledger, key),
            "breaker": lane.breaker.value,
            "failures": lane.failures,
            "retry_in_s": None if lane.retry_s is None else round(lane.retry_s - now.elapsed_s),
        }
        for key, lane in state.lanes.items()
        if lane.breaker is not BreakerState.CLOSED
    ]
    return {
        "pid": pid,
        "at_s": now.wall_s,
        "targets": len(ledger.targets),
        "names": {path: runbook.name for (path, _), runbook in ledger.runbooks.items()},
        "degraded": None if healer.recorder.trouble is None else healer.recorder.trouble.what,
        "lateness": meters.document(),
        "outcomes": dict(healer.outcomes),
        "unreachable": list(lost[:MOST]),
        "unreachable_count": len(lost),
        "findings": sorted(findings)[:MOST],
        "advice": [
            {"id": id_, "target": key.target, "runbook": key.runbook, "action": key.action}
            for id_, key in list(healer.advised.items())[:MOST]
            if id_ not in state.hidden
        ],
        "breakers": open_lanes[:MOST],
        "attempts": [
            {
                "id": attempt.id,
                "target": attempt.key.target,
                "runbook": attempt.key.runbook,
                "action": attempt.key.action,
                "phase": attempt.phase.value,
            }
            for attempt in list(state.attempts.values())[:MOST]
        ],
        "escalations": [
            {**_lane(ledger, key), "reason": escalation.reason}
            for key, escalation in list(state.escalations.items())[:MOST]
        ],
        "pauses": [
            {"glob": p.glob, "until_s": p.until_wall_s, "reason": p.reason, "by": p.who}
            for p in state.pauses
        ],
        "frozen": state.partition.frozen_since_s is not None,
    }


def _lane(ledger: Ledger, key: LaneKey) -> dict[str, Any]:
    """A lane with the id that ``reset`` and ``ack`` know it by."""
    runbook = ledger.runbooks.get((key.runbook, key.target))
    body = None
    if runbook is not None:
        body = next((a.body for a in runbook.actions if a.name == key.action), None)
    return {
        "id": None if body is None else advice_id(key.runbook, key.action, key.target, body),
        "target": key.target,
        "runbook": key.runbook,
        "action": key.action,
    }
