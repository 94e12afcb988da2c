"""The seam of this folder: what an adapter of somebody else's load tool must do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from labcoat.errors import LoadError
from labcoat.model.stats import LabWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOrder:
    """What a tool is asked for: one kind of request, so many users, for so long.

    ``url``: with path and query. ``measure_s``: whole seconds are what most tools can do;
    adapters round up. ``script``: the user's own file, used as it is instead of the request.
    """

    url: str
    users: int
    measure_s: float
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    keep_alive: bool = True
    timeout_s: float = 30.0
    script: Path | None = None

    @property
    def seconds(self) -> int:
        """The length in whole seconds, at least one."""
        return max(1, -int(-self.measure_s // 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Everything that a tool left behind. ``files``: name -> text, of those it was asked for."""

    status: int
    stdout: str
    stderr: str
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a tool's own words say of one slice, in our words.

    ``ok``: answers with a status below 400; ``wrong_status``: other answers; ``failed``:
    requests without an answer. ``elapsed_s``: as the tool measured it. ``own_per_s``: the rate
    that the tool itself prints. ``latencies_s``: quantile -> seconds, those that it tells.
    """

    ok: int
    wrong_status: int
    failed: int
    elapsed_s: float
    own_per_s: float
    latencies_s: Mapping[float, float] = field(default_factory=dict)
    max_s: float | None = None
    warnings: tuple[LabWarning, ...] = ()

    @property
    def throughput_per_s(self) -> float:
        """OK answers per second: what is compared, whatever the tool calls its rate."""
        return self.ok / self.elapsed_s


class LoadTool(Protocol):
    """An adapter. Pure: argv and files from an order, numbers from what the tool said.

    ``script``: the suffix of users' scripts that it takes, "" for none. ``threads``: how many
    cores it may keep busy, 0 for all. ``hides_stalls``: a closed loop, whose percentiles leave
    out what waited while nobody asked; shown with every latency that it tells.
    """

    name: ClassVar[str]
    script: ClassVar[str]
    threads: ClassVar[int]
    hides_stalls: ClassVar[bool]
    version_argv: ClassVar[tuple[str, ...]]
    install: ClassVar[str]

    def lacks(self, order: ToolOrder) -> str | None:
        """What of an order it cannot do, in words; None if it can."""

    def files(self, order: ToolOrder) -> Mapping[str, str]:
        """Files to write beside it before it starts, name -> text."""

    def argv(self, order: ToolOrder, folder: Path) -> tuple[str, ...]:
        """What to start. ``folder``: where its files lie, and where it leaves others."""

    def leaves(self, order: ToolOrder) -> tuple[str, ...]:
        """Names of the files that it leaves behind to be read."""

    def read(self, said: Said) -> Told:
        """What it said. Raises: LoadError where that is not a result, with its last words."""


_DURATION = re.compile(r"([\d.]+)\s*(us|µs|ms|s|m|h)")
_SCALE = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Seconds of ``453.00us``, ``7.86ms``, ``1.20s``, ``1m2.5s``. Raises: ValueError."""
    parts = _DURATION.findall(text)
    if not parts:
        raise ValueError(f"not a duration: {text!r}")
    return sum(float(number) * _SCALE[unit] for number, unit in parts)


def number_of(pattern: str, text: str, *, default: float | None = None) -> float:
    """The number that a pattern's first group finds. Raises: ValueError without a default."""
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        if default is None:
            raise ValueError(f"no line like {pattern!r}")
        return default
    return float(found[1].replace(",", ""))


def no_result(name: str, said: Said, why: str) -> LoadError:
    """The error of an output that is no result."""
    words = (said.stderr.strip() or said.stdout.strip()).splitlines()[-20:]
    return LoadError(
        f"{name} gave no result: {why}",
        where=f"{name}, exit status {said.status}",
        way_out="see its last words above; try the same command by hand",
        log=words,
    )
