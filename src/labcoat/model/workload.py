"""Workloads: which requests are sent, and what a right answer looks like."""

from __future__ import annotations

from dataclasses import dataclass

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
    """One kind of request in the mix.

    ``path``, header values and ``body`` may hold placeholders: ``{1..500}`` (a whole
    number, uniform), ``{uuid}``, ``{file:ids.txt}`` (a line of the file, uniform),
    ``{a|b|c}`` (one of the words); ``{{`` and ``}}`` are literal braces.
    ``weight``: relative share of the mix, > 0.
    ``name``: the route's name in records and reports.
    """

    path: str
    name: str
    method: str = "GET"
    weight: float = 1.0
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    expect: Expectation = Expectation()

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"path must start with '/': {self.path!r}")
        if not self.weight > 0:
            raise ValueError(f"weight must be > 0: {self.weight!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A weighted mix of requests.

    ``cookies``: whether each user keeps the cookies it is given.
    ``base_dir``: the folder that ``{file:...}`` names start from.
    ``normalise``: patterns of what may differ between two equal answers; taken out of
    bodies before the answers of two arms are compared.
    """

    requests: tuple[RequestTemplate, ...]
    cookies: bool = True
    base_dir: str = "."
    normalise: tuple[str, ...] = ()

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
