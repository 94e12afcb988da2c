"""One action on one target: cooldown, rate, breaker."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labcoat.watch.heal.state import Attempt, BreakerState, Lane
from labcoat.watch.model.guards import Breaker, Guards, Rate
from labcoat.watch.model.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A guard that holds. ``until_s``: elapsed seconds; None where nobody can say."""

    guard: str
    text: str
    until_s: float | None = None


def held_by_breaker(lane: Lane, now_s: float) -> Held | None:
    """An OPEN breaker holds until its reset, then lets one trial through."""
    if lane.breaker is BreakerState.MANUAL:
        return Held(guard="breaker", text="open until somebody resets it: labcoat watch reset")
    if lane.breaker is BreakerState.OPEN and lane.retry_s is not None and now_s < lane.retry_s:
        text = f"open after {lane.failures} failures in a row"
        return Held(guard="breaker", text=text, until_s=lane.retry_s)
    return None


def held_by_cooldown(lane: Lane, now_s: float) -> Held | None:
    """A pause after every attempt; a breaker's trial does not wait for it."""
    until_s = lane.resting_until_s
    if lane.breaker is not BreakerState.CLOSED or until_s is None or now_s >= until_s:
        return None
    text = f"{lane.failures} failures in a row" if lane.failures else "after an attempt"
    return Held(guard="cooldown", text=text, until_s=until_s)


def held_by_rate(starts_s: tuple[float, ...], rate: Rate | None, now_s: float) -> Held | None:
    """At most so many starts in any period."""
    if rate is None:
        return None
    recent = within(starts_s, rate, now_s)
    if len(recent) < rate.count:
        return None
    text = f"{len(recent)} starts within {rate.period_s:g} s"
    return Held(guard="rate", text=text, until_s=recent[-rate.count] + rate.period_s)


def within(starts_s: tuple[float, ...], rate: Rate, now_s: float) -> tuple[float, ...]:
    """The starts that still count."""
    return tuple(start_s for start_s in starts_s if now_s - start_s < rate.period_s)


def after(lane: Lane, attempt: Attempt, outcome: Outcome, now_s: float) -> Lane:
    """The lane at the end of an attempt."""
    idle = replace(lane, attempt=None)
    if outcome is Outcome.NEVER_STARTED:
        return idle
    guards = attempt.action.guards
    failures = lane.failures + 1 if outcome.is_failure else 0
    rested = replace(idle, failures=failures, resting_until_s=now_s + cooldown_s(guards, failures))
    if not outcome.is_failure:
        return replace(rested, breaker=BreakerState.CLOSED, retry_s=None, trials=0)
    if guards.breaker is None:
        return rested
    return failed(rested, guards.breaker, now_s, is_trial=attempt.is_trial)


def failed(lane: Lane, breaker: Breaker, now_s: float, *, is_trial: bool) -> Lane:
    """The breaker after a failure: opens at the limit, or again after a trial."""
    if lane.breaker is BreakerState.MANUAL:
        return lane  # somebody asked for this attempt; it is theirs to reset
    trials = lane.trials + 1 if is_trial else lane.trials
    if is_trial and trials >= breaker.trials:
        return replace(lane, breaker=BreakerState.MANUAL, retry_s=None, trials=trials)
    if not is_trial and lane.failures < breaker.failures:
        return lane
    if breaker.trials == 0:
        return replace(lane, breaker=BreakerState.MANUAL, retry_s=None)
    retry_s = now_s + breaker.reset_s
    return replace(lane, breaker=BreakerState.OPEN, retry_s=retry_s, trials=trials)


def cooldown_s(guards: Guards, failures: int) -> float:
    """Doubled per failure after the first, up to the cap."""
    doubled = guards.cooldown_s * 2.0 ** min(max(0, failures - 1), 30)
    return min(doubled, max(guards.cooldown_s, guards.cooldown_cap_s))
