"""``labcoat rollback``: the user's own files as they were."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from labcoat.cli.options import json_option, open_project, print_document, study_option

SCHEMA = 1


@click.command(short_help="Put your files back as they were.")
@click.argument("state", required=False)
@study_option
@json_option
def command(state: str | None, study_file: Path | None, *, as_json: bool) -> None:
    """Put your files back as they were before the latest apply, or into any STATE that
    labcoat history lists: 0 is before the first apply. Going forward again is the same.

    All files change or none. A file that was edited since is refused.
    """
    from labcoat.cli.handover_text import open_journal, rolled_back_text
    from labcoat.lab.handover.applying import RolledBack, roll_back
    from labcoat.lab.handover.states import FIRST, History

    root = open_project(study_file)
    with open_journal(root) as journal:
        if journal is None:
            found = RolledBack(held=FIRST, holds=History().find(state or "0"), files=())
        else:
            found = roll_back(root, journal, state)
    if as_json:
        print_document({"schema": SCHEMA, **asdict(found)})
    else:
        click.echo(rolled_back_text(found), nl=False)
