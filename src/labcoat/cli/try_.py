"""``labcoat try``: one question of the real stack, answered with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.options import (
    Duration,
    json_option,
    measuring_alone,
    metric_of,
    open_study,
    print_document,
    study_option,
)
from labcoat.errors import UsageError

if TYPE_CHECKING:
    from labcoat.lab.experiment.trying import Treatment
    from labcoat.model.study import Study

BUDGET_S = 600.0


@click.command(short_help="Ask one question: is the stack better with KNOB=LEVEL?")
@click.argument("questions", metavar="KNOB=LEVEL[,LEVEL...]", nargs=-1)
@study_option
@click.option("--aa", "is_aa", is_flag=True, help="Compare the stack with itself.")
@click.option(
    "--objective",
    metavar="METRIC",
    help="What should get better: throughput, cpu_per_request, latency_p99 ...  [default: the"
    " study's]",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The smallest effect worth having, a ratio: 0.02 is 2 %.  [default: the study's]",
)
@click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    metavar="TIME",
    default=BUDGET_S,
    help="How long it may take, all levels together.  [default: 10m]",
)
@click.option(
    "--workload",
    "workload_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A TOML file with a [workload] table, instead of the study's.",
)
@click.option(
    "--slice",
    "slice_s",
    type=Duration(),
    metavar="TIME",
    default=1.5,
    help="Mean length of a slice.  [default: 1.5s]",
)
@click.option(
    "--blocks-per-restart",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="Blocks between two restarts of both arms.",
)
@click.option(
    "--again", is_flag=True, help="Measure anew what has a verdict already, from the beginning."
)
@json_option
def command(  # noqa: PLR0913 one argument per flag
    questions: tuple[str, ...],
    study_file: Path | None,
    objective: str | None,
    margin: float | None,
    budget_s: float,
    workload_file: Path | None,
    slice_s: float,
    blocks_per_restart: int,
    *,
    is_aa: bool,
    again: bool,
    as_json: bool,
) -> None:
    """Is the stack better with KNOB=LEVEL? Several levels race against one baseline.

    Both stacks stand side by side in a sandbox, are loaded in turn in an order drawn by
    coin, and are restarted after each block; the experiment ends when the evidence
    is enough. Your files are not touched. Interrupted, the same command goes on.

    Exit codes: 0 answered (better or not), 1 error, 2 usage, 4 INVALID: what was measured
    cannot be used.
    """
    from labcoat.cli.live import LiveView
    from labcoat.host.local import LocalHost
    from labcoat.journal import Journal
    from labcoat.lab.experiment.trying import Try, try_levels
    from labcoat.lab.trial.question import Rhythm
    from labcoat.load import Generator
    from labcoat.report.experiment import try_text
    from labcoat.report.findings import read_try

    treatments = _treatments(questions, is_aa=is_aa)
    study = _study(study_file, workload_file)
    asked = Try(
        treatments=treatments,
        objective=metric_of(objective or study.objective),
        margin=study.margin if margin is None else margin,
        budget_s=budget_s,
        rhythm=Rhythm(slice_s=slice_s, blocks_per_epoch=blocks_per_restart),
        anew=again,
    )
    try:
        with (
            Journal.open(study.root / ".labcoat" / "journal.db") as journal,
            measuring_alone(study),
            Generator() as generator,
            LiveView(total_s=budget_s) as view,
        ):
            measured = try_levels(
                study,
                asked,
                host=LocalHost(),
                journal=journal,
                generator=generator,
                tell_event=view,
            )
            found = read_try(journal, measured.study_id)
    except KeyboardInterrupt:
        click.echo("what was measured is kept: the same command goes on from there", err=True)
        raise
    if as_json:
        print_document(asdict(found))
    else:
        click.echo(try_text(found), nl=False)
    if any(each.verdict == "invalid" for each in found.experiments):
        raise click.exceptions.Exit(ExitCode.INVALID)


def _treatments(questions: Sequence[str], *, is_aa: bool) -> tuple[Treatment, ...]:
    """The knobs and levels that the arguments name. Raises: UsageError."""
    from labcoat.knobs import find
    from labcoat.lab.experiment.trying import Treatment

    if is_aa and questions:
        raise UsageError(
            "an A/A compares the stack with itself, so it has no knob",
            where=f"labcoat try --aa {' '.join(questions)}",
            way_out="leave out --aa, or the knob",
        )
    if is_aa:
        return (Treatment(),)
    if not questions:
        raise UsageError(
            "nothing was asked",
            where="labcoat try",
            way_out="labcoat try uwsgi.processes=4; labcoat knobs lists what can be asked",
        )
    found = []
    for question in questions:
        name, equals, levels = question.partition("=")
        if not equals or not levels:
            raise UsageError(
                "not a question",
                where=question,
                way_out=f"write {name}=LEVEL; labcoat knobs {name} tells its levels",
            )
        knob = find(name)
        found += [Treatment(knob=knob, text=text) for text in levels.split(",")]
    return tuple(found)


def _study(study_file: Path | None, workload_file: Path | None) -> Study:
    """The study, with another workload where one is named. Raises: UsageError."""
    from labcoat.lab.study.study_file import read_workload

    study = open_study(study_file)
    if workload_file is None:
        return study
    workload, users = read_workload(workload_file)
    return replace(study, workload=workload, users=users)
