"""Drafts: what a source yields, complete enough to be written and told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labcoat.model.workload import RequestTemplate


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A kind of request that the draft does not hold, how often it was seen, and why."""

    route: str
    count: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A workload as a source tells it.

    ``origin``: what it was read from. ``requests``: the mix; weights are counts.
    ``values``: the lists that ``{file:NAME}`` in the requests name, by file name; a line
    occurs as often as it was asked for. ``left_out``: what was seen and is not in the mix.
    ``dropped``: names of secrets that were taken out, and how often. ``notes``: what else
    the reader should know. ``facts``: numbers about the source, for ``--json``.
    """

    origin: str
    requests: tuple[RequestTemplate, ...]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


def literal(text: str) -> str:
    """A text of a source as a template holds it: its braces are braces."""
    return text.replace("{", "{{").replace("}", "}}")


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """The name, or the first of ``NAME #2``, ``NAME #3``, ... that nobody has."""
    known = set(taken)
    number, name = 1, wanted
    while name in known:
        number += 1
        name = f"{wanted} #{number}"
    return name
