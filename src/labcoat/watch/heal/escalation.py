"""Telling people, hourly until they acknowledge it or it is cured."""

from __future__ import annotations

from dataclasses import replace

from labcoat.watch.heal.advice import advice_id
from labcoat.watch.heal.intents import Escalate
from labcoat.watch.heal.state import Escalation, HealState, LaneKey
from labcoat.watch.model.runbook import Action

AGAIN_S = 3600.0


def escalated(
    state: HealState, key: LaneKey, action: Action, reason: str, now_s: float
) -> tuple[HealState, Escalate]:
    """Tell now, and remember to tell again."""
    known = state.escalations.get(key)
    escalation = Escalation(
        id=advice_id(key.runbook, key.action, key.target, action.body),
        reason=reason,
        actions=action.guards.escalate,
        since_s=now_s if known is None else known.since_s,
        told_s=now_s,
    )
    state = replace(state, escalations={**state.escalations, key: escalation})
    return state, told(key, escalation)


def told(key: LaneKey, escalation: Escalation) -> Escalate:
    return Escalate(id=escalation.id, key=key, actions=escalation.actions, reason=escalation.reason)


def relieved(state: HealState, key: LaneKey) -> HealState:
    """Nothing to tell any more: it was cured, or somebody reset it."""
    if key not in state.escalations:
        return state
    kept = {other: value for other, value in state.escalations.items() if other != key}
    return replace(state, escalations=kept)


def repeated(state: HealState, now_s: float) -> tuple[HealState, tuple[Escalate, ...]]:
    """Those that were last told an hour ago."""
    due = {
        key: replace(escalation, told_s=now_s)
        for key, escalation in state.escalations.items()
        if now_s - escalation.told_s >= AGAIN_S
    }
    if not due:
        return state, ()
    state = replace(state, escalations={**state.escalations, **due})
    return state, tuple(told(key, escalation) for key, escalation in due.items())


def acknowledged(state: HealState, id_: str) -> HealState:
    """Hide the advice of this id, and end the telling of its escalation."""
    kept = {key: value for key, value in state.escalations.items() if value.id != id_}
    return replace(state, hidden=state.hidden | {id_}, escalations=kept)
