"""Workloads: which requests are sent, and what a right answer looks like."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Source(Enum):
    """Where in an answer a value is captured from."""

    REGEX = "regex"  # the first group (or the whole match) in the decoded body
    JSON = "json"  # an RFC 6901 pointer into the decoded body
    HEADER = "header"  # the value of a header of the answer
    COOKIE = "cookie"  # the value of a cookie that the answer sets


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A value that a user takes from an answer and uses in later requests.

    ``name``: what ``{captured:NAME}`` calls it. ``expression``: a regular expression, a
    pointer, or the name of a header or cookie, as ``source`` says.
    """

    name: str
    source: Source
    expression: str


SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that ask and change nothing (RFC 9110, section 9.2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a right answer looks like.

    ``statuses``: the accepted status codes; empty means any below 400.
    ``contains``: bytes that the body must hold (decoded, first MiB), or None.
    ``min_bytes``: the least size of the body.
    """

    statuses: tuple[int, ...] = ()
    contains: str | None = None
    min_bytes: int = 0

    def accepts(self, status: int) -> bool:
        """Whether this status is an accepted one."""
        return status in self.statuses if self.statuses else 100 <= status < 400


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTemplate:
    """One kind of request in the mix, or one step of the set-up.

    ``path``, header values and ``body`` may hold placeholders: ``{1..500}`` (a whole
    number, uniform), ``{uuid}``, ``{file:ids.txt}`` (a line of the file, uniform),
    ``{a|b|c}`` (one of the words), ``{env:NAME}`` (a variable of the environment),
    ``{user}`` (the user's number, from 1), ``{captured:NAME}`` (what the user captured);
    ``{{`` and ``}}`` are literal braces.
    ``weight``: relative share of the mix, > 0; a step of the set-up has none.
    ``captures``: what is taken from a right answer; without one the request has failed.
    ``name``: the route's name in records and reports.
    """

    path: str
    name: str
    method: str = "GET"
    weight: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    expect: Expectation = Expectation()
    captures: tuple[Capture, ...] = ()

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"path must start with '/': {self.path!r}")
        if not self.weight > 0:
            raise ValueError(f"weight must be > 0: {self.weight!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A weighted mix of requests, and what each user does once before it.

    ``setup``: steps that each user takes in order before its first slice (a login); not
    measured. The user begins every slice with the cookies and captures that they left.
    ``cookies``: whether each user keeps the cookies it is given.
    ``base_dir``: the folder that ``{file:...}`` names start from.
    ``normalise``: patterns of what may differ between two equal answers; taken out of
    bodies before the answers of two arms are compared.
    """

    requests: tuple[RequestTemplate, ...]
    cookies: bool = True
    base_dir: str = "."
    normalise: tuple[str, ...] = ()
    setup: tuple[RequestTemplate, ...] = ()

    def __post_init__(self) -> None:
        if not self.requests:
            raise ValueError("a workload needs at least one request")
        names = [request.name for request in self.requests]
        if len(set(names)) != len(names):
            raise ValueError("two requests of a workload have the same name")

    @property
    def writes(self) -> bool:
        """Whether a request may change what the app keeps, as its method says."""
        return any(request.method.upper() not in SAFE for request in self.requests)

    @property
    def routes(self) -> tuple[str, ...]:
        """The names of the requests, in order; records index into this."""
        return tuple(request.name for request in self.requests)
