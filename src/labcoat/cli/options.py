"""What commands share: ``--study``, ``--json``, and the one JSON document."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from labcoat.errors import PreflightError, UsageError

if TYPE_CHECKING:
    from labcoat.model.metric import Metric
    from labcoat.model.study import Study

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
DOCUMENT_PRINTED = "labcoat.document_printed"


def study_option(command: Decorated) -> Decorated:
    """``--study FILE``, given to the command as ``study_file: Path | None``."""
    return click.option(
        "--study",
        "study_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The study file.  [default: labcoat.toml, here or in the nearest folder above]",
    )(command)


def json_option(command: Decorated) -> Decorated:
    """``--json``, given to the command as ``as_json: bool``."""
    return click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON document on standard output, and nothing else there.",
    )(command)


class Duration(click.ParamType[float]):
    """A length of time as people write it: ``90``, ``90s``, ``20m``, ``1h``; in seconds."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds, more than 0."""
        if isinstance(value, float):
            return value
        found = _DURATION.fullmatch(value.strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"{value!r} is no length of time: write 90s, 20m or 1h", param, ctx)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def open_study(study_file: Path | None) -> Study:
    """The study that ``--study`` names, or the nearest one. Raises: UsageError."""
    from labcoat.lab.study.study_file import find_study, read_study

    file = find_study(Path.cwd()) if study_file is None else study_file
    settled(Path(os.path.abspath(file.expanduser())).parent)  # noqa: PTH100 - as read_study has it
    return read_study(file)


def measuring_alone(study: Study) -> AbstractContextManager[None]:
    """Nobody else measures this study meanwhile: two loads on one machine measure each other.

    Raises, on entering: PreflightError with the other's pid, HostError.
    """
    from labcoat.host.hold import hold

    return hold(
        study.root / ".labcoat" / "measuring",
        lambda pid: PreflightError(
            f"labcoat measures this study already (pid {pid})",
            where=f"study {study.name}",
            way_out="wait until it has finished, or end it with Ctrl-C; nothing measured is lost",
        ),
    )


def open_project(study_file: Path | None) -> Path:
    """The folder of the study file, which itself need not be right. Raises: UsageError."""
    from labcoat.lab.study.study_file import find_study, read_text

    file = find_study(Path.cwd()) if study_file is None else study_file
    file = Path(os.path.abspath(file.expanduser()))  # noqa: PTH100 - as read_study has it
    read_text(file)
    settled(file.parent)
    return file.parent


def settled(root: Path) -> None:
    """Finish what a killed ``apply`` or ``rollback`` began, before anything reads the files."""
    if not (root / ".labcoat" / "states").exists():
        return
    from labcoat.lab.handover.writing import settle

    if settle(root) is not None:
        click.echo(
            "labcoat was killed while it changed your files: that is finished now;"
            " labcoat history tells, labcoat rollback goes back",
            err=True,
        )


def metric_of(name: str) -> Metric:
    """The metric of a name. Raises: UsageError."""
    from labcoat.model.metric import METRICS

    found = next((metric for metric in METRICS if metric.name == name), None)
    if found is None:
        raise UsageError(
            f"there is no metric {name!r}",
            where="--objective",
            way_out=f"one of {', '.join(metric.name for metric in METRICS)}",
        )
    return found


def print_document(document: Mapping[str, object]) -> None:
    """Print the one JSON document of ``--json``.

    Numbers that JSON cannot say (NaN, infinity) are refused: say null instead.
    Raises: ValueError for such a number, RuntimeError for a second document.
    """
    context = click.get_current_context()
    if context.meta.get(DOCUMENT_PRINTED):
        raise RuntimeError("a command prints one JSON document")
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    context.meta[DOCUMENT_PRINTED] = True
    click.echo(text)
