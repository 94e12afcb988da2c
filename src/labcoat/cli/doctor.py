"""``labcoat doctor``: what would spoil a measurement on this machine, and the remedy."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.options import json_option, open_study, print_document, study_option

if TYPE_CHECKING:
    from labcoat.host.readings import Readings
    from labcoat.lab.preflight.preflight import Diagnosis, Severity
    from labcoat.model.study import Study

SCHEMA = 1
_WORDS = {0: "ok", 1: "warn", 2: "bad"}
_STYLES = {0: "green", 1: "yellow", 2: "bold red"}


@click.command(short_help="Find what would spoil a measurement here.")
@study_option
@json_option
def command(study_file: Path | None, *, as_json: bool) -> None:
    """Look at this machine for a few seconds, once quiet and once with every CPU busy, and say
    what would spoil a measurement here: one row each, with a remedy.

    Warnings are answers: the exit status is 0 unless nothing could be measured at all.
    """
    from labcoat.host.local import LocalHost
    from labcoat.host.readings import take_readings
    from labcoat.lab.preflight.preflight import examine
    from labcoat.lab.preflight.programs import find_programs

    study = _study(study_file)
    project = Path.cwd() if study is None else study.root
    if sys.stderr.isatty():
        click.echo("looking at this machine: a few seconds, please", err=True)
    programs = find_programs(LocalHost(), study)
    readings = take_readings(project=project, programs=programs)
    rows = examine(readings)
    if as_json:
        print_document(document(readings, rows))
    elif sys.stdout.isatty():
        _print_table(rows)
    else:
        click.echo(plain(rows))


def _study(study_file: Path | None) -> Study | None:
    """The study named, or the nearest; None where there is none: a machine needs no study."""
    from labcoat.lab.study.study_file import find_study

    if study_file is None:
        from labcoat.errors import UsageError

        try:
            study_file = find_study(Path.cwd())
        except UsageError:
            return None
    return open_study(study_file)


def document(readings: Readings, rows: Sequence[Diagnosis]) -> dict[str, object]:
    """The JSON document."""
    return {
        "schema": SCHEMA,
        "worst": word(max(row.severity for row in rows)),
        "facts": {
            field.name: getattr(readings.facts, field.name)
            for field in dataclasses.fields(readings.facts)
            if field.name != "programs"
        },
        "programs": {program.name: program.found for program in readings.programs},
        "rows": [
            {
                "name": row.name,
                "severity": word(row.severity),
                "reading": row.reading,
                "value": row.value,
                "remedy": row.remedy,
            }
            for row in rows
        ],
    }


def word(severity: Severity) -> str:
    """ok, warn or bad."""
    return _WORDS[severity]


def verdict(rows: Sequence[Diagnosis]) -> str:
    """All rows in one sentence."""
    counts = [sum(row.severity == severity for row in rows) for severity in (2, 1)]
    if not any(counts):
        return "nothing here would spoil a measurement"
    kinds = zip(counts, ("bad", "warnings"), strict=True)
    told = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    return f"{told.replace('1 warnings', '1 warning')} of {len(rows)} rows"


def plain(rows: Sequence[Diagnosis]) -> str:
    """The rows as lines that a pipe, a log or a screen reader can take."""
    width = max(len(row.name) for row in rows)
    lines: list[str] = []
    for row in rows:
        lines.append(f"{word(row.severity):<4}  {row.name:<{width}}  {row.reading}")
        if row.remedy is not None:
            lines.append(f"      {'':<{width}}  remedy: {row.remedy}")
    return "\n".join((*lines, "", verdict(rows)))


def _print_table(rows: Sequence[Diagnosis]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("check", no_wrap=True)
    table.add_column("reading, and what to do", overflow="fold")
    for row in rows:
        said = Text(row.reading)
        if row.remedy is not None:
            said.append(f"\n{row.remedy}", style="dim")
        table.add_row(Text(word(row.severity), style=_STYLES[row.severity]), row.name, said)
    console = Console()
    console.print(table)
    console.print(f"\n{verdict(rows)}", highlight=False)
