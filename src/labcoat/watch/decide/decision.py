"""What was decided of one action in one round, and why."""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.watch.decide.standing import Standing


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of an action, whether it holds, and the numbers behind it."""

    name: str
    holds: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One action in one round. ``conditions``: all of them, also those after a false one.

    ``held``: why an action whose conditions all hold does not fire all the same
    (``unreachable``: it needs the target, which does not answer).
    """

    action: str
    conditions: tuple[Condition, ...]
    held: str | None = None

    @property
    def is_called_for(self) -> bool:
        return all(condition.holds for condition in self.conditions)

    @property
    def fires(self) -> bool:
        return self.held is None and self.is_called_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliberation:
    """A round judged: the standing after it, and a decision per action, in their order."""

    standing: Standing
    decisions: tuple[Decision, ...]

    @property
    def fired(self) -> tuple[str, ...]:
        return tuple(decision.action for decision in self.decisions if decision.fires)
