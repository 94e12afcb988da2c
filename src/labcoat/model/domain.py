"""Domains: the legal levels of a knob, as values; their bounds may depend on the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labcoat.model.host import Facts
from labcoat.model.variant import Level

ON = frozenset({"on", "true", "yes", "1"})
OFF = frozenset({"off", "false", "no", "0"})


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that depends on the machine, and the words for it where none is known."""

    words: str
    of: Callable[[Facts], int]


Bound = int | Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeNumber:
    """Whole numbers from ``low`` to ``high``, both included; or one of a few words (``auto``)."""

    low: Bound
    high: Bound
    words: tuple[str, ...] = ()

    def parse(self, text: str) -> Level:
        """The number, or the word. Raises: ValueError."""
        bare = text.strip()
        if bare in self.words:
            return bare
        if re.fullmatch(r"-?\d+", bare) is None:
            raise ValueError(f"{text!r} is no whole number")
        return int(bare)

    def admits(self, level: Level, facts: Facts) -> bool:
        """Whether it is a whole number within the bounds, or one of the words."""
        if isinstance(level, str):
            return level in self.words
        if isinstance(level, bool | float):
            return False
        return _reached(self.low, facts) <= level <= _reached(self.high, facts)

    def ends(self, facts: Facts) -> tuple[Level, ...]:
        """The lowest, the highest, and the words."""
        return (_reached(self.low, facts), _reached(self.high, facts), *self.words)

    def describe(self, facts: Facts | None = None) -> str:
        """``1 to 16, or auto``."""
        return _or(_range(self.low, self.high, facts, str), self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Numbers with decimals from ``low`` to ``high``, both included."""

    low: float
    high: float

    def parse(self, text: str) -> Level:
        """The number. Raises: ValueError."""
        if re.fullmatch(r"\d+(?:\.\d+)?", text.strip()) is None:
            raise ValueError(f"{text!r} is no number")
        return float(text)

    def admits(self, level: Level, facts: Facts) -> bool:
        """Whether it lies within the bounds."""
        del facts
        if isinstance(level, bool | str):
            return False
        return self.low <= level <= self.high

    def ends(self, facts: Facts) -> tuple[Level, ...]:
        """The lowest and the highest."""
        del facts
        return (self.low, self.high)

    def describe(self, facts: Facts | None = None) -> str:
        """``1.0 to 100.0``."""
        del facts
        return f"{self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class Switch:
    """On or off."""

    def parse(self, text: str) -> Level:
        """True or False, from any of the usual words. Raises: ValueError."""
        bare = text.strip().lower()
        if bare not in ON | OFF:
            raise ValueError(f"{text!r} is neither on nor off")
        return bare in ON

    def admits(self, level: Level, facts: Facts) -> bool:
        """Whether it is True or False."""
        del facts
        return isinstance(level, bool)

    def ends(self, facts: Facts) -> tuple[Level, ...]:
        """Off and on."""
        del facts
        return (False, True)

    def describe(self, facts: Facts | None = None) -> str:
        """``on or off``."""
        del facts
        return "on or off"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few levels, the mildest first."""

    levels: tuple[Level, ...]

    def parse(self, text: str) -> Level:
        """The level that is written so. Raises: ValueError."""
        bare = text.strip()
        for level in self.levels:
            if spelled(level) == bare:
                return level
        raise ValueError(f"{text!r} is none of them")

    def admits(self, level: Level, facts: Facts) -> bool:
        """Whether it is one of them, of the same type."""
        del facts
        return any(type(one) is type(level) and one == level for one in self.levels)

    def ends(self, facts: Facts) -> tuple[Level, ...]:
        """All of them: they are few, and have no order that a machine could know."""
        del facts
        return self.levels

    def describe(self, facts: Facts | None = None) -> str:
        """``a, b or c``."""
        del facts
        *first, last = (spelled(level) for level in self.levels)
        return f"{', '.join(first)} or {last}" if first else last


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Sizes and durations in the component's own spelling: ``64k``, ``128MB``, ``75s``.

    ``units``: suffix -> how many of the smallest, the smallest first; the bounds count those.
    ``words``: levels that are none of these (``off``, ``-1``).
    """

    units: Mapping[str, int]
    low: Bound
    high: Bound
    words: tuple[str, ...] = ()

    def parse(self, text: str) -> Level:
        """The same spelling, without blanks. Raises: ValueError."""
        bare = text.replace(" ", "")
        if bare not in self.words and self._counted(bare) is None:
            units = ", ".join(f"5{unit}" for unit in self.units)
            raise ValueError(f"{text!r} is not written as {units}")
        return bare

    def admits(self, level: Level, facts: Facts) -> bool:
        """Whether it is spelled so and lies within the bounds, or is one of the words."""
        if not isinstance(level, str):
            return False
        if level in self.words:
            return True
        count = self._counted(level)
        return count is not None and (
            _reached(self.low, facts) <= count <= _reached(self.high, facts)
        )

    def ends(self, facts: Facts) -> tuple[Level, ...]:
        """The lowest, the highest, and the words."""
        low, high = _reached(self.low, facts), _reached(self.high, facts)
        return (self.spell(low), self.spell(high), *self.words)

    def describe(self, facts: Facts | None = None) -> str:
        """``1k to 1m, or off``."""
        return _or(_range(self.low, self.high, facts, self.spell), self.words)

    def spell(self, count: int) -> str:
        """So many of the smallest unit, in the largest unit that leaves nothing over."""
        fitting = [unit for unit, factor in self.units.items() if count % factor == 0]
        unit = fitting[-1] if count else next(iter(self.units))
        return f"{count // self.units[unit]}{unit}"

    def _counted(self, text: str) -> int | None:
        found = re.fullmatch(r"(\d+)([A-Za-z]*)", text)
        if found is None or found[2] not in self.units:
            return None
        return int(found[1]) * self.units[found[2]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Several words that belong together: ``8 16k``, ``max=2000 inactive=60s``; or on/off words.

    ``pattern``: what every level matches. ``examples``: what is worth trying, both ends of it
    included. ``form``: how it is written, for people.
    """

    pattern: str
    examples: tuple[str, ...]
    form: str
    words: tuple[str, ...] = ()

    def parse(self, text: str) -> Level:
        """The words, single-spaced. Raises: ValueError."""
        bare = " ".join(text.split())
        if bare not in self.words and re.fullmatch(self.pattern, bare) is None:
            raise ValueError(f"{text!r} is not written as {self.form}")
        return bare

    def admits(self, level: Level, facts: Facts) -> bool:
        """Whether it is written so."""
        del facts
        if not isinstance(level, str):
            return False
        return level in self.words or re.fullmatch(self.pattern, level) is not None

    def ends(self, facts: Facts) -> tuple[Level, ...]:
        """The examples and the words."""
        del facts
        return (*self.examples, *self.words)

    def describe(self, facts: Facts | None = None) -> str:
        """How it is written, with the first example."""
        del facts
        return _or(f"{self.form} ({self.examples[0]})", self.words)


def spelled(level: Level | None) -> str:
    """A level as people write it on labcoat's own command line."""
    if level is None:
        return "unset"
    if isinstance(level, bool):
        return "on" if level else "off"
    return str(level)


def _reached(bound: Bound, facts: Facts) -> int:
    return bound.of(facts) if isinstance(bound, Limit) else bound


def _range(low: Bound, high: Bound, facts: Facts | None, spell: Callable[[int], str]) -> str:
    words: list[str] = []
    for bound in (low, high):
        if isinstance(bound, int):
            words.append(spell(bound))
        else:
            words.append(bound.words if facts is None else spell(bound.of(facts)))
    return " to ".join(words)


def _or(text: str, words: tuple[str, ...]) -> str:
    return ", or ".join((text, *words))
