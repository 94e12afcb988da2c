"""The budget over several sittings: what was spent counts, what lay between them does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labcoat.journal import Journal
from labcoat.lab.campaign.spending import CAME_TO_ITS_END, Spending, sit_down
from labcoat.lab.experiment.experiment import EPOCH
from labcoat.testing.baseline import two_routes
from labcoat.testing.clock import FakeClock

TERMS = {"objective": "throughput", "only": []}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def sit(
    journal: Journal, clock: FakeClock, *, study_id: str = "", terms: object = TERMS
) -> Spending:
    study_id = study_id or journal.begin_study(two_routes(), resume=True).id
    found = sit_down(journal, study_id, terms, budget_s=100.0)  # type: ignore[arg-type]
    return Spending(
        budget_s=found.budget_s, carried_s=found.carried_s, now=clock.now_s, keep=found.keep
    )


def test_a_first_sitting_has_the_whole_budget(journal: Journal) -> None:
    clock = FakeClock(now_s=50.0)
    spending = sit(journal, clock)
    assert (spending.carried_s, spending.left_s) == (0.0, 100.0)
    clock.advance(130.0)
    assert (spending.spent_s, spending.left_s) == (130.0, -30.0)


def test_a_sitting_that_was_killed_counts_up_to_what_it_told_last(journal: Journal) -> None:
    clock = FakeClock()
    first = sit(journal, clock)
    for step_s in (10.0, 20.0):
        clock.advance(step_s)
        first.tell()
    clock.advance(5.0)  # killed without telling
    clock.advance(86_400.0)
    second = sit(journal, clock)
    assert second.carried_s == 30.0
    clock.advance(7.0)
    second.tell()
    third = sit(journal, clock)
    assert third.carried_s == 37.0


def test_what_other_commands_do_in_between_is_not_counted(journal: Journal) -> None:
    clock = FakeClock()
    first = sit(journal, clock)
    clock.advance(10.0)
    first.tell()
    study = journal.studies()[-1].id
    journal.record_event(study, EPOCH, {"experiment": "of a labcoat try", "epoch": 0})
    assert sit(journal, clock).carried_s == 10.0


def test_a_finished_campaign_gives_the_next_a_new_budget(journal: Journal) -> None:
    clock = FakeClock()
    first = sit(journal, clock)
    clock.advance(90.0)
    first.tell()
    study = journal.studies()[-1].id
    journal.record_event(study, CAME_TO_ITS_END, {"terms": {"objective": "another"}})
    assert sit(journal, clock).carried_s == 90.0
    journal.record_event(study, CAME_TO_ITS_END, {"terms": TERMS})
    assert sit(journal, clock).carried_s == 0.0


def test_other_terms_are_another_campaign(journal: Journal) -> None:
    clock = FakeClock()
    first = sit(journal, clock)
    clock.advance(10.0)
    first.tell()
    other = {**TERMS, "only": ["uwsgi.*"]}
    second = sit(journal, clock, terms=other)
    assert second.carried_s == 0.0
    clock.advance(20.0)
    second.tell()
    assert sit(journal, clock).carried_s == 10.0
    assert sit(journal, clock, terms=other).carried_s == 20.0


def test_a_baseline_measured_in_between_does_not_forget_it(journal: Journal) -> None:
    clock = FakeClock()
    first = sit(journal, clock)
    clock.advance(10.0)
    first.tell()
    begun = journal.begin_study(two_routes())  # as labcoat baseline does
    assert sit(journal, clock, study_id=begun.id).carried_s == 10.0
