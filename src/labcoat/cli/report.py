"""``labcoat report``: what was found, told again from the journal alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.options import open_study, print_document, study_option
from labcoat.errors import JournalError, UsageError

if TYPE_CHECKING:
    from labcoat.journal import Journal
    from labcoat.model.journal import StudyRecord
    from labcoat.model.study import Study

STANDARD_OUTPUT = Path("-")


@click.command(short_help="Tell what was found, as a page, text, markdown or JSON.")
@study_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "text", "md", "json"]),
    default="html",
    show_default=True,
    help="A page for a browser, text for a terminal, markdown for a pull request, or JSON.",
)
@click.option("--open", "opens", is_flag=True, help="Show the page in your browser.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where it goes; - is standard output.  [default: .labcoat/report.html for a page, else -]",
)
@click.option(
    "--journal",
    "journal_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A journal, wherever it comes from, instead of the study's own.",
)
@click.option(
    "--id",
    "study_id",
    metavar="ID",
    help="A study of the journal by its id.  [default: the one that was tuned last]",
)
def command(
    study_file: Path | None,
    form: str,
    out: Path | None,
    journal_file: Path | None,
    study_id: str | None,
    *,
    opens: bool,
) -> None:
    """Tell what the last campaign found: the gain, the diff, and the evidence for both.

    The page is one file that needs no network: mail it, print it, keep it. Where no campaign was
    finished yet, it tells the last baseline and the last try. Nothing is measured and no file of
    yours is touched; the journal is only read.
    """
    from labcoat.journal import Journal
    from labcoat.report.whole import choose, document, report

    if opens and (form != "html" or out == STANDARD_OUTPUT):
        raise UsageError(
            "only a page in a file can be shown in a browser",
            where="--open",
            way_out="leave out --open, or --format and --out",
        )
    study, where = _places(study_file, journal_file)
    if not where.is_file():
        raise JournalError(
            "there is no journal yet, so nothing was measured here",
            where=where,
            way_out="labcoat tune, or first labcoat baseline",
        )
    with Journal.open(where, read_only=True) as journal:
        chosen = choose(journal, _studies(journal, study, study_id))
        if form == "json" and out is None:
            print_document(document(journal, chosen))
            return
        text = _json(document(journal, chosen)) if form == "json" else report(journal, chosen, form)
    if out is None and form == "html":
        out = where.with_name("report.html")
    if out is None or out == STANDARD_OUTPUT:
        click.echo(text, nl=False)
        return
    write_whole(out, text)
    click.echo(out)
    if opens:
        _open(out)


def _places(study_file: Path | None, journal_file: Path | None) -> tuple[Study | None, Path]:
    """The study that was named, if one was, and the journal. Raises: UsageError."""
    from labcoat.lab.study.study_file import find_study

    study = None if study_file is None else open_study(study_file)
    if journal_file is not None:
        return study, journal_file
    # The study's own text is not read unless it was named: a mistake in it is no reason not to
    # tell what was found before.
    root = find_study(Path.cwd()).parent if study is None else study.root
    return study, root / ".labcoat" / "journal.db"


def _studies(
    journal: Journal, study: Study | None, study_id: str | None
) -> tuple[StudyRecord, ...]:
    """The studies of the journal that are meant. Raises: JournalError if it has none of them."""
    from labcoat.journal.documents import dumped, fingerprint, study_document

    if study_id is not None:
        return (journal.study(study_id),)
    studies = journal.studies()
    if study is None:
        return studies
    digest = fingerprint(dumped(study_document(study), where=f"study {study.name}"))
    same = tuple(each for each in studies if each.fingerprint == digest)
    # A study file that was edited since is still the study that its owner means.
    return same or tuple(each for each in studies if each.name == study.name)


def _json(document: dict[str, object]) -> str:
    import json

    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_whole(to: Path, text: str) -> None:
    """A file that is there as a whole or, whatever happens, as it was before."""
    to.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=to.parent, prefix=f".{to.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(to)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser was found here; open the page by hand", err=True)
