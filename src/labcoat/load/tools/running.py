"""Tools at work: found, asked for their version, run for one slice and read."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import HostError, LoadError, ToolMissing, UsageError
from labcoat.host.base import Host
from labcoat.load.tools.base import LoadTool, Said, Told, ToolOrder
from labcoat.model.host import HostCounters

OWN = "labcoat"
"""Our own generator, where it is told beside the tools."""

PATIENCE_S = 30.0
"""How much longer than asked (and than the request timeout) a tool may take."""

BESIDE = str(Path(sys.executable).parent)
"""Where a tool that was installed beside labcoat lies, though nobody put that on PATH."""

MOST_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSlice:
    """One slice of a tool, and what it cost.

    ``cpu_s``: of the tool and all that it started. ``cores``: how many it may keep busy.
    ``wall_s``: from its start to its end. ``idle_ratio``: the machine's idle share meanwhile.
    """

    tool: str
    told: Told
    cpu_s: float
    wall_s: float
    cores: float
    idle_ratio: float

    @property
    def cpu_ratio(self) -> float:
        """CPU that it used, of what it can use: near 1 it was the bottleneck itself."""
        return self.cpu_s / self.wall_s / self.cores

    @property
    def cpu_per_request_s(self) -> float:
        """CPU seconds that a request cost the tool, whatever became of it."""
        told = self.told
        return self.cpu_s / max(told.ok + told.wrong_status + told.failed, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A tool that is there. ``version``: in its own words, "" where it does not say."""

    tool: LoadTool
    program: str
    version: str


def locate(tool: LoadTool, order: ToolOrder, host: Host) -> Found:
    """The tool, if it is there and can do what is asked. Raises: ToolMissing, UsageError."""
    lacks = tool.lacks(order)
    if lacks is not None:
        raise UsageError(lacks, where=f"--tool {tool.name}", way_out="leave it out of --tool")
    program = shutil.which(tool.name) or shutil.which(tool.name, path=BESIDE)
    if program is None:
        raise ToolMissing(
            f"{tool.name} is not installed", where="PATH", way_out=f"install it: {tool.install}"
        )
    return Found(tool=tool, program=program, version=_version(tool, program, host))


def _version(tool: LoadTool, program: str, host: Host) -> str:
    if not tool.version_argv:
        return ""
    completed = host.run((program, *tool.version_argv[1:]), timeout_s=PATIENCE_S)
    lines = (completed.stdout + completed.stderr).strip().splitlines()
    return lines[0].partition(" Copyright")[0].partition(" from ")[0] if lines else ""


def run_tool(found: Found, order: ToolOrder, host: Host, *, cores: int) -> ToolSlice:
    """One slice. The tool dies with labcoat, however that ends.

    It starts where labcoat was started and with the user's own environment, for a script
    may need both; what it writes goes to a folder that is gone afterwards.
    ``cores``: how many this process may use. Raises: LoadError if it gave no result.
    """
    tool = found.tool
    with tempfile.TemporaryDirectory(prefix="labcoat-load-") as name:
        folder = Path(name)
        for file, text in tool.files(order).items():
            (folder / file).write_text(text, encoding="utf-8")
        argv = (found.program, *tool.argv(order, folder)[1:])
        before = host.counters()
        began = time.monotonic()
        try:
            completed = host.run(
                argv,
                timeout_s=order.seconds + order.timeout_s + PATIENCE_S,
                env=dict(os.environ),
            )
        except HostError as error:
            raise LoadError(
                f"{tool.name} could not be used: {error.what}",
                where=" ".join(argv),
                way_out="try the same command by hand",
                log=error.log,
            ) from error
        wall_s = time.monotonic() - began
        after = host.counters()
        said = Said(
            status=completed.status,
            stdout=completed.stdout,
            stderr=completed.stderr,
            files={each: _text(folder / each) for each in tool.leaves(order)},
        )
    return ToolSlice(
        tool=tool.name,
        told=insist(tool.read(said), tool.name, order.url),
        cpu_s=completed.cpu_s,
        wall_s=wall_s,
        cores=float(min(tool.threads or cores, cores)),
        idle_ratio=idle_ratio(before, after),
    )


def insist(told: Told, tool: str, url: str) -> Told:
    """The same, if anything was answered well. Raises: LoadError: errors are no throughput."""
    if not told.ok:
        raise LoadError(
            f"{tool} was not answered well once: {told.wrong_status:,} answers had a status from"
            f" 400, {told.failed:,} requests had none",
            where=url,
            way_out="see what the server says; a tool's own rate would count such answers",
        )
    return told


def idle_ratio(before: HostCounters, after: HostCounters) -> float:
    """Share of the machine's CPU time that nobody used between two readings."""
    span_s = (after.at_ns - before.at_ns) / 1e9 * after.cores
    idle_s = after.idle_s + after.iowait_s - before.idle_s - before.iowait_s
    return max(0.0, idle_s) / span_s if span_s else 0.0


def _text(path: Path) -> str:
    """What a tool left in a file; nothing where it left none."""
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return ""
    return path.read_text(encoding="utf-8", errors="replace")
