"""``labcoat init``: look at a project, write its labcoat.toml, or say what would change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.options import json_option, print_document
from labcoat.errors import UsageError

if TYPE_CHECKING:
    from labcoat.project.proposal import Proposal

SCHEMA = 1
SERVERS = ("uwsgi", "gunicorn", "granian", "uvicorn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What there was, and what it should be. ``state``: new, same or changed."""

    file: Path
    proposal: Proposal
    before: str | None
    after: str
    diff: str
    mistakes: tuple[str, ...] = ()
    is_written: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to fill in."""
        return self.proposal.is_whole and not self.mistakes

    @property
    def state(self) -> str:
        """In a word."""
        if self.before is None:
            return "new"
        return "changed" if self.diff else "same"


@click.command(short_help="Look at a project and write its labcoat.toml.")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--check", is_flag=True, help="Say what would be written, and write nothing.")
@click.option(
    "--app", metavar="MODULE:CALLABLE", help="The app, where the project does not say it once."
)
@click.option("--server", type=click.Choice(SERVERS), help="The app server, likewise.")
@json_option
def command(
    folder: Path, *, check: bool, app: str | None, server: str | None, as_json: bool
) -> None:
    """Look at the project in FOLDER and write its labcoat.toml: the app, its server with its
    options, nginx and Postgres, as your own files say them. Every line tells the file and the line
    that it follows from.

    Your code is read, never imported or started. What the project does not say, or says
    twice, is asked and not guessed. A labcoat.toml that is there is never changed: what should
    change in it is shown as a diff.

    Exit codes: 0 nothing is left to fill in, 2 something is, 1 error.
    """
    result = look(folder, check=check, app=app, server=server)
    if as_json:
        print_document(document(result))
    else:
        click.echo("\n".join(told(result, check=check)))
    if not result.is_whole:
        raise click.exceptions.Exit(ExitCode.USAGE)


def look(folder: Path, *, check: bool, app: str | None, server: str | None) -> Result:
    """Read the project, propose, and write unless there is a file or it is only a check."""
    from dataclasses import replace

    from labcoat.lab.handover import unified
    from labcoat.lab.study.study_file import STUDY_FILE, read_text
    from labcoat.project.proposal import Answers
    from labcoat.project.proposing import propose
    from labcoat.project.survey import gather
    from labcoat.project.writing import answered, changed, create, rendered

    root = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - keeps symbolic links
    if not root.is_dir():
        raise UsageError("there is no such folder", where=root, way_out="check the path")
    file = root / STUDY_FILE
    before = read_text(file) if os.path.lexists(file) else None
    survey = gather(root, os.environ)
    proposal = propose(survey, Answers(app=app, server=server))
    if before is not None:
        answers = answered(before, file, app=app, server=server)
        proposal = proposal if proposal.is_whole else propose(survey, answers)
    after = rendered(proposal) if before is None else changed(before, proposal, file)
    wrong = mistakes(after, file)
    if before is not None and not wrong:  # what the project leaves open, the user has settled
        proposal = replace(proposal, gaps=())
    result = Result(
        file=file,
        proposal=proposal,
        before=before,
        after=after,
        diff=unified.patch(STUDY_FILE, before or "", after),
        mistakes=wrong,
    )
    if before is None and not check:
        create(file, after)
        return replace(result, is_written=True)
    return result


def mistakes(text: str, file: Path) -> tuple[str, ...]:
    """What the study itself would say of this text."""
    from labcoat.lab.study.study_file import form_of
    from labcoat.lab.study.study_form import StudyForm

    try:
        form_of(text, file, StudyForm)
    except UsageError as error:
        return error.log or (error.what,)
    return ()


def told(result: Result, *, check: bool) -> Iterator[str]:
    """What was found, for people."""
    from labcoat.project.writing import cited, spelled

    proposal = result.proposal
    yield click.style(str(result.file.parent), bold=True)
    rows = [
        (line.name, spelled(line.value), cited(line.places) or line.note) for line in proposal.lines
    ]
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, value, where in rows:
        yield f"  {name:<{width}}  {value}"
        yield f"  {'':<{width}}  {click.style(where, dim=True)}"
    for fact in proposal.facts:
        yield f"  {fact.what}  {click.style(cited(fact.places), dim=True)}"
    for remark in proposal.remarks:
        yield f"\n{click.style('note', fg='yellow')}  {remark.place}: {remark.what}"
        if remark.way_out:
            yield f"  way out  {remark.way_out}"
    for gap in proposal.gaps:
        yield f"\n{click.style('please fill in', fg='red', bold=True)}  {gap.what}"
        yield f"  way out  {gap.way_out}"
    yield ""
    yield from _end(result, check=check)


def _end(result: Result, *, check: bool) -> Iterator[str]:
    if result.before is not None and result.diff:
        yield f"{result.file.name} is yours and stays as it is; this would bring it up to date:\n"
        yield result.diff.rstrip("\n")
    elif result.before is not None:
        yield f"{result.file.name} says all of this already"
    elif check:
        yield f"{result.file.name} would be:\n"
        yield result.after.rstrip("\n")
    else:
        yield f"wrote {result.file.name}"
    if not result.is_whole:
        yield "\nnot whole yet:"
        yield from (f"  {text}" for text in unasked(result))
    elif result.is_written:
        yield "next: fill in [workload], your visitors' mix; then labcoat up, labcoat baseline"


def unasked(result: Result) -> Sequence[str]:
    """What is left to fill in: the study's own complaints, else the gaps."""
    return result.mistakes or tuple(gap.what for gap in result.proposal.gaps)


def document(result: Result) -> dict[str, object]:
    """What was found, as ``--json`` prints it."""
    from labcoat.project.writing import plain

    proposal = result.proposal
    return {
        "schema": SCHEMA,
        "file": str(result.file),
        "state": result.state,
        "is_written": result.is_written,
        "is_whole": result.is_whole,
        "lines": [
            {
                "key": line.name,
                "value": plain(line.value),
                "places": [str(place) for place in line.places],
            }
            for line in proposal.lines
        ],
        "facts": [
            {"what": fact.what, "places": [str(place) for place in fact.places]}
            for fact in proposal.facts
        ],
        "remarks": [
            {"place": str(one.place), "what": one.what, "way_out": one.way_out}
            for one in proposal.remarks
        ],
        "gaps": [
            {
                "table": one.table,
                "what": one.what,
                "way_out": one.way_out,
                "choices": {choice.name: plain(choice.value) for choice in one.choices},
            }
            for one in proposal.gaps
        ],
        "mistakes": list(result.mistakes),
        "text": result.after,
        "diff": result.diff,
    }
