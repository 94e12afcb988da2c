"""Knobs: declared settings, each with its domain, its levels worth trying, and its reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Protocol

from labcoat.model.host import Facts
from labcoat.model.variant import Level


class ApplyCost(IntEnum):
    """What it takes for a level to work, in the deployment that the user has."""

    RELOAD = 0
    RESTART = 1
    REBUILD = 2


class Safety(Enum):
    """What a change may cost besides speed; a knob has the gravest that applies."""

    SAFE = "safe"
    OBSERVABILITY = "observability"
    MEMORY = "memory"
    DURABILITY = "durability"
    SECURITY = "security"
    SEMANTIC = "semantic"

    @property
    def meaning(self) -> str:
        """One sentence."""
        return MEANINGS[self]


MEANINGS: Mapping[Safety, str] = {
    Safety.SAFE: "Nothing but speed changes.",
    Safety.OBSERVABILITY: "Something that was logged or counted no longer is, or comes later.",
    Safety.MEMORY: "Memory is taken; worst-case arithmetic bounds it.",
    Safety.DURABILITY: "What was acknowledged may be lost in a crash.",
    Safety.SECURITY: "A defence becomes weaker.",
    Safety.SEMANTIC: "Answers, their freshness or the code's behaviour may change.",
}


class Relief(Enum):
    """What a knob can take away from a request: that bounds what it can give.

    Of a request's cost nothing more can vanish than the part that the knob acts on
    (science.md section 6), so a row names too many rather than too few. ``LAYER``: CPU of its
    own component; of ``python``, which is none, that of the app server. ``APP``: CPU of the app's
    own code. ``WAITING``: cores that idle because something is too few or blocks. ``ALL``: the
    work of everything else too: requests, or connections, that never come so far.
    """

    LAYER = "layer"
    APP = "app"
    WAITING = "waiting"
    ALL = "all"

    @property
    def meaning(self) -> str:
        """A few words: what of a request."""
        return RELIEFS[self]


RELIEFS: Mapping[Relief, str] = {
    Relief.LAYER: "its component's CPU",
    Relief.APP: "the app's own CPU",
    Relief.WAITING: "idle cores",
    Relief.ALL: "work that never comes so far",
}


MILD = frozenset({Safety.SAFE, Safety.MEMORY})
"""The classes that are tried unasked."""


class Domain(Protocol):
    """The legal levels of a knob. Those at hand are in ``labcoat.model.domain``."""

    def parse(self, text: str) -> Level:
        """The level that a text means, in or out of the bounds. Raises: ValueError."""

    def admits(self, level: Level, facts: Facts) -> bool:
        """Whether the level is legal on this machine."""

    def ends(self, facts: Facts) -> tuple[Level, ...]:
        """The outermost levels on this machine; each must start."""

    def describe(self, facts: Facts | None = None) -> str:
        """The domain in words; on a machine that is not known, without its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """The necessary condition: what must be seen of the baseline for the knob to matter.

    ``counter``: what tells of it, ``component.name`` as ``Standing.explain`` names them; None:
    it is seen elsewhere. ``holds``: of that component's counters under load (of gauges the most
    that was seen, the others since boot); None: it cannot be asked. It only excludes: what
    the component does not tell is taken as seen.
    """

    text: str
    counter: str | None = None
    holds: Callable[[Mapping[str, float]], bool] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """A declared setting of a component.

    ``name``: component and directive, in the component's own spelling. ``levels``: what is
    worth trying on a machine, few, the most promising first. ``default``: (since version,
    level), the first since "": what the program does when nothing is said; None is unset.
    ``why``: the mechanism.
    ``trap``: the trade-off. ``constraints``: in words. ``needs``: the least version of the
    component. ``needs_build``: what its build must say. ``control``: there to prove the method
    (a placebo, or a level known to be slow); never proposed, though it may be tried by name.
    ``relieves``: what of a request it acts on; several add up. ``prior``: the chance that it
    helps by 2 % where its condition holds, or over all where that cannot be asked, from what is
    published; it orders what is tried first and decides nothing. ``headers``: names of headers,
    in small letters, that its trade-off says will differ: who allows the knob takes them as they
    come, and nothing else of an answer.
    """

    name: str
    domain: Domain
    levels: Callable[[Facts], tuple[Level, ...]]
    default: tuple[tuple[str, Level | None], ...]
    why: str
    condition: Condition
    cost: ApplyCost
    safety: Safety
    relieves: tuple[Relief, ...]
    prior: float
    source: str
    trap: str = ""
    constraints: tuple[str, ...] = ()
    needs: str = ""
    needs_build: str = ""
    control: bool = False
    headers: frozenset[str] = frozenset()

    @property
    def component(self) -> str:
        """Whose setting it is."""
        return self.name.partition(".")[0]

    @property
    def directive(self) -> str:
        """The setting in the component's own spelling."""
        return self.name.partition(".")[2]

    def default_for(self, version: str) -> Level | None:
        """What a version of the component does when nothing is said; None is unset."""
        level = self.default[0][1]
        for since, later in self.default[1:]:
            if _ordered(version) >= _ordered(since):
                level = later
        return level

    def lacks(self, version: str, build: str) -> str | None:
        """Why a binary has no such knob; None if it has."""
        if _ordered(version) < _ordered(self.needs):
            return f"{self.component} {version} is older than {self.needs}"
        if self.needs_build not in build:
            return f"this {self.component} is built without {self.needs_build}"
        return None


def _ordered(version: str) -> tuple[int, ...]:
    """A version as numbers that can be compared; "" is before all."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
