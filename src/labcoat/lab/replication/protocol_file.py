"""The protocol file: TOML in, a Protocol out, or every mistake with its line.

Levels may grow with the machine: ``cpus``, ``2*cpus``, ``2*cpus+1``, ``ram/4`` (whole MB),
``somaxconn``. Knobs and levels are checked against the catalogue and this machine.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from labcoat.errors import UsageError
from labcoat.knobs import KNOBS, find, parse_level
from labcoat.lab.study.study_file import complain, read_form, read_study, read_text
from labcoat.lab.study.study_form import Form, existing_file, is_level, wrong
from labcoat.lab.study.study_mistakes import Mistake
from labcoat.lab.study.toml_lines import KeyPath, key_lines
from labcoat.model.domain import spelled
from labcoat.model.host import Facts
from labcoat.model.metric import CPU_PER_REQUEST, MEMORY, THROUGHPUT
from labcoat.model.replication import Claim, Protocol, Sighting, Step
from labcoat.model.study import Study
from labcoat.model.variant import Level, Variant

REFERENCE = "docs/reference/protocol-file.md"
METRICS = {metric.name: metric for metric in (THROUGHPUT, CPU_PER_REQUEST, MEMORY)}
"""What a closed loop can tell; its latencies are not what users see."""

CLAIMS = tuple(claim.value for claim in Claim)
SEEN = ("one CPU", "all CPUs")
_NAME = re.compile(r"[a-z0-9][a-z0-9+._-]*")
_CPUS = re.compile(r"(?:(\d+)\*)?cpus(?:\+(\d+))?")
_RAM = re.compile(r"ram/(\d+)")
MIB = 1024**2


def is_name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise wrong(f"a name is small letters, digits and + . _ -, got {text!r}")
    return text


def is_claim(text: str) -> str:
    if text not in CLAIMS:
        raise wrong(f"expected one of {', '.join(CLAIMS)}, got {text!r}")
    return text


def is_seen(text: str) -> str:
    if text not in SEEN:
        raise wrong(f"expected one of {', '.join(SEEN)}, got {text!r}")
    return text


def is_metric(text: str) -> str:
    if text not in METRICS:
        raise wrong(f"expected one of {', '.join(METRICS)}, got {text!r}")
    return text


def is_counter(text: str) -> str:
    if not all(text.partition(".")):
        raise wrong(f"a counter is component.name, got {text!r}")
    return text


Levels = dict[str, Annotated[Any, AfterValidator(is_level)]]
Text = Annotated[str, Field(min_length=1)]


class StepForm(Form):
    """One change of the ladder, with what was published of it."""

    name: Annotated[str, AfterValidator(is_name)] = Field(description="A short name, unique.")
    set: Annotated[Levels, Field(min_length=1)] = Field(
        description=(
            "Knob = level, set together. A text may be `cpus`, `2*cpus+1`, `ram/4` or `somaxconn`."
        )
    )
    claim: Annotated[str, AfterValidator(is_claim)] = Field(
        description="What the source says of it: `better`, `worse` or `same`."
    )
    published: Text = Field(description="The published number, in the source's words.")
    source: Text = Field(description="Where that stands.")
    ratio: Annotated[float, Field(gt=-1)] | None = Field(
        None, description="The published effect as a ratio minus one: 0.12 is 12 % more."
    )
    objective: Annotated[str, AfterValidator(is_metric)] = Field(
        "throughput", description="Of which metric: `throughput`, `cpu_per_request` or `memory`."
    )
    why: str = Field("", description="What the mechanism predicts, and why.")
    counters: list[Annotated[str, AfterValidator(is_counter)]] = Field(
        [], description="Counters (`component.name`) that explain a refutation."
    )
    keep: bool = Field(True, description="Whether the steps after it stand on it as well.")


class SightingForm(Form):
    """A claim about where workers run, read from the running workers under load."""

    name: Annotated[str, AfterValidator(is_name)] = Field(description="A short name, unique.")
    set: Levels = Field({}, description="Knob = level, over the origin.")
    claim: Annotated[str, AfterValidator(is_seen)] = Field(
        description="What the source says of the workers: `one CPU` or `all CPUs`."
    )
    published: Text = Field(description="The claim, in the source's words.")
    source: Text = Field(description="Where that stands.")
    why: str = Field("", description="What the mechanism predicts, and why.")


class ProtocolForm(Form):
    """The whole file."""

    name: Annotated[str, AfterValidator(is_name)] = Field(description="The protocol's name.")
    title: Text = Field(description="One line for people.")
    about: Text = Field(description="What the source claims, in a few sentences.")
    study: Annotated[str, AfterValidator(existing_file)] = Field(
        description="The study file (stack and workload), from this file's folder."
    )
    margin: float = Field(
        0.02, gt=0, lt=1, description="The smallest effect worth having, a ratio."
    )
    doubts: list[str] = Field([], description="What the source left open or did wrong.")
    programs: list[str] = Field([], description="Programs that must be on PATH.")
    packages: list[str] = Field([], description="Packages that the app's Python must import.")
    origin: Levels = Field({}, description="Knob = level, over the study's own files.")
    steps: list[StepForm] = Field([], description="The ladder, from the first rung.")
    sightings: list[SightingForm] = Field([], description="Claims read from running workers.")


def read_protocol(path: Path, facts: Facts) -> Protocol:
    """The protocol that a file describes, for this machine.

    Raises: UsageError, with every mistake of the file (and of its study) and its line.
    """
    file, form = read_form(path, ProtocolForm, called="protocol file", reference=REFERENCE)
    study = read_study(file.parent / form.study)
    lines = key_lines(read_text(file))
    mistakes = list(_doubles(form))
    origin = _levels(("origin",), form.origin, facts, study, mistakes)
    steps = [
        _step(n, each, facts, study, mistakes, lines.get(("steps", n), 1))
        for n, each in enumerate(form.steps)
    ]
    sightings = [
        Sighting(
            name=each.name,
            levels=_levels(("sightings", n, "set"), each.set, facts, study, mistakes),
            is_one_cpu=each.claim == SEEN[0],
            published=each.published,
            source=each.source,
            why=each.why,
            line=lines.get(("sightings", n), 1),
        )
        for n, each in enumerate(form.sightings)
    ]
    if not steps and not sightings:
        mistakes.append(Mistake(("steps",), "asks nothing: write [[steps]] or [[sightings]]"))
    if mistakes:
        raise complain(file, mistakes, lines, kind="protocol file", reference=REFERENCE)
    return Protocol(
        name=form.name,
        title=form.title,
        about=form.about,
        file=file,
        study=study,
        origin=Variant.of(dict(origin)),
        steps=tuple(steps),
        sightings=tuple(sightings),
        doubts=tuple(form.doubts),
        margin=form.margin,
        programs=tuple(form.programs),
        packages=tuple(form.packages),
    )


def _step(
    n: int, form: StepForm, facts: Facts, study: Study, mistakes: list[Mistake], line: int
) -> Step:
    return Step(
        name=form.name,
        levels=_levels(("steps", n, "set"), form.set, facts, study, mistakes),
        claim=Claim(form.claim),
        published=form.published,
        source=form.source,
        objective=METRICS[form.objective],
        ratio=form.ratio,
        why=form.why,
        counters=tuple(form.counters),
        is_kept=form.keep,
        line=line,
    )


def _levels(
    at: KeyPath, said: Mapping[str, Any], facts: Facts, study: Study, mistakes: list[Mistake]
) -> tuple[tuple[str, Level], ...]:
    """The levels of a table on this machine; what is wrong goes to ``mistakes``."""
    present = {spec.name for spec in study.components} | {"python"}
    found: dict[str, Level] = {}
    for name, level in said.items():
        path = (*at, name)
        if name not in {knob.name for knob in KNOBS}:
            close = difflib.get_close_matches(name, [knob.name for knob in KNOBS], n=1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            mistakes.append(Mistake(path, f"there is no such knob{hint}"))
            continue
        knob = find(name)
        if knob.component not in present:
            mistakes.append(Mistake(path, f"the study has no {knob.component}"))
            continue
        try:
            found[name] = parse_level(knob, text_of(level, facts), facts)
        except UsageError as error:
            mistakes.append(Mistake(path, f"{error.what}; {error.way_out}"))
    return tuple(sorted(found.items()))


def text_of(level: Level, facts: Facts) -> str:
    """A level as the catalogue's domains read it, formulas of the machine worked out. Pure."""
    text = spelled(level)
    if text == "somaxconn":
        return str(facts.somaxconn)
    if found := _CPUS.fullmatch(text):
        return str(int(found[1] or 1) * facts.cpus + int(found[2] or 0))
    if found := _RAM.fullmatch(text):
        return f"{facts.ram_bytes // max(int(found[1]), 1) // MIB}MB"
    return text


def _doubles(form: ProtocolForm) -> Iterator[Mistake]:
    names: set[str] = set()
    places = [
        *(("steps", n, each.name) for n, each in enumerate(form.steps)),
        *(("sightings", n, each.name) for n, each in enumerate(form.sightings)),
    ]
    for kind, n, name in places:
        if name in names:
            yield Mistake((kind, n, "name"), f"a second claim named {name!r}")
        names.add(name)
