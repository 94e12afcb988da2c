"""What ``labcoat tune`` was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from labcoat.knobs import KNOBS
from labcoat.lab.trial.question import Rhythm
from labcoat.model.knob import MILD, Knob, Safety
from labcoat.model.metric import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """The terms of a campaign.

    ``budget_s``: for everything, over all its sittings. ``allowed``: classes that are tried
    beside the mild ones. ``only``, ``skip``: patterns of knob names (``uwsgi.*``); no ``only``
    means every knob. ``command``: how the user asked, for the report. ``stops``: whether the
    user wants to stop now; asked between epochs.
    """

    objective: Metric
    margin: float
    budget_s: float
    rhythm: Rhythm
    allowed: frozenset[Safety] = frozenset()
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    knobs: tuple[Knob, ...] = KNOBS
    command: str = "labcoat tune"
    stops: Callable[[], bool] = lambda: False

    def wants(self, knob: Knob) -> bool:
        """Whether the patterns leave this knob in."""
        is_in = not self.only or any(fnmatchcase(knob.name, each) for each in self.only)
        return is_in and not any(fnmatchcase(knob.name, each) for each in self.skip)

    def allows(self, safety: Safety) -> bool:
        """Whether knobs of this class are tried."""
        return safety in MILD or safety in self.allowed

    def document(self) -> dict[str, Any]:
        """What makes two campaigns the same one, whatever their budget."""
        return {
            "objective": self.objective.name,
            "margin": self.margin,
            "rhythm": asdict(self.rhythm),
            "allowed": sorted(each.value for each in self.allowed),
            "only": list(self.only),
            "skip": list(self.skip),
        }
