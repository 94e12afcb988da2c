"""A paper as markdown for a pull request: the core open, the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from labcoat.report.format import moment
from labcoat.report.forms.text import ends
from labcoat.report.paper import (
    MANY,
    Cell,
    Code,
    Drawing,
    Paper,
    Part,
    Prose,
    Section,
    Table,
    Terms,
    Trials,
)

MEANT = re.compile(
    r"([\\`*|~<>&])"  # anywhere
    r"|(^[#+-](?=\s|#))"  # where a line begins
    r"|(\](?=[(\[]))"  # where it would make a link
    r"|((?<!\w)_|_(?!\w))"  # at the edge of a word
)
"""What would mean something to markdown."""


def as_markdown(paper: Paper) -> str:
    """Every section; a drawing is its table, and what is not the core is folded."""
    parts = [f"## {escaped(paper.title)}", f"**{escaped(paper.outcome)}** · {moment(paper.made)}"]
    for section in paper.sections:
        body = "\n\n".join(text for part in section.parts if (text := "\n".join(_part(part))))
        parts.append(_opened(section, body) if section.is_core else _folded(section, body))
    return "\n\n".join(parts) + "\n"


def _opened(section: Section, body: str) -> str:
    return f"### {escaped(section.title)}\n\n{body}"


def _folded(section: Section, body: str) -> str:
    title = escaped(section.title)
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _part(part: Part) -> Iterator[str]:
    match part:
        case Prose():
            yield _prose(part)
        case Table():
            yield from _table(part)
        case Terms():
            for term, told in part.rows:
                yield from _term(escaped(term.text), [escaped(each) for each in told])
        case Code():
            if part.caption:
                yield f"{escaped(part.caption)}:\n"
            yield from _code(part)
        case Drawing():
            yield from _table(part.table)
        case Trials():
            yield from _trials(part)


def _term(term: str, told: list[str]) -> Iterator[str]:
    if len(told) == 1:
        yield f"- **{term}**: {told[0]}"
        return
    yield f"- **{term}**"
    yield from (f"  - {each}" for each in told)


def _prose(part: Prose) -> str:
    text = escaped(part.text, keep_code=True)
    if part.tone == "lead":
        return f"**{text}**"
    return f"> {text}" if part.tone == "warning" else text


def _code(part: Code) -> Iterator[str]:
    """A fence longer than any within the text."""
    longest = max((len(each) for each in re.findall("`+", part.text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{part.language}"
    yield part.text.rstrip("\n")
    yield fence


def _table(table: Table) -> Iterator[str]:
    caption, rows = escaped(table.caption), len(table.rows)
    if not rows:
        yield f"{caption}: {escaped(table.empty)}"
        return
    is_long = rows > MANY
    yield f"<details><summary>{caption}: {rows:,} rows</summary>\n" if is_long else f"{caption}:\n"
    yield _row([escaped(each) for each in table.head])
    yield _row(["---:" if letter == "r" else "---" for letter in table.align])
    for row in table.rows:
        yield _row([_cell(cell) for cell in row])
    if is_long:
        yield "\n</details>"


def _cell(cell: Cell) -> str:
    return escaped(cell.text)


def _row(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _trials(part: Trials) -> Iterator[str]:
    if not part.experiments:
        yield "No experiment of this study is in the journal."
        return
    yield _row(["experiment", "id", "blocks", "trials"])
    yield _row(["---", "---", "---:", "---"])
    for each in part.experiments:
        blocks = f"{each.paired:,}"
        yield _row([escaped(part.titles[each.id]), f"`{each.id}`", blocks, ends(each)])


def escaped(text: str, *, keep_code: bool = False) -> str:
    """Text that markdown takes for nothing but text; one line of it.

    ``keep_code``: what stands between backticks is code, and kept as it is.
    """
    line = " ".join(text.split())
    pieces = re.split(r"(`[^`]+`)", line) if keep_code else [line]
    return "".join(
        piece
        if keep_code and piece.startswith("`") and piece.endswith("`") and len(piece) > 2
        else MEANT.sub(_escape, piece)
        for piece in pieces
    )


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    return entities.get(letter, f"\\{letter}")
