"""A runbook on a target in words: when it is due, what calls for its actions, what holds them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from labcoat.watch.decide.standing import Standing
from labcoat.watch.model.guards import Guards
from labcoat.watch.model.runbook import Action, Body, Place, Plugin, Runbook, Semantics
from labcoat.watch.schedule.slots import slots
from labcoat.watch.schedule.spread import key_of, offset_s

SLOTS = 5


def explained(
    runbook: Runbook, target: str, wall_s: float, *, standing: Standing | None = None
) -> Iterator[str]:
    """Line by line. ``standing``: what is remembered, if anything is."""
    yield f"{runbook.name} ({runbook.file}) on {target}, semantics {runbook.semantics.value}"
    yield from due(runbook, target, wall_s)
    for check in runbook.checks:
        last = None if standing is None else standing.last.get(check.name)
        said = "" if last is None else f"; last {last.name}"
        yield f"check {check.name}: {told(check.body)}{said}"
    for action in runbook.actions:
        yield from of_action(runbook, action, standing)


def due(runbook: Runbook, target: str, wall_s: float) -> Iterator[str]:
    """The next slots in the schedule's own time, and how far after them the rounds are."""
    zone = None if runbook.schedule.timezone is None else ZoneInfo(runbook.schedule.timezone)
    found = islice(slots(runbook.schedule, datetime.fromtimestamp(wall_s, UTC)), SLOTS)
    times = [slot.astimezone(zone).strftime("%a %d %b %H:%M:%S %Z") for slot in found]
    late_s = offset_s(runbook.schedule, key_of(runbook.path, target), runbook.spread_s)
    yield f"due {runbook.schedule.text}, {late_s:.1f} s after each slot (spread)"
    yield from (f"  {time}" for time in times)


def of_action(runbook: Runbook, action: Action, standing: Standing | None) -> Iterator[str]:
    """One action: what it does, when, and what stands around it."""
    yield f"action {action.name}: {told(action.body)}"
    yield from (f"  {text}" for text in rules(runbook, action))
    if standing is not None:
        yield f"  now: {remembered(runbook, action, standing)}"
    if runbook.semantics is Semantics.LABCOAT:
        yield from (f"  {text}" for text in around(action.guards))
    if action.rollback is not None:
        yield f"  else rolled back: {told(action.rollback)}"


def told(body: Body) -> str:
    """What runs where; secrets are placeholders."""
    where = body.host if body.place is Place.HOST else body.place.value
    what = body.what
    text = f"plugin {what.path} {what.args}".rstrip() if isinstance(what, Plugin) else what.cmd
    by = ", by sudo" if body.become else ""
    return f"on {where}{by}, at most {body.timeout_s:g} s: {text.strip()}"


def rules(runbook: Runbook, action: Action) -> Iterator[str]:
    """When it is called for."""
    statuses = ", ".join(status.name for status in sorted(action.call_on))
    if action.guards.manual:
        yield "starts only by an escalation or by watch apply"
    if runbook.semantics is Semantics.COMPAT:
        yield f"when one of {statuses} counts {action.trigger}, and no check says anything else"
        yield f"not within {action.frequency_s:g} s of its last success"
        if action.run_once:
            yield "never again after a success (run_once)"
        return
    checks = ", ".join(action.checks or [check.name for check in runbook.checks])
    needed = max(1, action.trigger)
    yield f"when {action.match.value} of {checks} was {statuses} for {needed} rounds in a row"
    yield f"not within {action.frequency_s:g} s of its last start"
    if action.run_once:
        yield "once, until a round is all OK (run_once)"
    if action.on_recovery:
        yield "once per recovery (on_recovery)"
    if action.after is not None:
        yield f"only after {action.after} failed to cure this incident"


def remembered(runbook: Runbook, action: Action, standing: Standing) -> str:
    """Counters or streaks as they are."""
    if runbook.semantics is Semantics.COMPAT:
        counts = [f"{s.name} {standing.counts.get(s, 0)}" for s in sorted(action.call_on)]
        return f"counters {', '.join(counts)}"
    names = action.checks or tuple(check.name for check in runbook.checks)
    return "streaks " + ", ".join(
        f"{name} {standing.streaks.get((action.name, name), 0)}" for name in names
    )


def around(guards: Guards) -> Iterator[str]:
    """What verifies it, and what may hold it."""
    if guards.verify is not None:
        verify = guards.verify
        yield (
            f"cured by {verify.ok} all-OK rounds in a row, from {verify.delay_s:g} s after its end,"
            f" every {verify.every_s:g} s, within {verify.window_s:g} s"
        )
    if guards.cooldown_s:
        yield f"rests {guards.cooldown_s:g} s after an attempt, doubled per failure"
    if guards.rate is not None:
        yield f"at most {guards.rate.count} starts within {guards.rate.period_s:g} s"
    if guards.breaker is not None:
        yield (
            f"ceases after {guards.breaker.failures} failures in a row,"
            f" tries again after {guards.breaker.reset_s:g} s"
        )
    most = guards.rolling.max_count
    share = f"{guards.rolling.max_ratio:.0%}" if most is None else str(most)
    first = f", {guards.rolling.canary} first alone" if guards.rolling.canary else ""
    yield f"on at most {share} of its group at once{first}"
    if guards.escalate:
        yield f"tells by {', '.join(guards.escalate)} when it does not help"
