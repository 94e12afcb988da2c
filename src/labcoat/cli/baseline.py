"""``labcoat baseline``: measure the stack before anything is changed."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import click

from labcoat.cli.options import (
    Duration,
    json_option,
    measuring_alone,
    open_study,
    print_document,
    study_option,
)


@click.command(short_help="Measure the stack: noise, capacity, where time goes.")
@study_option
@click.option(
    "--epochs",
    type=click.IntRange(min=6, max=200),
    help="Restarts of each arm in the A/A experiment; more know the noise better.  [default: 6]",
)
@click.option("--quick", is_flag=True, help="Three minutes instead of five, and wider intervals.")
@click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    metavar="TIME",
    help="Say also what an experiment of this length would find, e.g. 20m.",
)
@json_option
def command(
    study_file: Path | None,
    epochs: int | None,
    budget_s: float | None,
    *,
    quick: bool,
    as_json: bool,
) -> None:
    """Measure the study's stack: noise, capacity, where the time goes, the ceiling.

    Starts the real stack in a sandbox, loads it on loopback, takes all of it down
    again. About five minutes; everything is kept in
    .labcoat/journal.db beside the study file.
    """
    from labcoat.cli.live import LiveView
    from labcoat.host.local import LocalHost
    from labcoat.journal import Journal
    from labcoat.lab.baseline.baseline import measure_baseline
    from labcoat.lab.baseline.noise import BUDGETS_S
    from labcoat.lab.baseline.pace import FULL, QUICK
    from labcoat.lab.baseline.phases import sweep_levels
    from labcoat.load import Generator
    from labcoat.report.baseline import baseline_text
    from labcoat.report.findings import read_baseline

    study = open_study(study_file)
    pace = QUICK if quick else FULL
    if epochs is not None:
        pace = replace(pace, epochs=epochs)
    budgets_s = BUDGETS_S if budget_s is None else tuple(sorted({*BUDGETS_S, budget_s}))
    with (
        Journal.open(study.root / ".labcoat" / "journal.db") as journal,
        measuring_alone(study),
        Generator() as generator,
        LiveView(total_s=pace.total_s(len(sweep_levels(study.users)))) as view,
    ):
        measured = measure_baseline(
            study,
            host=LocalHost(),
            journal=journal,
            generator=generator,
            tell=view,
            pace=pace,
            budgets_s=budgets_s,
        )
        found, facts = read_baseline(journal, measured.study_id)
    if as_json:
        print_document(asdict(found))
    else:
        click.echo(baseline_text(found, facts), nl=False)
