"""Groups of targets: how many at once, and a canary first."""

from __future__ import annotations

from dataclasses import replace

from labcoat.watch.heal.lanes import Held
from labcoat.watch.heal.site import Site
from labcoat.watch.heal.state import Attempt, Cause, HealState, Wave, WaveKey
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.runbook import Action, Runbook

WAVE_REST_S = 3600.0  # a wave without a start or an end for so long is over
STOP_S = 1800.0  # how long a failed canary stops its group, where there is no breaker


def held_by_group(
    site: Site, state: HealState, runbook: Runbook, target: str, action: Action
) -> Held | None:
    """Enough targets of the group are between INTENT and verdict already."""
    others = {
        attempt.key.target
        for attempt in state.attempts.values()
        if attempt.group == runbook.group and attempt.occupies_target
    } - {target}
    size = site.group_sizes.get(runbook.group, 1)
    allowed = action.guards.rolling.allowed(size)
    if len(others) < allowed:
        return None
    named = ", ".join(sorted(others)[:3]) + (", …" if len(others) > 3 else "")
    text = f"{len(others)} of {size} targets of {runbook.group} are in work ({named})"
    return Held(guard="rolling", text=text)


def needs_canary(site: Site, runbook: Runbook, action: Action) -> bool:
    """Whether a cure must first be shown on one target of the group alone."""
    guards = action.guards
    return (
        guards.rolling.canary > 0
        and guards.verify is not None
        and site.group_sizes.get(runbook.group, 1) > 1
    )


def held_by_canary(state: HealState, key: WaveKey, action: Action, now_s: float) -> Held | None:
    """The canary is at work, or was not cured."""
    wave = current_wave(state, key, now_s)
    if wave.stopped_until_s is not None and now_s < wave.stopped_until_s:
        text = "a canary of this group was not cured"
        return Held(guard="canary", text=text, until_s=wave.stopped_until_s)
    if wave.cured < action.guards.rolling.canary:
        for attempt in state.attempts.values():
            if wave_key(attempt) == key:
                return Held(guard="canary", text=f"{attempt.key.target} goes first")
    return None


def is_canary(state: HealState, key: WaveKey, action: Action, now_s: float) -> bool:
    return current_wave(state, key, now_s).cured < action.guards.rolling.canary


def wave_key(attempt: Attempt) -> WaveKey:
    return WaveKey(attempt.key.runbook, attempt.key.action, attempt.group)


def current_wave(state: HealState, key: WaveKey, now_s: float) -> Wave:
    """The group's wave, or a new one where the last is over."""
    wave = state.waves.get(key)
    if wave is None:
        return Wave(last_s=now_s)
    if wave.stopped_until_s is not None:
        over = now_s >= wave.stopped_until_s
    else:
        busy = any(wave_key(attempt) == key for attempt in state.attempts.values())
        over = not busy and now_s - wave.last_s >= WAVE_REST_S
    return Wave(last_s=now_s) if over else wave


def after(state: HealState, attempt: Attempt, outcome: Outcome, now_s: float) -> HealState:
    """The wave at the end of an attempt: a cured canary opens it, another one stops it."""
    if attempt.cause is Cause.ESCALATION or attempt.verify is None:
        return state
    key = wave_key(attempt)
    wave = replace(current_wave(state, key, now_s), last_s=now_s)
    if attempt.is_canary and outcome is Outcome.CURED:
        wave = replace(wave, cured=wave.cured + 1)
    elif attempt.is_canary and outcome.is_failure:
        breaker = attempt.action.guards.breaker
        wave = replace(wave, stopped_until_s=now_s + (breaker.reset_s if breaker else STOP_S))
    return replace(state, waves={**state.waves, key: wave})
