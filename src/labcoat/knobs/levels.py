"""What rows have in common: levels that grow with the machine, units, and bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from labcoat.model.domain import Limit, Quantity
from labcoat.model.host import Facts
from labcoat.model.knob import Condition, Domain
from labcoat.model.variant import Level

Levels = Callable[[Facts], tuple[Level, ...]]
Holds = Callable[[Mapping[str, float]], bool]

MIB = 1024**2
GIB = 1024**3

NGINX_SIZES: Mapping[str, int] = MappingProxyType({"k": 1024, "m": MIB})
NGINX_TIMES: Mapping[str, int] = MappingProxyType({"ms": 1, "s": 1000, "m": 60_000})
POSTGRES_SIZES: Mapping[str, int] = MappingProxyType({"kB": 1024, "MB": MIB, "GB": GIB})
POSTGRES_TIMES: Mapping[str, int] = MappingProxyType(
    {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000}
)

SOMAXCONN = Limit("net.core.somaxconn", lambda facts: facts.somaxconn)


def always(*levels: Level) -> Levels:
    """The same levels on every machine."""
    return lambda _: levels


def admitted(domain: Domain, *levels: Level) -> Levels:
    """Those of the levels that are legal on a machine."""
    return lambda facts: tuple(level for level in levels if domain.admits(level, facts))


def times_cpus(*factors: int, at_least: int = 1) -> Levels:
    """So many per usable CPU, each number once, in ascending order."""
    return lambda facts: tuple(sorted({max(at_least, f * facts.cpus) for f in factors}))


def exceeds(counter: str, least: float = 0) -> Holds:
    """Whether a component's counter is over this; one that is not told excludes nothing."""
    return lambda seen: seen.get(counter, math.inf) > least


def seen(text: str, counter: str) -> Condition:
    """A condition that a component's counter (``component.name``) denies while it is 0."""
    return Condition(text=text, counter=counter, holds=exceeds(counter.partition(".")[2]))


def per_cpu(factor: int, *, at_least: int = 1) -> Limit:
    """A bound of so many per usable CPU."""
    words = f"{factor} per CPU" + (f" ({at_least} at the least)" if at_least > 1 else "")
    return Limit(words, lambda facts: max(at_least, factor * facts.cpus))


def queues(*levels: int) -> Levels:
    """Lengths of a listen queue that the kernel grants, and all that it grants."""

    def granted(facts: Facts) -> tuple[Level, ...]:
        fitting = {level for level in levels if level < facts.somaxconn}
        return tuple(sorted({*fitting, facts.somaxconn}))

    return granted


def shares_of_ram(*shares: float, domain: Quantity) -> Levels:
    """Shares of the memory, in whole MiB and in the component's own spelling."""
    return lambda facts: tuple(domain.spell(_share(facts, share)) for share in shares)


def share_of_ram(share: float, words: str) -> Limit:
    """A bound that is a share of the memory, in bytes."""
    return Limit(words, lambda facts: _share(facts, share))


def _share(facts: Facts, share: float) -> int:
    return max(1, int(facts.ram_bytes * share) // MIB) * MIB
