"""``labcoat diff``: the patch of the latest finished campaign."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from labcoat.cli.options import json_option, open_study, print_document, study_option

SCHEMA = 1


@click.command(short_help="Print the patch that the latest campaign hands over.")
@study_option
@json_option
def command(study_file: Path | None, *, as_json: bool) -> None:
    """Print the patch that the latest finished campaign hands over: your own files with
    the tuned levels and nothing else changed, as git apply and patch -p1 take it from the
    study's folder. What no file holds is said in comments above it.

    It shows lines of your files, secrets included. Changes nothing; labcoat apply does
    the same as the patch, and can be undone.
    """
    from labcoat.cli.handover_text import open_tuned
    from labcoat.lab.handover.applying import proposed

    study = open_study(study_file)
    with open_tuned(study) as (journal, tuned):
        found, _ = proposed(study, journal, tuned)
    if as_json:
        print_document(
            {
                "schema": SCHEMA,
                "study": study.name,
                "study_id": tuned.study_id,
                "at": tuned.at,
                "assignment": tuned.variant.assignment,
                "state": None if found.state is None else found.state.number,
                "files": [asdict(file) for file in found.files],
                "by_hand": found.by_hand,
                "patch": found.patch,
            }
        )
        return
    click.echo(found.patch, nl=False)
    if found.state is not None:
        click.echo(f"nothing to change: applied already, as state {found.state.number}", err=True)
    elif not found.files:
        click.echo(f"nothing to change: {tuned.sentence}", err=True)
