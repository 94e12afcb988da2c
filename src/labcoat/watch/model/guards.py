"""What stands around an action: verification, pauses, limits, breakers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """How a cure is shown: ``ok`` consecutive all-OK rounds inside the window.

    ``delay_s`` from the action's exit to the first round, ``every_s`` between rounds,
    ``window_s`` from the exit to the verdict NOT_CURED.
    """

    delay_s: float = 10.0
    every_s: float = 10.0
    ok: int = 2
    window_s: float = 120.0

    def __post_init__(self) -> None:
        if self.delay_s < 0 or self.every_s <= 0 or self.ok < 1 or self.window_s <= 0:
            raise ValueError("delay >= 0, every > 0, ok >= 1, window > 0")
        if self.delay_s + (self.ok - 1) * self.every_s > self.window_s:
            raise ValueError("the window ends before that many OK rounds can be made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most ``count`` starts within any ``period_s``."""

    count: int
    period_s: float

    def __post_init__(self) -> None:
        if self.count < 1 or self.period_s <= 0:
            raise ValueError("a rate is at least 1 within more than 0 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """Opens after so many consecutive failures; after ``reset_s`` one trial may close it.

    After ``trials`` trials that failed it stays open until somebody resets it.
    """

    failures: int = 3
    reset_s: float = 1800.0
    trials: int = 2

    def __post_init__(self) -> None:
        if self.failures < 1 or self.reset_s <= 0 or self.trials < 0:
            raise ValueError("failures >= 1, reset > 0, trials >= 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolling:
    """How many targets of a group may be between INTENT and verdict at once.

    Allowed: max(1, ⌊max_ratio · size of the group⌋), or ``max_count`` where a number was
    written. ``canary``: how many must be cured, one alone at a time, before the others; 0 is none.
    """

    max_ratio: float = 0.25
    max_count: int | None = None
    canary: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.max_ratio <= 1 or self.canary < 0:
            raise ValueError("max in (0 %, 100 %], canary >= 0")
        if self.max_count is not None and self.max_count < 1:
            raise ValueError("max >= 1")

    def allowed(self, group_size: int) -> int:
        """How many targets of a group of that size may be in work at once."""
        if self.max_count is not None:
            return self.max_count
        return max(1, int(self.max_ratio * group_size + 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """Everything of section "what watch adds" that belongs to one action.

    ``verify`` None: the exit code alone decides (compat). ``cooldown_s``: pause from the
    end of an attempt, doubled per consecutive failure up to ``cooldown_cap_s``; 0 is none.
    ``rate``, ``breaker`` None: unlimited. ``escalate``: names of actions of the same
    runbook. ``manual``: starts only by an escalation or by ``watch apply``.
    """

    verify: Verify | None = None
    cooldown_s: float = 0.0
    cooldown_cap_s: float = 3600.0
    rate: Rate | None = None
    breaker: Breaker | None = None
    rolling: Rolling = Rolling(canary=0)
    escalate: tuple[str, ...] = ()
    manual: bool = False


COMPAT_GUARDS = Guards()
LABCOAT_GUARDS = Guards(
    verify=Verify(),
    cooldown_s=300.0,
    rate=Rate(count=6, period_s=3600.0),
    breaker=Breaker(),
    rolling=Rolling(),
)
