"""``labcoat watch export``: for Prometheus, and for who knows Automatron's dashboard."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.watch.site import config_option, folder_of


@click.command(short_help="Give statuses and measurements to Prometheus.")
@click.option("--listen", metavar="HOST:PORT", help="Serve them, e.g. on 127.0.0.1:9143.")
@click.option("--status-json", is_flag=True, help="Print Automatron's /api/status instead.")
@config_option
def command(listen: str | None, config: Path | None, *, status_json: bool) -> None:
    """Print statuses, lateness, attempts, breakers and the latest performance data in
    Prometheus' text format; with --listen serve them under /metrics, and under /status.json
    a document shaped as Automatron's /api/status. It only reads the journal, so it may run
    beside the watch or without one.
    """
    from labcoat.watch.engine.serving import exported, serve

    settings = folder_of(config)
    if listen is None:
        click.echo(exported(settings, as_status=status_json), nl=False)
        return
    serve(settings, listen, say=lambda line: click.echo(line, err=True))
