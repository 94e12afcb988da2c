"""``labcoat knobs``: the catalogue, listed, narrowed and explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.options import json_option, open_study, print_document, study_option
from labcoat.errors import UsageError
from labcoat.knobs import KNOBS, find
from labcoat.model.domain import spelled
from labcoat.model.knob import Knob, Safety

if TYPE_CHECKING:
    from labcoat.model.host import Facts
    from labcoat.model.study import Study
    from labcoat.model.variant import Level

SCHEMA = 1
EXPLAIN = "explain"
COMPONENTS = tuple(dict.fromkeys(knob.component for knob in KNOBS))


@click.command(short_help="List and explain the knobs: what, why, trade-off, source.")
@click.argument("words", nargs=-1, metavar="[explain NAME | NAME | WORD ...]")
@click.option("--component", type=click.Choice(COMPONENTS), help="Only knobs of this component.")
@click.option(
    "--class",
    "safety",
    type=click.Choice([safety.value for safety in Safety]),
    help="Only knobs of this safety class.",
)
@study_option
@json_option
def command(
    words: tuple[str, ...],
    component: str | None,
    safety: str | None,
    study_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """List the knobs, one line each: the level that your own files give it (if there is a study),
    the levels worth trying on this machine, what it takes to apply them, and the safety class.

    A NAME explains one knob; WORDs narrow the list to the knobs that speak of all of them. With a
    study the list is of its stack, unless --component asks for another.
    """
    from labcoat.host.local import LocalHost

    named = _named(words)
    study = _study(study_file)
    origin = _origin(study) if study is not None else {}
    facts = LocalHost().facts()
    if named is not None:
        chosen: tuple[Knob, ...] = (named,)
    else:
        chosen = tuple(_narrowed(words, component, safety, study))
        if not chosen:
            raise _nothing(words)
    if as_json:
        print_document(document(chosen, facts, study, origin))
    elif named is not None:
        click.echo("\n".join(explained(named, facts, study, origin)))
    else:
        click.echo("\n".join(listed(chosen, facts, study, origin)))


def _named(words: tuple[str, ...]) -> Knob | None:
    """The one knob that is asked for; None for a list. Raises: UsageError."""
    if words[:1] == (EXPLAIN,):
        if len(words) != 2:
            raise UsageError(
                "explain takes the name of one knob",
                where="labcoat knobs explain",
                way_out="labcoat knobs explain uwsgi.processes",
            )
        return find(words[1])
    is_name = len(words) == 1 and words[0].partition(".")[0] in COMPONENTS and "." in words[0]
    return find(words[0]) if is_name else None


def _study(study_file: Path | None) -> Study | None:
    """The study named, or the nearest; None where there is none: the catalogue needs no study."""
    if study_file is None:
        folders = (Path.cwd(), *Path.cwd().parents)
        # Looked for here, so that a list without a study need not import what reads one.
        if not any((folder / "labcoat.toml").is_file() for folder in folders):
            return None
    return open_study(study_file)


def _origin(study: Study) -> dict[str, Level | None]:
    """Knob -> the level that the user's own files give it, for the components of the stack."""
    from labcoat.stack.app_pool import said_pool
    from labcoat.stack.components import adopt
    from labcoat.stack.swap import server_of

    components = adopt(study)
    env = dict(study.app.env)
    levels: dict[str, Level | None] = {}
    for knob in KNOBS:
        if knob.component in components:
            levels[knob.name] = components[knob.component].origin_level(knob.directive)
        elif knob.component == "python":
            levels[knob.name] = env.get(knob.directive)
        elif knob.component == "stack":
            levels[knob.name] = server_of(components)
        elif knob.component == "app":
            levels[knob.name] = said_pool(study.app)
    return levels


def _narrowed(
    words: Sequence[str], component: str | None, safety: str | None, study: Study | None
) -> Iterator[Knob]:
    wanted = {component} if component else set(COMPONENTS)
    if study is not None and component is None:
        from labcoat.stack.limits import OTHERS

        wanted = {spec.name for spec in study.components} | OTHERS
    for knob in KNOBS:
        text = f"{knob.name} {knob.why} {knob.condition.text} {knob.trap}".lower()
        is_wanted = knob.component in wanted and safety in (None, knob.safety.value)
        if is_wanted and all(word.lower() in text for word in words):
            yield knob


def _nothing(words: Sequence[str]) -> UsageError:
    if len(words) == 1:
        try:
            find(words[0])
        except UsageError as error:
            return error
    return UsageError(
        "no knob is like that",
        where="the catalogue of knobs",
        way_out="ask for less: fewer words, or without --component, --class or --study",
    )


def listed(
    knobs: Sequence[Knob], facts: Facts, study: Study | None, origin: Mapping[str, Level | None]
) -> Iterator[str]:
    """One line per knob, in columns; then what the columns leave open."""
    head = ["knob", *(["origin"] if study is not None else []), "worth trying here"]
    table = [(*head, "takes", "class")]
    for knob in knobs:
        own = [_short(spelled(origin.get(knob.name)))] if study is not None else []
        levels = _short(", ".join(spelled(level) for level in knob.levels(facts)), 34)
        kind = f"{knob.safety.value}, control" if knob.control else knob.safety.value
        table.append((knob.name, *own, levels, knob.cost.name.lower(), kind))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = zip(row, widths, strict=True)
        yield "  ".join(f"{cell:<{width}}" for cell, width in cells).rstrip()
    yield ""
    yield f"{len(knobs)} of {len(KNOBS)} knobs; labcoat knobs NAME explains one"


def _short(text: str, width: int = 24) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def explained(
    knob: Knob, facts: Facts, study: Study | None, origin: Mapping[str, Level | None]
) -> Iterator[str]:
    """Everything that a row says, a line each."""
    import textwrap

    yield knob.name
    for title, text in _told(knob, facts, study, origin):
        lines = textwrap.wrap(text, width=72, break_long_words=False)
        yield f"  {title:<16}{lines[0]}"
        yield from (f"  {'':<16}{line}" for line in lines[1:])


def _told(
    knob: Knob, facts: Facts, study: Study | None, origin: Mapping[str, Level | None]
) -> Iterator[tuple[str, str]]:
    yield "why", knob.why
    yield "counts only if", knob.condition.text
    if knob.trap:
        yield "trade-off", knob.trap
    if knob.control:
        yield "control", "It proves the method; no campaign proposes it."
    yield "domain here", knob.domain.describe(facts)
    yield "worth trying", ", ".join(spelled(level) for level in knob.levels(facts))
    if study is not None and knob.name in origin:
        yield "origin", f"{spelled(origin[knob.name])} ({study.name})"
    yield "default", _defaults(knob)
    yield "takes", f"a {knob.cost.name.lower()}"
    yield "class", f"{knob.safety.value}: {knob.safety.meaning}"
    for constraint in knob.constraints:
        yield "constraint", constraint
    if knob.needs:
        yield "needs", f"{knob.component} {knob.needs} or later"
    if knob.needs_build:
        yield "needs", f"a {knob.component} built {knob.needs_build}"
    yield "acts on", ", ".join(relief.meaning for relief in knob.relieves)
    yield "prior chance", f"{knob.prior:g} that it helps by 2 %"
    yield "source", knob.source


def _defaults(knob: Knob) -> str:
    (_, first), *later = knob.default
    return ", ".join((spelled(first), *(f"{spelled(level)} since {v}" for v, level in later)))


def document(
    knobs: Sequence[Knob], facts: Facts, study: Study | None, origin: Mapping[str, Level | None]
) -> dict[str, object]:
    """The JSON document: the same for a list and for one knob."""
    return {
        "schema": SCHEMA,
        "study": study.name if study is not None else None,
        "knobs": [
            {
                "name": knob.name,
                "component": knob.component,
                "directive": knob.directive,
                "class": knob.safety.value,
                "takes": knob.cost.name.lower(),
                "control": knob.control,
                "domain": knob.domain.describe(facts),
                "levels": list(knob.levels(facts)),
                "origin": origin.get(knob.name),
                "default": [
                    {"since": since or None, "level": level} for since, level in knob.default
                ],
                "why": knob.why,
                "condition": {"text": knob.condition.text, "counter": knob.condition.counter},
                "trade_off": knob.trap,
                "constraints": list(knob.constraints),
                "needs": knob.needs or None,
                "needs_build": knob.needs_build or None,
                "relieves": [relief.value for relief in knob.relieves],
                "prior": knob.prior,
                "source": knob.source,
            }
            for knob in knobs
        ],
    }
