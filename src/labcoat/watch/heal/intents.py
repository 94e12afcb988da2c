"""What the engine is asked to do, in this order."""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.watch.heal.state import Attempt, HealState, LaneKey, Phase
from labcoat.watch.model.outcome import Outcome
from labcoat.watch.model.runbook import Body


@dataclass(frozen=True, slots=True)
class Record:
    """Commit that the attempt reached this phase, then answer Recorded (or NotRecorded).

    Nothing is executed before INTENT and SENT (or ROLLBACK_INTENT and ROLLBACK_SENT) are
    committed: the machine asks for Execute only after Recorded.
    """

    attempt: Attempt
    phase: Phase


@dataclass(frozen=True, slots=True)
class Execute:
    """Carry the body out, once; answer Exited, Lost or NeverStarted.

    ``marker``: name of the token on the target; a rollback's differs from its action's.
    """

    attempt: Attempt
    body: Body
    marker: str


@dataclass(frozen=True, slots=True)
class Examine:
    """Make a verify round (all checks of the runbook, feeding no streak) now; answer Examined."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Conclude:
    """An attempt ended: tell ``decide`` (``deciding.concluded``), journal the verdict."""

    attempt: Attempt
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Hold:
    """The action must wait. ``guard``: which one holds; ``until_s``: elapsed, None is unknown."""

    key: LaneKey
    guard: str
    text: str
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Advise:
    """Tell what would be done. ``id``: stable over restarts; ``hidden``: was acknowledged."""

    id: str
    key: LaneKey
    hidden: bool


@dataclass(frozen=True, slots=True)
class Escalate:
    """Tell people: for each named action send ``Fires(cause=ESCALATION)``. None named: show it.

    ``id``: what ``watch ack`` takes. Told again every hour until then.
    """

    id: str
    key: LaneKey
    actions: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell once, about the whole site: ``partition`` began, ``partition-over``."""

    kind: str
    text: str


Intent = Record | Execute | Examine | Conclude | Hold | Advise | Escalate | Alert


@dataclass(frozen=True, slots=True)
class Stepped:
    """The state after an event, and what to do now."""

    state: HealState
    intents: tuple[Intent, ...] = ()
