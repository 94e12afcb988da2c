"""The state machine of healing: one event, one moment, the new state and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from labcoat.watch.heal import attempts, escalation, lanes, partition, verifying
from labcoat.watch.heal.events import (
    Acknowledged,
    Contact,
    Event,
    Examined,
    Exited,
    Flapping,
    Lost,
    NeverStarted,
    NotRecorded,
    Paused,
    Recorded,
    Reset,
    Resumed,
    Sentinels,
    Tick,
)
from labcoat.watch.heal.intents import Escalate, Intent, Stepped
from labcoat.watch.heal.site import Site
from labcoat.watch.heal.starting import begin
from labcoat.watch.heal.state import IDLE, Fires, HealState, LaneKey
from labcoat.watch.model.moment import Moment
from labcoat.watch.model.runbook import Semantics


def step(site: Site, state: HealState, event: Event, now: Moment) -> Stepped:
    """The state after an event, and what the engine is asked to do, in order.

    Pure: the same arguments give the same answer. Events about attempts that ended, or
    that come twice, change nothing. Whoever waited for an attempt that ended is considered
    again at once.
    """
    stepped = answered(site, state, event, now)
    if len(stepped.state.attempts) < len(state.attempts) and stepped.state.waiting:
        return admitted(site, stepped, now)
    return stepped


def answered(  # noqa: PLR0911 - a closed match: one answer per event
    site: Site, state: HealState, event: Event, now: Moment
) -> Stepped:
    """The answer to one event."""
    match event:
        case Fires():
            return begin(site, pruned(site, state, now), event, now)
        case Recorded() | NotRecorded() | Exited() | Lost() | NeverStarted() | Examined():
            return about_attempt(state, event, now)
        case Tick():
            return ticked(state, now)
        case Contact() | Sentinels():
            return contacted(site, state, event, now)
        case Flapping():
            return flapped(state, event, now)
        case Reset():
            return Stepped(reset(state, event))
        case Paused():
            return Stepped(replace(state, pauses=(*state.pauses, event.pause)))
        case Resumed():
            kept = tuple(p for p in state.pauses if event.glob not in (None, p.glob))
            return Stepped(replace(state, pauses=kept))
        case Acknowledged():
            return Stepped(escalation.acknowledged(state, event.advice_id))
        case _:
            assert_never(event)


def about_attempt(  # noqa: PLR0911 - as answered
    state: HealState,
    event: Recorded | NotRecorded | Exited | Lost | NeverStarted | Examined,
    now: Moment,
) -> Stepped:
    """What happened to an attempt in flight."""
    attempt = state.attempts.get(event.attempt_id)
    if attempt is None:
        return Stepped(state)
    match event:
        case Recorded():
            return attempts.recorded(state, attempt, event, now)
        case NotRecorded() if attempt.phase not in attempts.UNSENT and (
            not attempts.is_rolling_back(attempt)
        ):
            return Stepped(state)  # it was sent: it is followed to its end, in memory
        case NotRecorded() | NeverStarted():
            return attempts.given_up(state, attempt, now)
        case Exited():
            return attempts.exited(state, attempt, event, now)
        case Lost():
            return attempts.lost(state, attempt, event.note, now)
        case Examined():
            if state.partition.frozen_since_s is not None:
                return Stepped(state)
            return verifying.examined(state, attempt, event.statuses, now)
        case _:
            assert_never(event)


def ticked(state: HealState, now: Moment) -> Stepped:
    """Windows that are over, verify rounds that are due, escalations to repeat."""
    intents: list[Intent] = []
    if state.partition.frozen_since_s is None:
        for id_ in tuple(state.attempts):
            stepped = verifying.passed(state, state.attempts[id_], now)
            state = stepped.state
            intents += stepped.intents
    state, repeated = escalation.repeated(state, now.elapsed_s)
    return Stepped(state, (*intents, *repeated))


def contacted(site: Site, state: HealState, event: Contact | Sentinels, now: Moment) -> Stepped:
    """A target or the sentinels; verifications begin anew when a partition is over."""
    was_frozen = state.partition.frozen_since_s is not None
    seen, alerts = partition.observed(state.partition, event, site.targets, now.elapsed_s)
    state = replace(state, partition=seen)
    if was_frozen and seen.frozen_since_s is None:
        again = {
            id_: verifying.restarted(attempt, now.elapsed_s)
            for id_, attempt in state.attempts.items()
        }
        state = replace(state, attempts=again)
    return Stepped(state, alerts)


def flapped(state: HealState, event: Flapping, now: Moment) -> Stepped:
    """Escalates for each action that names somebody to tell; compat runbooks do not."""
    runbook = event.runbook
    if not event.checks or runbook.semantics is not Semantics.LABCOAT:
        return Stepped(state)
    told: list[Escalate] = []
    for action in runbook.actions:
        if action.guards.escalate:
            key = LaneKey(runbook.path, event.target, action.name)
            reason = f"flapping: {', '.join(event.checks)}"
            state, escalate = escalation.escalated(state, key, action, reason, now.elapsed_s)
            told.append(escalate)
    return Stepped(state, tuple(told))


def reset(state: HealState, event: Reset) -> HealState:
    """The lane as new, except for an attempt in flight and its starts; its waves as new."""
    key = LaneKey(event.runbook, event.target, event.action)
    lane = state.lane(key)
    fresh = replace(IDLE, attempt=lane.attempt, starts_s=lane.starts_s)
    waves = {
        wave: value
        for wave, value in state.waves.items()
        if (wave.runbook, wave.action) != (event.runbook, event.action)
    }
    state = replace(state, lanes={**state.lanes, key: fresh}, waves=waves)
    return escalation.relieved(state, key)


def admitted(site: Site, stepped: Stepped, now: Moment) -> Stepped:
    """Those that waited, each considered again."""
    waiting = stepped.state.waiting
    state, intents = replace(stepped.state, waiting=()), list(stepped.intents)
    for fires in waiting:
        again = begin(site, state, fires, now)
        state = again.state
        intents += again.intents
    return Stepped(state, tuple(intents))


def pruned(site: Site, state: HealState, now: Moment) -> HealState:
    """Without starts and pauses that count no more."""
    starts = () if site.rate is None else lanes.within(state.starts_s, site.rate, now.elapsed_s)
    pauses = tuple(pause for pause in state.pauses if now.wall_s < pause.until_wall_s)
    if (starts, pauses) == (state.starts_s, state.pauses):
        return state
    return replace(state, starts_s=starts, pauses=pauses)


def wake_s(state: HealState) -> float | None:
    """The elapsed time of the next Tick that can change anything; None if none can."""
    times = [known.told_s + escalation.AGAIN_S for known in state.escalations.values()]
    if state.partition.frozen_since_s is None:
        for attempt in state.attempts.values():
            if attempt.verify is None or not verifying.is_waiting(attempt):
                continue
            if attempt.examine_s is not None:
                times.append(attempt.examine_s)
            if attempt.since_s is not None:
                times.append(attempt.since_s + attempt.verify.window_s)
    return min(times, default=None)
