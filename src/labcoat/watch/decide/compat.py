"""Automatron's own arithmetic, as its actioning.py does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from labcoat.watch.decide.decision import Condition
from labcoat.watch.decide.standing import Standing
from labcoat.watch.model.rounds import Round
from labcoat.watch.model.runbook import Action
from labcoat.watch.model.status import Status


def counted(counts: Mapping[Status, int], round_: Round) -> Mapping[Status, int]:
    """Each result adds 1 to its status; a status that nobody returned goes to 0."""
    statuses = [result.status for result in round_.results]
    return {
        status: counts.get(status, 0) + statuses.count(status)
        for status in Status
        if status in statuses
    }


def observe(standing: Standing, round_: Round) -> Standing:
    """The counters after a round that was not lost."""
    return replace(standing, counts=counted(standing.counts, round_))


def conditions(action: Action, standing: Standing, round_: Round) -> Iterator[Condition]:
    """The five conditions of an action, in Automatron's order.

    ``trigger`` 0 is the same as 1: the third condition sees to it that one of call_on's
    counters is at least 1.
    """
    counts = {status: standing.counts.get(status, 0) for status in sorted(action.call_on)}
    told = ", ".join(f"{status.name} {count}" for status, count in counts.items())
    yield Condition(
        "trigger",
        any(count >= action.trigger for count in counts.values()),
        f"a counter of call_on ({told}) >= {action.trigger}",
    )
    last = standing.memory(action.name).last_success_s
    yield frequency(action.frequency_s, last, round_, "success")
    others = [r.check for r in round_.results if r.status not in action.call_on]
    yield Condition(
        "call_on",
        not others,
        f"every check in call_on; not so: {', '.join(others)}" if others else "every check in it",
    )
    if action.run_once:
        yield Condition("run_once", last is None, "it never succeeded before")


def frequency(frequency_s: float, last_s: float | None, round_: Round, event: str) -> Condition:
    """Whether enough time has passed since the last start or success."""
    if last_s is None:
        return Condition("frequency", True, f"no {event} before")
    passed_s = round_.elapsed_s - last_s
    text = f"{passed_s:.0f} s since the last {event} >= {frequency_s:g} s"
    return Condition("frequency", passed_s >= frequency_s, text)
