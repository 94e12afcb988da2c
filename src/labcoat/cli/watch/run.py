"""``labcoat watch run``: the watch at work."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.watch.site import config_option, opened_site


@click.command(short_help="Watch: checks on schedule, actions as the runbooks say.")
@config_option
@click.option("--advise", "forced", flag_value="advise", help="Only advise, whatever is written.")
@click.option("--act", "forced", flag_value="act", help="Act on every runbook.")
def command(config: Path | None, forced: str | None) -> None:
    """Watch until SIGTERM or Ctrl-C: make the rounds of every runbook on its targets, decide,
    and act or advise.

    Without mode: act in the configuration, in a glob or in a runbook, nothing is done to
    a target: what would be done is advised, and labcoat watch apply does it. SIGHUP reads
    the runbooks again at once; a changed file is noticed anyway, and one that cannot be
    read leaves its last good revision in force.

    Only one watch works in a folder: a second one exits with 3 and names the first.
    """
    from labcoat.watch.engine.running import run_watch
    from labcoat.watch.model.runbook import Mode

    settings, shelf = opened_site(config, None if forced is None else Mode(forced))
    run_watch(settings, shelf, say=lambda line: click.echo(line, err=True))
