"""Other people's load tools, one file each, behind one contract.

A tool tells a summary in its own words and no single requests, so it is no LoadGenerator:
experiments need raw records and use labcoat's own. Tools are there to cross-check it, and to
use the scripts that people have.

Refuses: to take a tool's rate for what it counts (answers that are errors are left out); to
show a percentile of a closed loop without saying what it hides; to compare two tools' numbers
without their intervals and without saying which of them was the bottleneck.
"""

from __future__ import annotations

from pathlib import Path

from labcoat.errors import UsageError
from labcoat.load.tools.ab import Ab
from labcoat.load.tools.base import LoadTool
from labcoat.load.tools.gobench import Gobench
from labcoat.load.tools.h2load import H2load
from labcoat.load.tools.hey import Hey
from labcoat.load.tools.k6 import K6
from labcoat.load.tools.locust import Locust
from labcoat.load.tools.wrk import Wrk

GENERATORS: tuple[LoadTool, ...] = (Ab(), Wrk(), H2load(), Hey(), K6(), Locust(), Gobench())


def find_tool(name: str) -> LoadTool:
    """The tool of that name. Raises: UsageError."""
    for tool in GENERATORS:
        if tool.name == name:
            return tool
    raise UsageError(
        f"there is no load tool {name!r}",
        where="--tool",
        way_out=f"one or more of {', '.join(tool.name for tool in GENERATORS)}, with commas",
    )


def tool_for(script: Path) -> LoadTool:
    """The tool that takes a user's script. Raises: UsageError."""
    if not script.is_file():
        raise UsageError("there is no such script", where=script, way_out="check the path")
    for tool in GENERATORS:
        if tool.script and tool.script == script.suffix:
            return tool
    known = ", ".join(f"{each.script} ({each.name})" for each in GENERATORS if each.script)
    raise UsageError(
        f"no tool takes a script that ends in {script.suffix or 'nothing'!r}",
        where=script,
        way_out=f"known are {known}",
    )
