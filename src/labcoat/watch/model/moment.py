"""One instant, read on both clocks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An instant on two clocks: all that the pure rooms know of time.

    ``elapsed_s``: CLOCK_BOOTTIME of the watching machine; never jumps; every cooldown,
    window and rate is reckoned in it. ``wall_s``: seconds since the epoch; only cron
    slots, maintenance windows and pauses look at it. ``boot_id``: which boot
    ``elapsed_s`` belongs to.
    """

    elapsed_s: float
    wall_s: float
    boot_id: str = ""


def span_s(since: Moment, until: Moment, *, cap_s: float) -> float:
    """Time between two moments, in [0, ...].

    By CLOCK_BOOTTIME within one boot; across a reboot by wall time, which may have been
    set meanwhile, and is therefore clamped to [0, ``cap_s``] (the span that was configured).
    """
    if since.boot_id == until.boot_id:
        return max(0.0, until.elapsed_s - since.elapsed_s)
    return min(max(0.0, until.wall_s - since.wall_s), cap_s)
