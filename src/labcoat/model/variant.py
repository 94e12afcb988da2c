"""Variants: a frozen assignment of levels to knobs, named by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

Level = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Variant:
    """Knob -> level, for every knob that differs from the origin.

    The empty variant is the origin: the user's own files, unchanged. Knobs are
    named ``component.directive``, in the component's own spelling. Two variants
    with the same assignment are equal and have the same name.
    """

    assignment: tuple[tuple[str, Level], ...] = ()

    @classmethod
    def of(cls, levels: Mapping[str, Level]) -> Variant:
        """The variant with these levels, in canonical order."""
        return cls(tuple(sorted(levels.items())))

    @property
    def name(self) -> str:
        """Twelve hex digits of the assignment's SHA-256; ``origin`` when empty."""
        if not self.assignment:
            return "origin"
        text = json.dumps(self.assignment, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def levels(self, component: str) -> dict[str, Level]:
        """Directive -> level for one component, without the component's prefix."""
        prefix = component + "."
        return {
            knob.removeprefix(prefix): level
            for knob, level in self.assignment
            if knob.startswith(prefix)
        }

    def with_level(self, knob: str, level: Level) -> Variant:
        """The same variant with one knob set."""
        return Variant.of({**dict(self.assignment), knob: level})

    def without(self, *knobs: str) -> Variant:
        """The same variant with some knobs as the user has them."""
        return Variant(tuple(each for each in self.assignment if each[0] not in knobs))


ORIGIN = Variant()
