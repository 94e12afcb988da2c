"""What the generator's client and its worker say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labcoat.model.load import Plan, Target, Window
    from labcoat.model.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Put on this load; answered by Progress (if asked for), then a Measurement or a Failure."""

    target: Target
    workload: Workload
    plan: Plan
    window: Window
    seed: int
    keep_alive: bool
    timeout_s: float
    tells_progress: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget:
    """Close the connections to this target; answered by None."""

    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A slice that is under way: seconds since its start, requests that ended."""

    elapsed_s: float
    ended: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no measurement. ``is_usage``: the user's workload is wrong."""

    what: str
    where: str | None
    way_out: str | None
    is_usage: bool
