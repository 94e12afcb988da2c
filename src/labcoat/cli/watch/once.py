"""``labcoat watch once``: one round of everything, now."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.options import json_option, print_document
from labcoat.cli.watch.site import config_option, opened_site

SCHEMA = 1


@click.command(short_help="Make one round of everything, and advise; changes nothing.")
@click.argument("glob", default="*")
@config_option
@json_option
def command(glob: str, config: Path | None, *, as_json: bool) -> None:
    """Make one round of every runbook on the targets that GLOB matches, and tell which
    actions it would call for. Nothing is done and nothing is journaled; counters and
    streaks count on from the journal, if there is one.

    The exit status is that of the gravest check: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    from labcoat.watch.engine.once import one_round

    settings, shelf = opened_site(config)
    made = one_round(settings, shelf, glob)
    if as_json:
        print_document(
            {
                "schema": SCHEMA,
                "status": made.status.name,
                "rounds": [line.document() for line in made.lines],
            }
        )
    else:
        for line in made.lines:
            click.echo(f"{line.status.name:<8} {line.target}  {line.name}")
            for check, status, text in line.checks:
                click.echo(f"  {status.name:<8} {check}: {text}")
            for action in line.fired:
                click.echo(f"  would do: {action}")
    raise click.exceptions.Exit(int(made.status))
