"""Everything that healing remembers. All times are elapsed seconds (``Moment.elapsed_s``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from labcoat.watch.model.guards import Verify
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.runbook import Action, Place, Runbook, Semantics
from labcoat.watch.model.status import Status


@dataclass(frozen=True, slots=True, order=True)
class LaneKey:
    """One action of one runbook (by its path) on one target: the unit of every limit."""

    runbook: str
    target: str
    action: str


class Phase(Enum):
    """Where an attempt is. Only ever forward.

    DECIDED → INTENT → SENT → DONE | INDOUBT → VERIFYING → ROLLBACK_INTENT → ROLLBACK_SENT →
    ROLLBACK_DONE → ENDED; what does not apply is left out.
    """

    DECIDED = "decided"
    INTENT = "intent"
    SENT = "sent"
    DONE = "done"
    INDOUBT = "indoubt"
    VERIFYING = "verifying"
    ROLLBACK_INTENT = "rollback-intent"
    ROLLBACK_SENT = "rollback-sent"
    ROLLBACK_DONE = "rollback-done"
    ENDED = "ended"


class Cause(Enum):
    """Why an attempt was begun: a decision, an escalation, or somebody's ``apply``."""

    DECISION = "decision"
    ESCALATION = "escalation"
    ASKED = "asked"


class Restored(Enum):
    """What became of a rollback. RESTORED: no check is worse than before the attempt."""

    RESTORED = "restored"
    NOT_RESTORED = "not-restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to carry an action out; keeps the revision of the action it began with.

    ``phase``: the last one that is committed. ``before``: the statuses of the deciding
    round. ``status``: exit code; None while unknown, with ``note`` (``interrupted``,
    ``rebooted``, ``signal 9``). ``ok_rounds``: consecutive good verify rounds. ``harm``: per
    check that was OK before, rounds in which it was not. ``since_s``: start of the present
    window (exit of the body, or of the rollback). ``examine_s``: when the next verify round is
    due, None while one is under way or none is needed. ``outcome``: once it is known, which
    with a rollback is before the end. ``is_canary``, ``is_trial``: of a wave, of a half-open
    breaker.
    """

    id: str
    key: LaneKey
    action: Action
    semantics: Semantics
    sha256: str
    group: str
    cause: Cause
    phase: Phase
    decided_s: float
    before: Mapping[str, Status] = field(default_factory=dict)
    sent_s: float | None = None
    status: int | None = None
    note: str | None = None
    since_s: float | None = None
    examine_s: float | None = None
    ok_rounds: int = 0
    harm: Mapping[str, int] = field(default_factory=dict)
    outcome: Outcome | None = None
    restored: Restored | None = None
    is_canary: bool = False
    is_trial: bool = False

    @property
    def verify(self) -> Verify | None:
        """How its cure is shown. None where nothing is: an escalation heals nothing."""
        return None if self.cause is Cause.ESCALATION else self.action.guards.verify

    @property
    def occupies_target(self) -> bool:
        """Whether other actions on its target wait for it: it runs there, or is verified."""
        return self.verify is not None or (
            self.cause is not Cause.ESCALATION and self.action.body.place is Place.TARGET
        )


class BreakerState(Enum):
    """CLOSED acts; OPEN waits for its reset; HALF_OPEN tries once; MANUAL waits for somebody."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What is remembered of one action on one target.

    ``failures``: consecutive. ``starts_s``: within the rate's period. ``resting_until_s``:
    end of the cooldown. ``retry_s``: when an OPEN breaker becomes HALF_OPEN. ``trials``:
    that failed since it opened.
    """

    failures: int = 0
    starts_s: tuple[float, ...] = ()
    resting_until_s: float | None = None
    breaker: BreakerState = BreakerState.CLOSED
    retry_s: float | None = None
    trials: int = 0
    attempt: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class WaveKey:
    """One action of one runbook over a group of targets."""

    runbook: str
    action: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """The rolling heal of a group: canaries first, then the others.

    ``cured``: canaries that were cured. ``stopped_until_s``: a canary was not cured; None
    is not stopped. ``last_s``: last start or end; a wave at rest for an hour is over.
    """

    cured: int = 0
    stopped_until_s: float | None = None
    last_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Something that people are told of, hourly until they acknowledge it (by ``id``)."""

    id: str
    reason: str
    actions: tuple[str, ...]
    since_s: float
    told_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """No actions for the targets of a glob until ``until_wall_s`` (wall seconds)."""

    glob: str
    until_wall_s: float
    reason: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Which targets do not answer, since when, and whether that froze all actions."""

    lost: Mapping[str, float] = field(default_factory=dict)
    sentinels_gone: bool = False
    frozen_since_s: float | None = None


NO_PARTITION = Partition()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fires:
    """An action is called for: by a decision, an escalation, or ``apply``. (An event.)

    ``attempt_id``: fresh, drawn by the engine; used only if the attempt begins. ``before``:
    the statuses of the deciding round. ``flapping``: checks of this runbook that flap.
    """

    attempt_id: str
    runbook: Runbook
    target: str
    action: str
    cause: Cause = Cause.DECISION
    before: Mapping[str, Status] = field(default_factory=dict)
    flapping: tuple[str, ...] = ()

    @property
    def key(self) -> LaneKey:
        return LaneKey(self.runbook.path, self.target, self.action)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealState:
    """Everything that healing remembers of a site.

    ``attempts``: those in flight, by id. ``starts_s``: of all lanes, within the site's rate.
    ``waiting``: compat's actions that wait for another one on the same target to end, as
    Automatron's serial actioning had them; not kept over a restart, rounds decide again.
    """

    lanes: Mapping[LaneKey, Lane] = field(default_factory=dict)
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    starts_s: tuple[float, ...] = ()
    waves: Mapping[WaveKey, Wave] = field(default_factory=dict)
    escalations: Mapping[LaneKey, Escalation] = field(default_factory=dict)
    pauses: tuple[Pause, ...] = ()
    hidden: frozenset[str] = frozenset()
    partition: Partition = NO_PARTITION
    waiting: tuple[Fires, ...] = ()

    def lane(self, key: LaneKey) -> Lane:
        return self.lanes.get(key, IDLE)


IDLE = Lane()
EMPTY = HealState()
