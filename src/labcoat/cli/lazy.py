"""A group of commands, each imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import click

from labcoat.cli.rows import CommandRow


class LazyGroup(click.Group):
    """The group of some rows; guesses what an unknown command was meant to be."""

    def __init__(self, rows: Sequence[CommandRow], **attributes: Any) -> None:
        super().__init__(**attributes)
        self.rows = {row.name: row for row in rows}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the rows."""
        del ctx
        return list(self.rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and give its ``command``."""
        del ctx
        row = self.rows.get(cmd_name)
        if row is None:
            return None
        command = importlib.import_module(row.module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{row.module}.command is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; guesses what an unknown one was to be."""
        if args[0] not in self.rows and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], self.rows, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The rows as a table; imports nothing."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.summary) for row in self.rows.values()])
