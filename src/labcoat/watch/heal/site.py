"""What the site's configuration says of healing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from labcoat.watch.model.guards import Rate
from labcoat.watch.model.runbook import Mode, Runbook
from labcoat.watch.model.schedule import Cron


class Quiet(Enum):
    """What a maintenance window forbids."""

    NO_ACT = "no-act"
    NO_CHECK = "no-check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A window for the targets of a glob: from ``starts_s`` to ``ends_s`` (wall seconds), or
    ``duration_s`` from each slot of ``cron``.
    """

    glob: str
    quiet: Quiet = Quiet.NO_ACT
    starts_s: float | None = None
    ends_s: float | None = None
    cron: Cron | None = None
    duration_s: float = 0.0

    def __post_init__(self) -> None:
        interval = self.starts_s is not None and self.ends_s is not None
        if interval == (self.cron is not None):
            raise ValueError("a window is either an interval or a cron with a duration")
        if interval and not (self.starts_s or 0.0) < (self.ends_s or 0.0):
            raise ValueError("a window ends after it starts")
        if self.cron is not None and self.duration_s <= 0:
            raise ValueError("a window that starts by cron lasts more than 0 s")


SITE_RATE = Rate(count=60, period_s=3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The rules that hold for all lanes.

    ``mode`` holds where neither the runbook nor a glob of ``modes`` says otherwise; the
    first glob that matches counts. ``forced``: from the command line, above everything.
    ``targets``: how many there are. ``group_sizes``: targets per group. ``rate``: starts of
    all actions together; None is unlimited.
    """

    mode: Mode = Mode.ADVISE
    modes: tuple[tuple[str, Mode], ...] = ()
    forced: Mode | None = None
    targets: int = 1
    group_sizes: Mapping[str, int] = field(default_factory=dict)
    rate: Rate | None = SITE_RATE
    maintenance: tuple[Maintenance, ...] = ()

    def mode_of(self, runbook: Runbook, target: str) -> Mode:
        """Whether decisions of this runbook on this target are carried out."""
        if self.forced is not None:
            return self.forced
        if runbook.mode is not None:
            return runbook.mode
        matching = (mode for glob, mode in self.modes if fnmatchcase(target, glob))
        return next(matching, self.mode)
