"""Routes: what thousands of targets have in common, with the parts that vary set apart.

A part of a path varies if it is a number, a UUID or a hash, or if too many different ones
stand at its place (slugs). Of what varies a sample is kept, so that memory is bounded and
popular values stay popular.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import unquote_plus

from labcoat.workload.secrets import AFTER, LEAST_LENGTH, is_secret_name, looks_random

SLOT = "\0"
"""Stands in a route for what varies."""

SAMPLE = 1000
"""Values kept of each route: the file of a placeholder has at most so many lines."""

SIBLINGS = 24
"""So many different words at one place of a path are slugs; the popular ones stay words."""

POPULAR = 0.05
"""The share among its siblings from which a word stays a word."""

MOST_ROUTES = 4000
CACHE = 200_000

_NUMBERED = re.compile(r"(.*[-_.])?(\d+)(\.[A-Za-z]\w*)?")
_HASHED = re.compile(r"(.+[-.])([0-9a-f]{7,64})(\.\w+(?:\.\w+)?)", re.IGNORECASE)
_ID = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=\w*\d)[0-9a-f]{12,64}",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(r"^https?://[^/?#]*", re.IGNORECASE)
_ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})")

Shape = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Method, parts of the path (with slots), names of the parameters."""


class TokenInPathError(Exception):
    """A part of the path is a secret; the message is the path up to it."""


@dataclass(slots=True)
class Tally:
    """One route while it is being counted. ``sample``: what stood in its slots."""

    count: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    sample: list[tuple[str, ...]] = field(default_factory=list)
    _next: int = 0  # the next request that enters the sample, once it is full
    _rate: float = 1.0

    def add(self, values: tuple[str, ...], status: int, count: int, rng: Random) -> None:
        """Count requests; each stays in the sample with equal chance (Li's algorithm L)."""
        self.statuses[status] = self.statuses.get(status, 0) + count
        if len(self.sample) == SAMPLE and self._next >= self.count + count:
            self.count += count
            return
        room = min(SAMPLE - len(self.sample), count)
        if room > 0:
            self.sample += [values] * room
            if len(self.sample) == SAMPLE:
                self._next = self.count + room
                self._skip(rng)
        self.count += count
        while len(self.sample) == SAMPLE and self._next < self.count:
            self.sample[rng.randrange(SAMPLE)] = values
            self._skip(rng)

    def _skip(self, rng: Random) -> None:
        self._rate *= math.exp(math.log(1.0 - rng.random()) / SAMPLE)
        self._next += 1 + int(math.log(1.0 - rng.random()) / math.log1p(-self._rate))


class Router:
    """Counts requests by route; bounded in memory whatever it is given."""

    def __init__(self, *, seed: int = 1) -> None:
        self.tallies: dict[Shape, Tally] = {}
        self.dropped: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.forgotten_routes = 0
        self.forgotten = 0
        self._wild: set[Shape] = set()
        self._cache: dict[tuple[str, str], tuple[Shape, tuple[str, ...], tuple[str, ...]]] = {}
        self._rng = Random(seed)

    def add(self, method: str, target: str, status: int, count: int) -> None:
        """Count requests that were answered well."""
        known = self._cache.get((method, target))
        if known is None:
            try:
                known = split(method, target)
            except TokenInPathError as error:
                self.tokens[f"{method} {error}"] += count
                return
            if len(self._cache) >= CACHE:
                self._cache.clear()
            known = self._generalised(known)
            if not known[2]:  # what holds a secret will hardly come again
                self._cache[method, target] = known
        shape, values, secrets = known
        for name in secrets:
            self.dropped[name] += count
        tally = self.tallies.get(shape)
        if tally is None:
            tally = self.tallies[shape] = Tally()
        tally.add(values, status, count, self._rng)
        if len(self.tallies) > MOST_ROUTES:
            self.fold()

    def _generalised(
        self, known: tuple[Shape, tuple[str, ...], tuple[str, ...]]
    ) -> tuple[Shape, tuple[str, ...], tuple[str, ...]]:
        """The route that slugs were folded into, if this is one more of them."""
        shape, values, secrets = known
        if self._wild and shape not in self.tallies:
            for place, wider in _wider(shape):
                if wider in self._wild:
                    return wider, _inserted(shape, place, values), secrets
        return known

    def fold(self) -> None:
        """Make slugs of the words that have too many siblings, the most numerous first.

        Where routes are too many for memory three siblings are too many, and what is
        rarest is forgotten, and counted.
        """
        limit = SIBLINGS
        while self._fold_once(limit) or (limit > 2 and len(self.tallies) > MOST_ROUTES):
            limit = 2 if len(self.tallies) > MOST_ROUTES else SIBLINGS
        if len(self.tallies) > MOST_ROUTES:
            for shape, tally in ordered(self.tallies.items())[MOST_ROUTES // 2 :]:
                self.forgotten_routes += 1
                self.forgotten += tally.count
                del self.tallies[shape]
        self._cache.clear()

    def _fold_once(self, limit: int) -> bool:
        """Fold every family with more than ``limit`` members; whether there was one."""
        families: dict[Shape, list[tuple[Shape, int]]] = defaultdict(list)
        for shape in self.tallies:
            for place, wider in _wider(shape):
                families[wider].append((shape, place))
        has_folded = False
        for wider, members in sorted(families.items(), key=lambda item: -len(item[1])):
            left = [(shape, place) for shape, place in members if shape in self.tallies]
            if len(left) <= limit:
                continue
            total = sum(self.tallies[shape].count for shape, _ in left)
            rare = [
                (shape, place)
                for shape, place in left
                if limit < SIBLINGS or self.tallies[shape].count < POPULAR * total
            ]
            self._merge(wider, rare)
            has_folded = True
        return has_folded

    def _merge(self, wider: Shape, members: Sequence[tuple[Shape, int]]) -> None:
        """One route of several; samples are drawn in proportion to what they stand for."""
        parts = [(self.tallies.pop(shape), shape, place) for shape, place in members]
        old = self.tallies.pop(wider, None)
        samples = [[_inserted(s, place, v) for v in tally.sample] for tally, s, place in parts]
        tallies = [tally for tally, _, _ in parts]
        if old is not None:
            samples.append(old.sample)
            tallies.append(old)
        merged = Tally(count=sum(tally.count for tally in tallies))
        for tally in tallies:
            for status, count in tally.statuses.items():
                merged.statuses[status] = merged.statuses.get(status, 0) + count
        if merged.count <= SAMPLE:
            merged.sample = [values for sample in samples for values in sample]
        else:
            counts = [tally.count for tally in tallies]
            drawn = self._rng.choices(samples, weights=counts, k=SAMPLE)
            merged.sample = [self._rng.choice(sample) for sample in drawn]
            merged._rate = SAMPLE / merged.count  # noqa: SLF001 as it would be, had it counted all
            merged._next = merged.count  # noqa: SLF001
        self.tallies[wider] = merged
        self._wild.add(wider)


def _wider(shape: Shape) -> Iterator[tuple[int, Shape]]:
    """The shapes with one word more set apart; ``place``: which part of the path that is."""
    method, parts, names = shape
    for place in range(len(parts)):
        if SLOT not in parts[place] and parts[place]:
            yield place, (method, (*parts[:place], SLOT, *parts[place + 1 :]), names)


def _inserted(shape: Shape, place: int, values: tuple[str, ...]) -> tuple[str, ...]:
    """The values with the word at this place among them."""
    index = sum(SLOT in part for part in shape[1][:place])
    return (*values[:index], shape[1][place], *values[index:])


def split(method: str, target: str) -> tuple[Shape, tuple[str, ...], tuple[str, ...]]:
    """The shape of a target, what stands in its slots, and the names of secrets in it.

    Secrets are taken out. Raises: TokenInPathError.
    """
    if "\\" in target:
        target = _ESCAPE.sub(r"%\1", target)
    if not target.startswith("/"):
        target = _ABSOLUTE.sub("", target)
    path, _, query = target.partition("#")[0].partition("?")
    parts: list[str] = []
    values: list[str] = []
    before = ""
    for part in path.split("/")[1:]:
        if len(part) >= LEAST_LENGTH and before.lower() in AFTER and looks_random(part):
            raise TokenInPathError("/".join(["", *parts, "…"]))
        pattern, value = _part(part)
        parts.append(pattern)
        if value is not None:
            values.append(value)
        before = part
    names, given, secrets = split_query(query)
    return (method, tuple(parts), names), (*values, *given), secrets


def _part(part: str) -> tuple[str, str | None]:
    """A part of a path: its pattern, and what varies in it, if anything does."""
    if part.isalpha() or not part:
        return part, None
    if part.isdecimal():
        return SLOT, part
    if _ID.fullmatch(part):
        return SLOT, part
    found = _NUMBERED.fullmatch(part) or _HASHED.fullmatch(part)
    if found is None:
        return part, None
    return f"{found[1] or ''}{SLOT}{found[3] or ''}", found[2]


def split_query(query: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names and values of a query as they are spelt, and the names of the secrets left out.

    A name ends with ``=`` where it has a value.
    """
    if not query:
        return (), (), ()
    names: list[str] = []
    values: list[str] = []
    secrets: list[str] = []
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if not pair:
            continue
        if looks_random(_plain(name)):
            secrets.append("(a random name)")
        elif not equals:
            names.append(name)
        elif is_secret_name(_plain(name)) or looks_random(_plain(value)):
            secrets.append(_plain(name))
        else:
            names.append(f"{name}=")
            values.append(value)
    return tuple(names), tuple(values), tuple(secrets)


def _plain(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def pieces_of(shape: Shape) -> list[str]:
    """The target as literal pieces; between each two of them stands one slot."""
    _, parts, names = shape
    path = "/" + "/".join(parts)
    query = "&".join(f"{name}{SLOT}" if name.endswith("=") else name for name in names)
    return (f"{path}?{query}" if query else path).split(SLOT)


def ordered(tallies: Iterable[tuple[Shape, Tally]]) -> list[tuple[Shape, Tally]]:
    """The most frequent first."""
    return sorted(tallies, key=lambda item: (-item[1].count, item[0]))
