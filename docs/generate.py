"""Write the generated pages, or say which are stale.

    python docs/generate.py             writes
    python docs/generate.py --check     exit status 1 and the names of stale pages

A page is a function of the rows that the code itself uses, so it cannot say anything else.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from labcoat import errors
from labcoat.cli.door import answer
from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.rows import COMMANDS, CommandRow
from labcoat.cli.watch.rows import COMMANDS as WATCH_COMMANDS
from labcoat.knobs import KNOBS
from labcoat.lab.study import study_form
from labcoat.lab.study.study_mistakes import PLACES, forms_in
from labcoat.model.domain import spelled
from labcoat.model.knob import MILD, Knob, Safety
from labcoat.model.metric import METRICS
from labcoat.watch.runbook.codes import CODES
from labcoat.watch.runbook.keys import KEYS, Key, Level

ROOT = Path(__file__).resolve().parent.parent
GROUPS: dict[str, tuple[CommandRow, ...]] = {"watch": WATCH_COMMANDS}
NOTICE = "<!-- Written by docs/generate.py (make docs) from the code; do not edit here. -->\n\n"


def help_of(*argv: str) -> str:
    """What ``labcoat ... --help`` prints on a terminal of 80 columns."""
    os.environ["COLUMNS"] = "80"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if answer([*argv, "--help"]) != ExitCode.FINISHED:
            raise SystemExit(f"error: labcoat {' '.join(argv)} --help failed")
    return printed.getvalue()


def commands_page() -> str:
    """Every command with its help."""
    parts = [
        "# Commands\n\n",
        "Errors go to standard error in three parts: what, where, the way out. With `--json` a\n",
        "command prints one JSON document on standard output and nothing else there; when it\n",
        'fails, that document is `{"error": {"kind", "what", "where", "way_out", "log",\n',
        '"exit_code"}}`. `LABCOAT_DEBUG=1` adds the traceback on standard error.\n',
        "Exit codes: [exit-codes.md](exit-codes.md).\n\n",
        f"```text\n{help_of()}```\n",
    ]
    for row in COMMANDS:
        parts.append(f"\n## {row.name}\n\n```text\n{help_of(row.name)}```\n")
        for inner in GROUPS.get(row.name, ()):
            said = help_of(row.name, inner.name)
            parts.append(f"\n### {row.name} {inner.name}\n\n```text\n{said}```\n")
    return "".join(parts)


def exit_codes_page() -> str:
    """Every exit code with its meaning."""
    rows = "".join(f"| {int(code)} | {code.meaning} |\n" for code in ExitCode)
    return (
        "# Exit codes\n\n"
        "3 and 4 are answers, not errors: the measurement was made and recorded.\n\n"
        f"| code | meaning |\n|---|---|\n{rows}\n"
        "`labcoat watch` speaks the codes of the monitoring plugins instead: 0 OK, 1 WARNING,\n"
        "2 CRITICAL, 3 UNKNOWN; every failure of its commands is 3, for what cannot be told is\n"
        "neither a warning nor critical. `watch check` exits with 0 clean, 1 warnings, 2 errors.\n"
    )


def errors_page() -> str:
    """Every class of the error tree."""
    return (
        "# Errors\n\n"
        "Each message has three parts: what happened, where, and the way out. The kind is what\n"
        "`--json` prints under `error.kind`. `Interrupted` is the kind of a Ctrl-C.\n\n"
        + "".join(error_sections(errors.LabcoatError))
    )


def error_sections(kind: type[errors.LabcoatError]) -> Iterator[str]:
    """A class and those below it, each with a heading of its own."""
    sentence = (kind.__doc__ or "").partition("\n")[0].replace("``", "`")
    parents = [base.__name__ for base in kind.__mro__[1:] if "labcoat" in base.__module__]
    above = f" A kind of {', '.join(parents)}." if parents else ""
    yield f"## {kind.__name__}\n\n{sentence}{above} Exit code {int(kind.exit_code)}.\n\n"
    for child in kind.__subclasses__():
        yield from error_sections(child)


def metrics_page() -> str:
    """Every metric with its unit and better-direction."""
    sections = "".join(
        f"## {metric.name}\n\n"
        f"{metric.title}; unit `{metric.unit}`; {metric.better.value} is better.\n\n"
        for metric in METRICS
    )
    return (
        "# Metrics\n\n"
        "A metric is a named quantity with a unit and a better-direction. Units are SI\n"
        "base units in the journal and in `--json`; `ratio` is a plain number, 0.02 reads 2 %.\n\n"
        + sections
    )


def knobs_page() -> str:
    """Every knob, by component."""
    components = dict.fromkeys(knob.component for knob in KNOBS)
    classes = "".join(
        f"| {safety.value} | {safety.meaning} | {'yes' if safety in MILD else 'no'} |\n"
        for safety in Safety
    )
    sections = "".join(
        f"## {name}\n\n" + "".join(knob_section(knob) for knob in KNOBS if knob.component == name)
        for name in components
    )
    return (
        "# Knobs\n\n"
        f"The catalogue: {len(KNOBS)} knobs, each a row of `labcoat.knobs`. `labcoat knobs` lists\n"
        "them with the levels worth trying on your machine and what your own files say;\n"
        "`labcoat knobs NAME` explains one. A knob counts only if its necessary condition was\n"
        "seen of the baseline. The default is what the program does when nothing is said, by\n"
        "version; a distribution's own file may say otherwise. What a knob acts on bounds what\n"
        "it can give; the prior chance is that it helps by 2 % where its condition holds (or over\n"
        "all, where that cannot be asked), and orders what a campaign tries first. A control\n"
        "proves the method (a placebo, or a level known to be slow) and is never proposed.\n\n"
        f"| class | what a change may cost | tried unasked |\n|---|---|---|\n{classes}\n{sections}"
    )


def knob_section(knob: Knob) -> str:
    """One knob, with a heading of its own."""
    (_, first), *later = knob.default
    default = "".join((spelled(first), *(f"; {spelled(x)} since {v}" for v, x in later)))
    facts = [
        ("domain", knob.domain.describe()),
        ("default", default),
        ("takes", f"a {knob.cost.name.lower()}"),
        ("class", knob.safety.value + (", control" if knob.control else "")),
        *(("constraint", text) for text in knob.constraints),
        *(("needs", text) for text in (knob.needs, knob.needs_build) if text),
        ("acts on", ", ".join(relief.meaning for relief in knob.relieves)),
        ("prior chance", f"{knob.prior:g}"),
        ("source", knob.source),
    ]
    told = "".join(f"* {name}: {text}\n" for name, text in facts)
    return (
        f"### {knob.name}\n\n{knob.why} Counts only if: {knob.condition.text} "
        f"Trade-off: {knob.trap}\n\n{told}\n"
    )


def study_file_page() -> str:
    """Every key of the study file."""
    components = ", ".join(f"`{name}`" for name in PLACES)
    return (
        "# The study file, labcoat.toml\n\n"
        "What labcoat must know of a project. Relative paths start from the file's folder. Every\n"
        "mistake is told at once, with line and key; nothing unknown is accepted.\n\n"
        "```toml\n"
        + (ROOT / "docs" / "reference" / "study-file.toml").read_text()
        + "```\n\n"
        + "".join(table_section("", study_form.StudyForm))
        + f"Components, front to back: {components}.\n"
        "At most one of a kind, and exactly one app server. A component is the\n"
        "path of your own file, `true` for none, or a table; `granian` and `uvicorn` read no\n"
        "file, `nginx` takes no options.\n"
    )


SPELLINGS = {"stack": "[stack.<component>]", "workload.requests": "[[workload.requests]]"}


def table_section(path: str, form: type[BaseModel]) -> Iterator[str]:
    """A table of the file, its keys, and the tables below it."""
    sentence = (form.__doc__ or "").partition("\n")[0].replace("``", "`")
    heading = SPELLINGS.get(path, f"[{path}]") if path else "Top level"
    yield f"## {heading}\n\n{sentence}\n\n"
    yield "| key | value | default | meaning |\n|---|---|---|---|\n"
    below = []
    for name, field in form.model_fields.items():
        inner = next(forms_in(field.annotation), None)
        if inner is not None:
            below.append((f"{path}.{name}".removeprefix("."), inner))
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{name}` | {kind_of(field)} | {default_of(field)} | {meaning} |\n"
    yield "\n"
    for full, inner in below:
        yield from table_section(full, inner)


KINDS = {str: "string", bool: "true or false", int: "whole number", float: "number"}


def kind_of(field: FieldInfo) -> str:
    """The TOML type of a key, in words."""
    kind = field.annotation
    for argument in get_args(kind):  # X | None: TOML has no null, so it is an X
        if type(None) in get_args(kind) and argument is not type(None):
            kind = argument
    if any(forms_in(kind)):
        return "list of tables" if getattr(kind, "__origin__", None) is list else "table"
    while hasattr(kind, "__metadata__"):
        kind = get_args(kind)[0]
    origin = getattr(kind, "__origin__", kind)
    if origin is list:
        return "list"
    return KINDS.get(origin, "table") if isinstance(origin, type) else "table"


def default_of(field: FieldInfo) -> str:
    """The default of a key, as TOML spells it; empty where it is told in the meaning."""
    default = field.default
    if default is PydanticUndefined:
        return "required"
    if default is None or isinstance(default, BaseModel) or default in ([], {}):
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


LEVELS = {
    Level.RUNBOOK: "Of a runbook",
    Level.CHECK: "Of a check",
    Level.ACTION: "Of an action",
    Level.ROLLBACK: "Of a rollback",
    Level.VERIFY: "Of verify",
    Level.BREAKER: "Of breaker",
    Level.ROLLING: "Of rolling",
}


def runbooks_page() -> str:
    """Every key of a runbook, and every code of a finding."""
    tables = "".join(
        f"## {title}\n\n| key | value | default | meaning | |\n|---|---|---|---|---|\n"
        + "".join(key_row(key) for key in KEYS if key.level is level)
        + "\n"
        for level, title in LEVELS.items()
    )
    codes = "".join(f"| {code.name} | {code.meaning} | {code.fix} |\n" for code in CODES)
    return (
        "# Runbooks: keys and codes\n\n"
        "What may stand in a runbook, and what `labcoat watch check` says of it. In the last\n"
        "column: A is Automatron's own key; L means nothing without `semantics: labcoat`.\n"
        "Durations are seconds, or have units: `90`, `90s`, `30m`, `1h`, `2h30m`, `1d`.\n"
        "[Write a runbook](../how-to/write-a-runbook.md) shows them at work.\n\n"
        f"{tables}"
        "## Codes\n\n"
        "A finding reads `file:line:column CODE message; fix: way out`. E codes refuse the\n"
        "runbook, or the targets whose facts render it so; W codes warn.\n\n"
        f"| code | meaning | the way out |\n|---|---|---|\n{codes}"
    )


def key_row(key: Key) -> str:
    """One key as a row of its table."""
    whose = "A" if key.automatron else "L" if key.corrected else ""
    return f"| `{key.name}` | {key.value} | {key.default} | {key.meaning} | {whose} |\n"


Pages = dict[str, Callable[[], str]]
PAGES: Pages = {
    "docs/reference/commands.md": commands_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/exit-codes.md": exit_codes_page,
    "docs/reference/knobs.md": knobs_page,
    "docs/reference/metrics.md": metrics_page,
    "docs/reference/runbooks.md": runbooks_page,
    "docs/reference/study-file.md": study_file_page,
}


def golden_helps() -> Pages:
    """The help of each command, pinned: a change is seen in review."""

    def pinned(*argv: str) -> Callable[[], str]:
        return lambda: help_of(*argv)

    return {
        "tests/golden/help/labcoat.txt": pinned(),
        **{f"tests/golden/help/{row.name}.txt": pinned(row.name) for row in COMMANDS},
        **{
            f"tests/golden/help/{group}-{row.name}.txt": pinned(group, row.name)
            for group, rows in GROUPS.items()
            for row in rows
        },
    }


def main(argv: list[str]) -> int:
    """Write or check; exit status."""
    if argv not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for name, write in {**PAGES, **golden_helps()}.items():
        path = ROOT / name
        text = write().rstrip() + "\n"
        if path.suffix == ".md":
            text = NOTICE + text
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    for name in stale:
        print(f"{'stale' if argv else 'written'}: {name}")
    return 1 if argv and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
