"""``labcoat watch apply``: do what is advised."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.options import json_option, print_document
from labcoat.cli.watch.site import config_option, refused, request

SCHEMA = 1


@click.command(short_help="Do what is advised, after checking again.")
@click.argument("id_", metavar="ID")
@config_option
@json_option
def command(id_: str, config: Path | None, *, as_json: bool) -> None:
    """Carry out the advice ID: its checks are made again first, and if all are OK by now
    nothing is done. Journaled with your name; limits and breakers hold as ever.
    """
    reply = request(config, "apply", id=id_)
    if as_json:
        print_document({"schema": SCHEMA, **reply})
    refused(reply)
    if not as_json:
        begun = reply["started"]
        click.echo(f"begun as {begun}: labcoat watch history --attempt {begun}")
