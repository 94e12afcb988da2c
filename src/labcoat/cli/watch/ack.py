"""``labcoat watch ack``: seen, thank you."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.options import json_option, print_document
from labcoat.cli.watch.site import config_option, request

SCHEMA = 1


@click.command(short_help="Acknowledge: hide an advice, silence an escalation.")
@click.argument("id_", metavar="ID")
@config_option
@json_option
def command(id_: str, config: Path | None, *, as_json: bool) -> None:
    """Acknowledge the advice or escalation ID (as labcoat watch status shows it): an advice
    is hidden, an escalation is not told again. Journaled with your name.
    """
    reply = request(config, "ack", id=id_)
    if as_json:
        print_document({"schema": SCHEMA, **reply})
    else:
        click.echo(f"acknowledged: {reply['action']} on {reply['target']}")
