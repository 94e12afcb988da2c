"""``labcoat watch pause``: hands off, for a while."""

from __future__ import annotations

import time
from pathlib import Path

import click

from labcoat.cli.options import Duration, json_option, print_document
from labcoat.cli.watch.site import config_option, request

SCHEMA = 1


@click.command(short_help="Begin no action on some targets for a while.")
@click.argument("glob", default="*")
@click.option("--for", "for_s", type=Duration(), required=True, metavar="TIME", help="20m, 2h.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is journaled.")
@config_option
@json_option
def command(glob: str, for_s: float, reason: str, config: Path | None, *, as_json: bool) -> None:
    """Begin no action on the targets that GLOB matches (all, if none is given). Checks go on.
    Journaled with your name; labcoat watch resume ends it sooner.
    """
    reply = request(config, "pause", glob=glob, for_s=for_s, reason=reason)
    if as_json:
        print_document({"schema": SCHEMA, **reply})
    else:
        until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(reply["until_s"]))
        click.echo(f"no action on {reply['glob']} until {until}")
