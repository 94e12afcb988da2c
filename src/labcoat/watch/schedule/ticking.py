"""What is due now, and clocks that jump."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from labcoat.watch.model.moment import Moment
from labcoat.watch.model.schedule import Cron
from labcoat.watch.schedule.slots import next_slot

JUMP_S = 2.0  # adjustments below this are the daily work of NTP
_COUNTED = 100


@dataclass(frozen=True, slots=True)
class Planned:
    """The next round of a runbook on a target. Wall seconds: its slot, and slot + offset."""

    slot_s: float
    due_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """What a look at the clock says.

    ``due``: the round to make now, None if none. ``planned``: what comes next. ``skipped``:
    slots that passed without a round (at most 100 are counted); they are not made up for.
    """

    planned: Planned | None
    due: Planned | None = None
    skipped: int = 0


def plan(cron: Cron, offset_s: float, wall_s: float) -> Planned | None:
    """The first round that is due after an instant. None: the cron is never due again."""
    slot = next_slot(cron, datetime.fromtimestamp(wall_s - offset_s, UTC))
    if slot is None:
        return None
    return Planned(slot.timestamp(), slot.timestamp() + offset_s)


def jump_s(before: Moment, now: Moment) -> float | None:
    """By how much the wall clock was set between two moments of one boot; None if it was not."""
    if before.boot_id != now.boot_id:
        return None
    shift_s = (now.wall_s - before.wall_s) - (now.elapsed_s - before.elapsed_s)
    return shift_s if abs(shift_s) > JUMP_S else None


def tick(cron: Cron, offset_s: float, planned: Planned, before: Moment, now: Moment) -> Ticked:
    """One look at the clock: at most one round, however long the time since the last look.

    ``before``: the moment of the last look. A clock put forward makes one round of all
    slots that it jumped over; one put back plans anew, so that nothing waits for the time
    to come a second time.
    """
    shift_s = jump_s(before, now)
    if shift_s is not None and shift_s < 0:
        return Ticked(planned=plan(cron, offset_s, now.wall_s))
    if now.wall_s < planned.due_s:
        return Ticked(planned=planned)
    following = plan(cron, offset_s, now.wall_s)
    skipped, passed = 0, plan(cron, offset_s, planned.due_s)
    while passed is not None and passed.due_s <= now.wall_s and skipped < _COUNTED:
        skipped += 1
        passed = plan(cron, offset_s, passed.due_s)
    return Ticked(planned=following, due=planned, skipped=skipped)
