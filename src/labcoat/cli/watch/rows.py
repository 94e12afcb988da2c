"""The commands of the watch, as rows."""

from __future__ import annotations

from labcoat.cli.rows import CommandRow

COMMANDS: tuple[CommandRow, ...] = (
    CommandRow("init", "labcoat.cli.watch.init", "Write a commented example site to begin with."),
    CommandRow("check", "labcoat.cli.watch.check", "Find what is wrong with runbooks, and where."),
)
