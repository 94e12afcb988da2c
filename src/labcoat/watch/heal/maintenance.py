"""Windows in which watch keeps still."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase

from labcoat.watch.heal.site import Maintenance, Quiet, Site
from labcoat.watch.heal.state import Pause
from labcoat.watch.schedule.slots import next_slot


def quiet_now(site: Site, target: str, wall_s: float) -> Quiet | None:
    """What is forbidden for a target now; NO_CHECK is stronger than NO_ACT."""
    found = {
        window.quiet
        for window in site.maintenance
        if fnmatchcase(target, window.glob) and is_open(window, wall_s)
    }
    return next((quiet for quiet in (Quiet.NO_CHECK, Quiet.NO_ACT) if quiet in found), None)


def is_open(window: Maintenance, wall_s: float) -> bool:
    """Whether a window is open: [start, end) of the interval, or of the latest slot."""
    if window.cron is None:
        return (window.starts_s or 0.0) <= wall_s < (window.ends_s or 0.0)
    before = datetime.fromtimestamp(wall_s - window.duration_s, UTC)
    slot = next_slot(window.cron, before)
    return slot is not None and slot.timestamp() <= wall_s


def paused_now(pauses: tuple[Pause, ...], target: str, wall_s: float) -> Pause | None:
    """The pause that holds for a target now."""
    holding = (p for p in pauses if fnmatchcase(target, p.glob) and wall_s < p.until_wall_s)
    return next(holding, None)
