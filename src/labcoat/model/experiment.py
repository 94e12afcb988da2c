"""Experiments: which arm a trial is on, in which order, and what it used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from labcoat.model.host import HostCounters, TreeCounters
from labcoat.model.variant import Variant


class Arm(Enum):
    """Which side of an experiment a trial is on."""

    BASELINE = "baseline"
    TREATMENT = "treatment"

    @property
    def other(self) -> Arm:
        """The arm that it is compared with."""
        return Arm.TREATMENT if self is Arm.BASELINE else Arm.BASELINE


class Order(Enum):
    """The order of a block's four trials; A is the baseline. Drawn by a fair coin."""

    ABBA = "ABBA"
    BAAB = "BAAB"

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arm of each trial, first to last."""
        return tuple(Arm.BASELINE if letter == "A" else Arm.TREATMENT for letter in self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One arm measured once: its place in the experiment.

    ``experiment``, ``block``: ids from the journal; ``block`` is None for a trial that
    is not paired (a sweep, a warm-up that is kept). ``slot``: which set of ports and
    directories the arm stood in. ``position``: 0-based place within the block, or
    within the experiment where there is no block. ``variant``: what was measured.
    """

    experiment: str
    block: str | None = None
    arm: Arm
    slot: int = 0
    position: int
    variant: Variant

    def __post_init__(self) -> None:
        if self.slot < 0 or self.position < 0:
            raise ValueError("slot and position of a trial start at 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Readings just before and just after one slice: the host, and every layer.

    ``layers_before``, ``layers_after``: layer name -> reading, front to back.
    """

    host_before: HostCounters
    host_after: HostCounters
    layers_before: Mapping[str, TreeCounters]
    layers_after: Mapping[str, TreeCounters]

    def __post_init__(self) -> None:
        if self.layers_before.keys() != self.layers_after.keys():
            raise ValueError("the layers before a slice and after it must be the same")
