"""``labcoat watch resume``: go on."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.options import json_option, print_document
from labcoat.cli.watch.site import config_option, request

SCHEMA = 1


@click.command(short_help="End a pause.")
@click.argument("glob", required=False)
@config_option
@json_option
def command(glob: str | None, config: Path | None, *, as_json: bool) -> None:
    """End the pauses of exactly this GLOB; all of them, if none is given."""
    reply = request(config, "resume", glob=glob)
    if as_json:
        print_document({"schema": SCHEMA, **reply})
    else:
        click.echo(f"{reply['pauses']} pauses remain")
