"""``labcoat apply``: what was found, in the user's own files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from labcoat.cli.options import json_option, open_study, print_document, study_option

SCHEMA = 1


@click.command(short_help="Put what was found into your own files.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@study_option
@json_option
def command(study_file: Path | None, *, dry_run: bool, as_json: bool) -> None:
    """Put the levels that the latest finished campaign hands over into your own files, in
    place: comments, order and formatting stay. Nothing is restarted.

    All files change or none. A file that has changed since it was measured is refused.
    How the files were is kept: labcoat rollback goes back.
    """
    from labcoat.cli.handover_text import applied_text, open_tuned
    from labcoat.lab.handover.applying import apply

    study = open_study(study_file)
    with open_tuned(study) as (journal, tuned):
        found = apply(study, journal, tuned, dry=dry_run)
    if as_json:
        state = found.state
        print_document(
            {
                "schema": SCHEMA,
                "study": study.name,
                "study_id": tuned.study_id,
                "at": tuned.at,
                "assignment": tuned.variant.assignment,
                "is_dry": dry_run,
                "is_new": found.is_new,
                "state": None if state is None else {"number": state.number, "id": state.id},
                "files": [asdict(file) for file in found.files],
                "by_hand": found.by_hand,
            }
        )
    else:
        click.echo(applied_text(study, tuned, found, dry=dry_run), nl=False)
