"""What is remembered of one runbook on one target between rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcoat.watch.model.flapping import Flap
from labcoat.watch.model.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered of one action.

    ``last_start_s``, ``last_success_s``: elapsed seconds of the last start and of the last
    end with exit 0; None is never. ``spent``: a ``run_once`` that started and was not armed
    again (labcoat). ``recovering``: something was not OK since ``on_recovery`` last started.
    ``failed``: it failed to cure the present incident.
    """

    last_start_s: float | None = None
    last_success_s: float | None = None
    spent: bool = False
    recovering: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Counters, streaks and memories of one runbook on one target; survives restarts.

    ``counts``: per status, the counters of compat. ``streaks``: per (action, check),
    consecutive rounds whose status is in call_on. ``flaps``: per check. ``incident_s``:
    elapsed seconds when the first round of the present incident was judged; None while OK.
    ``last``: per check, the latest status.
    """

    counts: Mapping[Status, int] = field(default_factory=dict)
    streaks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    memories: Mapping[str, Memory] = field(default_factory=dict)
    flaps: Mapping[str, Flap] = field(default_factory=dict)
    last: Mapping[str, Status] = field(default_factory=dict)
    incident_s: float | None = None

    def memory(self, action: str) -> Memory:
        return self.memories.get(action, NOTHING)

    @property
    def flapping(self) -> tuple[str, ...]:
        """The checks that flap."""
        return tuple(check for check, flap in self.flaps.items() if flap.is_flapping)


NOTHING = Memory()
FRESH = Standing()
