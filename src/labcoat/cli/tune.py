"""``labcoat tune``: the campaign."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
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

if TYPE_CHECKING:
    from labcoat.model.study import Study
    from labcoat.model.tune import TuneFinding

BUDGET_S = 1200.0
CLASSES = ("observability", "durability", "security", "semantic")


@click.command(short_help="Find the few settings that make the stack faster, and prove it.")
@study_option
@click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    metavar="TIME",
    default=BUDGET_S,
    help="How long it may take, interruptions not counted.  [default: 20m]",
)
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
    "--allow",
    "allowed",
    type=click.Choice(CLASSES),
    multiple=True,
    help="Try knobs of this class too; see labcoat knobs. May be repeated.",
)
@click.option(
    "--only", metavar="PATTERN", multiple=True, help="Try only these knobs, e.g. 'uwsgi.*'."
)
@click.option("--skip", metavar="PATTERN", multiple=True, help="Leave these knobs alone.")
@click.option(
    "--slice",
    "slice_s",
    type=Duration(),
    metavar="TIME",
    help="Mean length of a slice.  [default: 1s; 0.5s below a budget of 15m]",
)
@json_option
def command(  # noqa: PLR0913 one argument per flag
    study_file: Path | None,
    budget_s: float,
    objective: str | None,
    margin: float | None,
    allowed: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    slice_s: float | None,
    *,
    as_json: bool,
) -> None:
    """Tune the study's stack: one change at a time, each decided by measurement.

    Measures a baseline, asks about one setting after another where most is to be gained, keeps
    what is better, leaves each out again to see whether it is missed, and confirms the rest
    on fresh processes. Your files are not touched: what should change is in
    .labcoat/tuned.patch (labcoat apply), why is in .labcoat/report.html. Ctrl-C finishes the
    block and tells what is known; the same command goes on.
    """
    from labcoat.cli.finishing import finishing
    from labcoat.cli.live import LiveView
    from labcoat.cli.report import write_whole
    from labcoat.host.local import LocalHost
    from labcoat.journal import Journal
    from labcoat.lab.campaign.asked import Tune
    from labcoat.lab.campaign.tuning import SHORT_S, tune
    from labcoat.lab.trial.question import Rhythm
    from labcoat.load import Generator
    from labcoat.model.knob import Safety
    from labcoat.report.tune.ladder import PATCH, REPORT, ladder_text
    from labcoat.report.whole import choose, report

    study = open_study(study_file)
    if slice_s is None:
        slice_s = 0.5 if budget_s < SHORT_S else 1.0
    try:
        with (
            Journal.open(study.root / ".labcoat" / "journal.db") as journal,
            measuring_alone(study),
            Generator() as generator,
            LiveView(total_s=budget_s) as view,
            finishing() as stops,
        ):
            found = tune(
                study,
                Tune(
                    objective=metric_of(objective or study.objective),
                    margin=study.margin if margin is None else margin,
                    budget_s=budget_s,
                    rhythm=Rhythm(slice_s=slice_s, discard_s=0.3 * slice_s),
                    allowed=frozenset(Safety(each) for each in allowed),
                    only=only,
                    skip=skip,
                    command=" ".join(("labcoat", *sys.argv[1:])),
                    stops=stops,
                ),
                host=LocalHost(),
                journal=journal,
                generator=generator,
                tell_event=view,
            )
            page = report(journal, choose(journal, (journal.study(found.study_id),)), "html")
    except KeyboardInterrupt:
        click.echo("what was measured is kept: the same command goes on from there", err=True)
        raise
    write_whole(study.root / REPORT, page)
    if as_json:
        print_document(asdict(found))
    else:
        named = (_named(study, REPORT), _named(study, PATCH))
        click.echo(ladder_text(found, report=named[0], patch=named[1]), nl=False)
        click.echo(_next_step(found), nl=False)
    if found.outcome == "interrupted":
        raise click.exceptions.Exit(ExitCode.INTERRUPTED)


def _named(study: Study, name: str) -> str:
    """A file of the study as it can be typed from here."""
    path = study.root / name
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _next_step(found: TuneFinding) -> str:
    """What to do now."""
    if found.outcome == "improved":
        return "\nlabcoat report --open shows why; labcoat apply changes your files, and back.\n"
    if found.outcome == "interrupted":
        return ""
    return "\nlabcoat report --open shows what was measured; your files are as they were.\n"
