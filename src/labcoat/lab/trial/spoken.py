"""The requests of a mix one by one, taken from the very bytes that the generator sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from labcoat.load.binding import bind
from labcoat.model.load import Target
from labcoat.model.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """One request as it goes over the wire. ``route``: its name in the workload."""

    route: str
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def spoken(workload: Workload, *, seed: int, count: int) -> Iterator[Spoken]:
    """The first requests of a slice with this seed. Raises: UsageError, LoadError."""
    target = Target(url="http://127.0.0.1")
    for wire, route in islice(bind(workload, target, seed=seed), count):
        head, _, body = wire.partition(b"\r\n\r\n")
        first, *fields = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        yield Spoken(
            route=workload.routes[route.index],
            method=method,
            path=path,
            headers=tuple(_header(line) for line in fields),
            body=body,
        )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
