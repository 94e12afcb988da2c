"""``semantics: labcoat``: streaks per check, and time since the last start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from labcoat.watch.decide.compat import frequency
from labcoat.watch.decide.decision import Condition
from labcoat.watch.decide.standing import Memory, Standing
from labcoat.watch.model.rounds import Result, Round
from labcoat.watch.model.runbook import Action, Match, Runbook
from labcoat.watch.model.status import Status


def observe(runbook: Runbook, standing: Standing, round_: Round) -> Standing:
    """Streaks and memories after a round."""
    streaks = {
        (action.name, result.check): standing.streaks.get((action.name, result.check), 0) + 1
        for action in runbook.actions
        for result in relevant(action, round_)
        if result.status in action.call_on
    }
    memories = {
        action.name: remembered(action, standing.memory(action.name), round_)
        for action in runbook.actions
    }
    return replace(standing, streaks=streaks, memories=memories)


def remembered(action: Action, memory: Memory, round_: Round) -> Memory:
    """An all-OK round arms ``run_once`` again and ends the incident that ``after`` looks at."""
    well = round_.is_all_ok
    ill = any(result.status is not Status.OK for result in relevant(action, round_))
    return replace(
        memory,
        spent=memory.spent and not well,
        failed=memory.failed and not well,
        recovering=memory.recovering or ill,
    )


def relevant(action: Action, round_: Round) -> tuple[Result, ...]:
    """The results of the checks that the action looks at."""
    return tuple(r for r in round_.results if not action.checks or r.check in action.checks)


def conditions(action: Action, standing: Standing, round_: Round) -> Iterator[Condition]:
    """Every condition of an action. The streaks already contain this round."""
    needed = max(1, action.trigger)
    streaks = {
        r.check: standing.streaks.get((action.name, r.check), 0) for r in relevant(action, round_)
    }
    quantify = all if action.match is Match.ALL else any
    told = ", ".join(f"{check} {streak}" for check, streak in streaks.items())
    yield Condition(
        "trigger",
        bool(streaks) and quantify(streak >= needed for streak in streaks.values()),
        f"{action.match.value} streak ({told}) >= {needed}",
    )
    memory = standing.memory(action.name)
    yield frequency(action.frequency_s, memory.last_start_s, round_, "start")
    if action.run_once:
        yield Condition("run_once", not memory.spent, "armed: not started since all was OK")
    if action.on_recovery:
        yield Condition(
            "on_recovery", memory.recovering, "something was not OK since it last started"
        )
    if action.after is not None:
        failed = standing.memory(action.after).failed
        yield Condition("after", failed, f"{action.after} failed to cure this incident")
