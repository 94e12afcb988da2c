"""May an action start now? The guards in order; the first that holds is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from labcoat.watch.heal import lanes, rolling
from labcoat.watch.heal.advice import advice_id
from labcoat.watch.heal.intents import Advise, Hold, Record, Stepped
from labcoat.watch.heal.lanes import Held
from labcoat.watch.heal.maintenance import paused_now, quiet_now
from labcoat.watch.heal.site import Site
from labcoat.watch.heal.state import (
    Attempt,
    BreakerState,
    Cause,
    Fires,
    HealState,
    LaneKey,
    Phase,
    WaveKey,
)
from labcoat.watch.model.moment import Moment
from labcoat.watch.model.runbook import Action, Mode, Place, Semantics

BUSY = "busy"


def begin(site: Site, state: HealState, fires: Fires, now: Moment) -> Stepped:
    """An attempt begun, or the guard that holds, or an advice.

    What people asked for (``apply``) passes mode, flapping, breaker and cooldown; an
    escalation passes all but the mode, for people must be told.
    """
    key, action = fires.key, fires.runbook.action(fires.action)
    held = next(guards_of_site(site, state, fires, now), None)
    if held is None and is_only_advised(site, fires):
        id_ = advice_id(key.runbook, key.action, key.target, action.body)
        return Stepped(state, (Advise(id=id_, key=key, hidden=id_ in state.hidden),))
    if held is None:
        held = next(guards_of_lane(site, state, fires, now), None)
    if held is None:
        return start(site, state, fires, action, now)
    hold = Hold(key=key, guard=held.guard, text=held.text, until_s=held.until_s)
    if held.guard == BUSY and fires.runbook.semantics is Semantics.COMPAT:
        others = tuple(waiting for waiting in state.waiting if waiting.key != key)
        return Stepped(replace(state, waiting=(*others, fires)), (hold,))
    return Stepped(state, (hold,))


def is_only_advised(site: Site, fires: Fires) -> bool:
    mode = site.mode_of(fires.runbook, fires.target)
    return mode is Mode.ADVISE and fires.cause is not Cause.ASKED


def guards_of_site(site: Site, state: HealState, fires: Fires, now: Moment) -> Iterator[Held]:
    """What holds whatever the lane's past."""
    lane = state.lane(fires.key)
    if lane.attempt is not None:
        yield Held(guard="in-flight", text=f"attempt {lane.attempt} has not ended")
    if fires.cause is Cause.ESCALATION:
        return
    if state.partition.frozen_since_s is not None:
        yield Held(guard="partition", text="too many targets do not answer: probably our fault")
    pause = paused_now(state.pauses, fires.target, now.wall_s)
    if pause is not None:
        yield Held(guard="pause", text=f"paused by {pause.who}: {pause.reason}")
    quiet = quiet_now(site, fires.target, now.wall_s)
    if quiet is not None:
        yield Held(guard="maintenance", text=f"a maintenance window says {quiet.value}")


def guards_of_lane(site: Site, state: HealState, fires: Fires, now: Moment) -> Iterator[Held]:
    """What the past of this action, and others at work, say."""
    if fires.cause is Cause.ESCALATION:
        return
    action = fires.runbook.action(fires.action)
    if fires.runbook.semantics is Semantics.LABCOAT:
        yield from guards_of_labcoat(site, state, fires, action, now.elapsed_s)
    yield from busy(state, fires.key, action)
    if occupies_target(action):
        yield from some(rolling.held_by_group(site, state, fires.runbook, fires.target, action))


def guards_of_labcoat(
    site: Site, state: HealState, fires: Fires, action: Action, now_s: float
) -> Iterator[Held]:
    """What compat runbooks are spared."""
    lane, guards = state.lane(fires.key), action.guards
    if fires.cause is Cause.DECISION:
        if fires.flapping:
            yield Held(guard="flapping", text=f"changes its mind: {', '.join(fires.flapping)}")
        yield from some(lanes.held_by_breaker(lane, now_s))
        yield from some(lanes.held_by_cooldown(lane, now_s))
    yield from some(lanes.held_by_rate(lane.starts_s, guards.rate, now_s))
    yield from some(lanes.held_by_rate(state.starts_s, site.rate, now_s))
    if rolling.needs_canary(site, fires.runbook, action):
        wave = WaveKey(fires.runbook.path, action.name, fires.runbook.group)
        yield from some(rolling.held_by_canary(state, wave, action, now_s))


def some(held: Held | None) -> Iterator[Held]:
    if held is not None:
        yield held


def busy(state: HealState, key: LaneKey, action: Action) -> Iterator[Held]:
    """One action at a time per target and per named host."""
    body = action.body
    for attempt in state.attempts.values():
        same_target = attempt.key.target == key.target and attempt.occupies_target
        if same_target and occupies_target(action):
            yield Held(guard=BUSY, text=f"{attempt.key.action} is at work on {key.target}")
        elif body.place is Place.HOST and body.host == attempt.action.body.host:
            yield Held(guard=BUSY, text=f"{attempt.key.action} is at work on {body.host}")


def occupies_target(action: Action) -> bool:
    """As ``Attempt.occupies_target``, before there is an attempt."""
    return action.guards.verify is not None or action.body.place is Place.TARGET


def start(site: Site, state: HealState, fires: Fires, action: Action, now: Moment) -> Stepped:
    """The attempt, and the order to commit its INTENT."""
    key, now_s, lane = fires.key, now.elapsed_s, state.lane(fires.key)
    wave = WaveKey(key.runbook, key.action, fires.runbook.group)
    heals = fires.cause is not Cause.ESCALATION
    is_trial = heals and lane.breaker in (BreakerState.OPEN, BreakerState.HALF_OPEN)
    first = (
        heals
        and rolling.needs_canary(site, fires.runbook, action)
        and rolling.is_canary(state, wave, action, now_s)
    )
    attempt = Attempt(
        id=fires.attempt_id,
        key=key,
        action=action,
        semantics=fires.runbook.semantics,
        sha256=fires.runbook.sha256,
        group=fires.runbook.group,
        cause=fires.cause,
        phase=Phase.DECIDED,
        decided_s=now_s,
        before=fires.before,
        is_canary=first,
        is_trial=is_trial,
    )
    lane = replace(
        lane,
        attempt=attempt.id,
        breaker=BreakerState.HALF_OPEN if is_trial else lane.breaker,
    )
    if heals and attempt.semantics is Semantics.LABCOAT:
        rate = action.guards.rate
        kept = () if rate is None else lanes.within(lane.starts_s, rate, now_s)
        lane = replace(lane, starts_s=(*kept, now_s))
        state = replace(state, starts_s=(*state.starts_s, now_s))
    state = replace(
        state,
        lanes={**state.lanes, key: lane},
        attempts={**state.attempts, attempt.id: attempt},
    )
    return Stepped(state, (Record(replace(attempt, phase=Phase.INTENT), Phase.INTENT),))
