"""What the journal keeps of an earlier watch, brought onto the clock of this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labcoat.watch.decide import stored as standings
from labcoat.watch.decide.standing import Standing
from labcoat.watch.heal import stored as heals
from labcoat.watch.heal.state import EMPTY, HealState
from labcoat.watch.model.moment import Moment, span_s
from labcoat.watch.record.journal import Key, WatchJournal

CLOCK = "clock"
HEAL = "heal"
FACTS = "(facts)"  # under this in the place of a runbook's path: no runbook is called so
LONGEST_S = 30 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Healing, standings and facts, as they were."""

    state: HealState = EMPTY
    standings: Mapping[Key, Standing] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def restored(journal: WatchJournal, now: Moment) -> Kept:
    """Read what there is.

    Elapsed times belong to a boot: after a reboot they are moved so that as much time has
    passed as the wall clock says, within reason.
    """
    shift_s = _shift_s(journal.document(CLOCK), now)
    healed = journal.document(HEAL)
    known: dict[Key, Standing] = {}
    facts: dict[str, Mapping[str, Any]] = {}
    for (path, target), body in journal.standings().items():
        if path == FACTS:
            facts[target] = body
        else:
            standing = standings.from_document(body)
            known[path, target] = standings.shifted(standing, shift_s)
    return Kept(
        state=EMPTY if healed is None else heals.shifted(heals.from_document(healed), shift_s),
        standings=known,
        facts=facts,
    )


def clock_document(now: Moment) -> dict[str, Any]:
    """A moment, as it is kept."""
    return {"boot_id": now.boot_id, "elapsed_s": now.elapsed_s, "wall_s": now.wall_s}


def _shift_s(kept: Mapping[str, Any] | None, now: Moment) -> float:
    """What to add to elapsed seconds of the watch before."""
    if kept is None or kept["boot_id"] == now.boot_id:
        return 0.0
    before = Moment(elapsed_s=kept["elapsed_s"], wall_s=kept["wall_s"], boot_id=kept["boot_id"])
    passed_s = span_s(before, now, cap_s=LONGEST_S)
    return now.elapsed_s - (before.elapsed_s + passed_s)
