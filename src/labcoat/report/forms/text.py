"""A paper as plain text, for a terminal or a mail."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from labcoat.report.format import moment
from labcoat.report.paper import Code, Drawing, Paper, Part, Prose, Section, Table, Terms, Trials
from labcoat.report.trials import ExperimentTrials

WIDTH = 100
"""The widest line of prose, in columns; tables are as wide as their names."""


def as_text(paper: Paper) -> str:
    """Every section; a drawing is its table."""
    head = [paper.title, f"{paper.outcome} · {moment(paper.made)}"]
    sections = ["\n".join(head), *("\n".join(_section(each)) for each in paper.sections)]
    return "\n\n".join(sections) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield section.title
    yield "=" * len(section.title)
    for place, part in enumerate(section.parts):
        lines = list(_part(part))
        if place and lines:
            yield ""
        yield from lines


def _part(part: Part) -> Iterator[str]:
    match part:
        case Prose():
            yield from folded(part.text.replace("`", ""), indent=0)
        case Table():
            yield from table_lines(part)
        case Terms():
            for term, told in part.rows:
                yield from folded(term.text, indent=2)
                for each in told:
                    yield from folded(each, indent=4)
        case Code():
            if part.caption:
                yield part.caption
            yield from (f"  {line}".rstrip() for line in part.text.splitlines())
        case Drawing():
            yield from table_lines(part.table)
        case Trials():
            yield from _trials(part)


def folded(text: str, *, indent: int) -> Iterator[str]:
    """Prose no wider than a page, broken between words."""
    pad = " " * indent
    yield from wrap(
        text,
        WIDTH,
        initial_indent=pad,
        subsequent_indent=pad,
        break_long_words=False,
        break_on_hyphens=False,
    )


def table_lines(table: Table) -> Iterator[str]:
    """Columns in line; long prose of a row on the lines below it."""
    yield from folded(table.caption, indent=0)
    if not table.rows:
        yield from folded(table.empty, indent=2)
        return
    is_long = table.align.endswith("p")
    columns = len(table.head) - is_long
    rows = [table.head, *(tuple(cell.text for cell in row) for row in table.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(columns)]
    for number, row in enumerate(rows):
        line = "  ".join(
            row[column].rjust(width) if table.align[column] == "r" else row[column].ljust(width)
            for column, width in enumerate(widths)
        )
        yield f"  {line}".rstrip()
        if is_long and number and row[-1]:
            yield from folded(row[-1], indent=6)


def _trials(part: Trials) -> Iterator[str]:
    if not part.experiments:
        yield "  No experiment of this study is in the journal."
    for each in part.experiments:
        voids = sum(block.void is not None for block in each.blocks)
        void = f", {voids} void" if voids else ""
        yield from folded(f"{each.id}  {part.titles[each.id]}", indent=2)
        yield f"    {each.size}{void}: {ends(each)}"


def ends(each: ExperimentTrials) -> str:
    """The first and the last trial of an experiment."""
    ids = [trial.id for block in each.blocks for trial in block.trials]
    if not ids:
        return "none"
    return ids[0] if len(ids) == 1 else f"{min(ids)} to {max(ids)}"
