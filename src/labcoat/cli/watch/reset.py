"""``labcoat watch reset``: close a breaker."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.options import json_option, print_document
from labcoat.cli.watch.site import config_option, request

SCHEMA = 1


@click.command(short_help="Close a breaker that failed cures have opened.")
@click.argument("breaker", metavar="BREAKER")
@config_option
@json_option
def command(breaker: str, config: Path | None, *, as_json: bool) -> None:
    """Close the breaker of an action on a target, by its id in labcoat watch status.
    Journaled with your name.
    """
    reply = request(config, "reset", id=breaker)
    if as_json:
        print_document({"schema": SCHEMA, **reply})
    else:
        click.echo(f"closed: {reply['action']} on {reply['target']} may be done again")
