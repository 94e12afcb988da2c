"""How often a check changes its mind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from labcoat.watch.model.status import Status

REMEMBERED = 21
START_RATIO = 0.20
STOP_RATIO = 0.05


@dataclass(frozen=True, slots=True)
class Flap:
    """The last 21 statuses of a check, oldest first, and whether it flaps."""

    statuses: tuple[Status, ...] = ()
    is_flapping: bool = False


def change_ratio(statuses: tuple[Status, ...]) -> float:
    """Weighted share of changes among the last 21 statuses, in [0, 1].

        sum of (0.8 + 0.4 · i / 19) over the changes i, divided by 20

    Change i = 0…19 is the one from status i to i + 1, counted so that the newest is 19:
    with fewer statuses the missing ones count as unchanged.
    Source: Nagios Core, "Detection and Handling of State Flapping".
    """
    recent = statuses[-REMEMBERED:]
    first = REMEMBERED - len(recent)
    return (
        sum(
            0.8 + 0.4 * (first + index) / 19
            for index, (before, after) in enumerate(pairwise(recent))
            if before is not after
        )
        / 20
    )


def observed(flap: Flap, status: Status) -> Flap:
    """The memory after one more status: starts above 20 %, stops below 5 %."""
    statuses = (*flap.statuses, status)[-REMEMBERED:]
    ratio = change_ratio(statuses)
    flapping = ratio >= STOP_RATIO if flap.is_flapping else ratio > START_RATIO
    return Flap(statuses, flapping)
