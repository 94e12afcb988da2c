"""``labcoat watch status``: how everything is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from labcoat.cli.options import json_option, print_document
from labcoat.cli.watch.site import config_option, folder_of, reading, working_pid


@click.command(short_help="Tell how everything is: statuses, advice, breakers.")
@config_option
@json_option
def command(config: Path | None, *, as_json: bool) -> None:
    """Tell the latest status of every check, what is advised, which breakers are open, what
    is under way, and whether a watch is at work.

    The exit status is that of the gravest check: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    from labcoat.watch.engine.overview import overview
    from labcoat.watch.model.status import Status

    settings = folder_of(config)
    journal = reading(settings)
    try:
        seen = overview(journal)
    finally:
        journal.close()
    pid = working_pid(settings)
    document = seen.document(pid)
    if as_json:
        print_document(document)
        raise click.exceptions.Exit(int(seen.status))
    click.echo(_heading(document, pid))
    for line in seen.lines:
        if line.status is not Status.OK:
            ill = [f"{c} {s.name}" for c, s in line.standing.last.items() if s]
            click.echo(f"{line.status.name:<8} {line.target}  {line.name}: {', '.join(ill)}")
    for text in _board(document["board"]):
        click.echo(text)
    raise click.exceptions.Exit(int(seen.status))


def _heading(document: dict[str, Any], pid: int | None) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in document["counts"].items() if count)
    at_work = "no watch is at work" if pid is None else f"watching as process {pid}"
    late = document["board"].get("lateness")
    lateness = "" if late is None else f"; lateness p99 {late['late_p99_s'] * 1000:.0f} ms"
    return f"{at_work}; {counts or 'no rounds yet'}{lateness}"


def _board(board: dict[str, Any]) -> list[str]:
    lines = []
    if board.get("degraded"):
        lines.append(f"DEGRADED no action is begun: {board['degraded']}")
    if board.get("frozen"):
        lines.append("FROZEN   many targets are lost at once: the fault is probably ours")
    lines += [
        f"advice   {row['action']} on {row['target']} ({row['runbook']}):"
        f" labcoat watch apply {row['id']}"
        for row in board.get("advice", ())
    ]
    lines += [
        f"{row['phase']:<8} {row['action']} on {row['target']}, {row['id']}"
        for row in board.get("attempts", ())
    ]
    lines += [
        f"breaker  {row['breaker']}: {row['action']} on {row['target']} after"
        f" {row['failures']} failures: labcoat watch reset {row['id']}"
        for row in board.get("breakers", ())
    ]
    lines += [
        f"escalated {row['action']} on {row['target']}: {row['reason']};"
        f" labcoat watch ack {row['id']}"
        for row in board.get("escalations", ())
    ]
    for row in board.get("pauses", ()):
        until = time.strftime("%Y-%m-%d %H:%M", time.localtime(row["until_s"]))
        lines.append(f"paused   {row['glob']} until {until} by {row['by']}: {row['reason']}")
    lines += [f"finding  {text}" for text in board.get("findings", ())]
    return lines
