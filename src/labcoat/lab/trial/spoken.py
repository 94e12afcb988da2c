"""The requests of a mix one by one, taken from the very bytes that the generator sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from labcoat.load import captures
from labcoat.load.binding import Bound, bind, bind_setup
from labcoat.model.load import Target
from labcoat.model.workload import Capture, Workload

TARGET = Target(url="http://127.0.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One request as it goes over the wire. ``route``: its name in the workload.

    It may hold marks of what its user captured; ``captures``: what it captures itself.
    """

    route: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    captures: tuple[Capture, ...] = ()

    def filled(self, values: Mapping[str, str]) -> Spoken:
        """The request as a user sends it who has captured these."""
        fields = {name.lower(): value for name, value in self.headers}
        spell = captures.in_body(fields.get("content-type", ""))
        return replace(
            self,
            path=captures.fill(self.path, values, captures.in_path),
            headers=tuple((name, captures.fill(value, values)) for name, value in self.headers),
            body=captures.fill(self.body.decode(), values, spell).encode(),
        )


def spoken(workload: Workload, *, seed: int, count: int) -> Iterator[Spoken]:
    """The first requests of a slice with this seed. Raises: UsageError, LoadError."""
    for bound in islice(bind(workload, TARGET, seed=seed), count):
        yield _spoken(bound, workload.routes[bound[1].index])


def spoken_setup(workload: Workload, *, user: int) -> Iterator[Spoken]:
    """What this user sends before its first slice. Raises: UsageError, LoadError."""
    for bound, step in zip(bind_setup(workload, TARGET, user=user), workload.setup, strict=True):
        yield _spoken(bound, step.name)


def _spoken(bound: Bound, name: str) -> Spoken:
    wire, route = bound
    head, _, body = wire.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    return Spoken(
        route=name,
        method=method,
        path=path,
        headers=tuple(_header(line) for line in fields),
        body=body,
        captures=route.captures,
    )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
