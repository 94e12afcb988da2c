"""The one error tree.

    LabcoatError                                                 exit 1
      UsageError        a flag or a file is wrong                exit 2
      PreflightError    this host cannot measure
      HostError         the operating system said no
      JournalError      the journal cannot be read or written
      AnalysisError     a sample cannot be judged
      StackError        a component failed
        RenderError     a file cannot be made, or is refused
        NotReady        never booted
        Died            booted, then gone
      LoadError         the load could not be put on
        ToolMissing     a load tool is not installed
        Saturated       the generator, not the stack, was the limit

Every message has three parts: what happened, where, and the way out. Foreign
exceptions are translated where they enter and always chained. Only the front
door (``labcoat.cli``) turns an error into an exit status.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar


class LabcoatError(Exception):
    """Anything labcoat can tell its user; the root of the tree."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        way_out: str | None = None,
        log: Sequence[str] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.way_out = way_out
        self.log = tuple(log)

    def __str__(self) -> str:
        """The message in its three parts, each on lines of its own."""
        lines = [self.what]
        lines += [f"  {line}" for line in self.log]
        if self.where is not None:
            lines.append(f"  where    {self.where}")
        if self.way_out is not None:
            lines.append(f"  way out  {self.way_out}")
        return "\n".join(lines)


class UsageError(LabcoatError):
    """A flag or a file that the user wrote is wrong; all mistakes at once, in ``log``."""

    exit_code = 2


class PreflightError(LabcoatError):
    """The host cannot measure what was asked."""


class HostError(LabcoatError):
    """The operating system refused: no room, no permission, no such program."""


class JournalError(LabcoatError):
    """The journal cannot be opened, read or written."""


class AnalysisError(LabcoatError):
    """A sample is too small or degenerate to be judged."""


class StackError(LabcoatError):
    """A component of the stack failed; ``log`` holds its own last words."""


class RenderError(StackError):
    """A component's files cannot be made, or the component's own check refuses them."""


class NotReady(StackError):
    """A component never booted: it exited, or did not answer in time."""


class Died(StackError):
    """A component booted, and then was gone."""


class LoadError(LabcoatError):
    """The load could not be put on."""


class ToolMissing(LoadError):
    """A load tool is not installed."""


class Saturated(LoadError):
    """The generator, not the stack, was the limit."""
