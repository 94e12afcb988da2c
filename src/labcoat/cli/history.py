"""``labcoat history``: the states that the user's files were in."""

from __future__ import annotations

from pathlib import Path

import click

from labcoat.cli.options import json_option, open_project, print_document, study_option

SCHEMA = 1


@click.command(short_help="List the states that your files were in.")
@study_option
@json_option
def command(study_file: Path | None, *, as_json: bool) -> None:
    """List the states that labcoat apply has put your files in, and which one holds now.

    State 0 is before the first apply. labcoat rollback STATE goes to any of them.
    """
    from labcoat.cli.handover_text import history_text, open_journal
    from labcoat.lab.handover.applying import edited_since, read_history
    from labcoat.lab.handover.states import History

    root = open_project(study_file)
    with open_journal(root) as journal:
        history = History() if journal is None else read_history(journal, root)
    edited = edited_since(root, history)
    if as_json:
        print_document(
            {
                "schema": SCHEMA,
                "holds": history.holds,
                "edited_since": edited,
                "states": [
                    {
                        "number": state.number,
                        "id": state.id,
                        "at": state.at.isoformat(),
                        "parent": state.parent,
                        "study_id": state.study_id,
                        "variant": state.variant.name,
                        "assignment": state.variant.assignment,
                        "files": [file.path for file in state.files],
                    }
                    for state in history.states
                ],
            }
        )
    else:
        click.echo(history_text(history, edited), nl=False)
