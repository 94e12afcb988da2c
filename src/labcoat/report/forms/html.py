"""A paper as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from labcoat.report.format import moment, percent, rate, seconds
from labcoat.report.paper import MANY, Cell, Drawing, Paper, Part

FOLDER = Path(__file__).parent / "page"
"""The template, the style and the script of the page."""


def as_html(paper: Paper) -> str:
    """The page. Everything that is not its own markup is escaped, wherever it came from."""
    drawings = {
        part.name: part.figure
        for section in paper.sections
        for part in section.parts
        if isinstance(part, Drawing) and part.figure is not None
    }
    page = _environment().get_template("page.html").render(
        paper=paper,
        style=_inlined("page.css"),
        script=_inlined("page.js"),
        plotly=Markup(get_plotlyjs()) if drawings else "",  # noqa: S704 - from the package, not from a user
        figures={name: _json(figure) for name, figure in drawings.items()},
        link=lambda cell: _linked(paper, cell),
        many=MANY,
        number=count(1).__next__,
    )  # fmt: skip
    return page.lstrip()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": _kind,
        "moment": moment,
        "with_code": _with_code,
        "tight": _tight,
        "percent": percent,
        "rate": rate,
        "seconds": seconds,
        "diff": _diff,
    }
    return environment


def _inlined(name: str) -> Markup:
    """A file of the page, put in as it is."""
    return Markup((FOLDER / name).read_text())  # noqa: S704 - our own file


def _json(figure: Mapping[str, Any]) -> Markup:
    """A figure as JSON that cannot end the script element that it stands in."""
    text = json.dumps(figure, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def _kind(part: Part) -> str:
    return type(part).__name__.lower()


def _tight(text: str) -> str:
    """The same text, in which no line ends between a number and its unit."""
    return re.sub(
        r"(?<=[\d∞]) (?=(?:%|ms|µs|s|min|B|kB|MB|GB|×)(?!\w))", "\N{NO-BREAK SPACE}", text
    )


def _linked(paper: Paper, cell: Cell) -> Markup:
    """A number as a link to its trials, where the journal has them."""
    if cell.of not in paper.linked:
        return escape(_tight(cell.text))
    return Markup('<a href="#e-{}">{}</a>').format(cell.of, _tight(cell.text))


def _with_code(text: str) -> Markup:
    """Prose in which what stands between backticks is code."""
    pieces = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(_tight(piece))
        for place, piece in enumerate(pieces)
    )


def _diff(text: str) -> Markup:
    """A diff in which what is added and what is removed are told apart, by sign and by element."""
    lines = []
    for line in text.splitlines():
        if line.startswith(("+++", "---", "@@", "diff ")):
            form = Markup('<span class="where">{}</span>')
        elif line.startswith("+"):
            form = Markup("<ins>{}</ins>")
        elif line.startswith("-"):
            form = Markup("<del>{}</del>")
        else:
            form = Markup("{}")
        lines.append(form.format(line))
    return Markup("\n").join(lines)
