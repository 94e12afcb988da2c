"""No foreign error leaves the journal: every public method over a broken database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from labcoat.errors import JournalError
from labcoat.journal import Journal, schema
from labcoat.model.experiment import Order
from labcoat.model.stats import Decision, Verdict
from labcoat.model.variant import ORIGIN
from labcoat.testing.journal import a_measurement, a_study, a_trial, a_usage, some_facts

INVALID = Decision(verdict=Verdict.INVALID, reason="voids", n=0)
CALLS: dict[str, Callable[[Journal], object]] = {
    "begin_study": lambda journal: journal.begin_study(a_study(), resume=True),
    "begin_experiment": lambda journal: journal.begin_experiment("s", "k", {}, ORIGIN, ORIGIN, 1),
    "record_facts": lambda journal: journal.record_facts("s", some_facts()),
    "record_variant": lambda journal: journal.record_variant(ORIGIN),
    "record_block": lambda journal: journal.record_block("e", 0, Order.ABBA),
    "record_void": lambda journal: journal.record_void("b", "why"),
    "record_trial": lambda journal: journal.record_trial(a_trial("e"), a_measurement(), a_usage()),
    "record_verdict": lambda journal: journal.record_verdict("e", "m", INVALID, None),
    "record_finding": lambda journal: journal.record_finding("s", "n", {}),
    "record_event": lambda journal: journal.record_event("s", "k", {}),
    "record_state": lambda journal: journal.record_state("s", ORIGIN, {}),
    "studies": lambda journal: journal.studies(),
    "latest_study": lambda journal: journal.latest_study(),
    "study": lambda journal: journal.study("s"),
    "facts": lambda journal: journal.facts("s"),
    "experiments": lambda journal: journal.experiments("s"),
    "blocks": lambda journal: journal.blocks("e"),
    "trials": lambda journal: journal.trials("e"),
    "measurement": lambda journal: journal.measurement("t"),
    "usage": lambda journal: journal.usage("t"),
    "verdicts": lambda journal: journal.verdicts("e"),
    "findings": lambda journal: journal.findings("s"),
    "finding": lambda journal: journal.finding("s", "n"),
    "events": lambda journal: journal.events("s"),
    "states": lambda journal: journal.states("s"),
}


def test_every_method_is_called_here() -> None:
    public = {name for name in vars(Journal) if not name.startswith("_")}
    assert set(CALLS) == public - {"open", "close"}


def test_nothing_changes_or_deletes() -> None:
    words = {name.split("_")[0] for name in CALLS}
    assert not words & {"update", "delete", "remove", "set", "replace", "rename", "clear"}


def test_a_broken_database_ends_every_method_with_one_error(where: Path | str) -> None:
    with Journal.open(where) as journal:
        with journal._writing() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(text(f"DROP TABLE {table.name}"))
        for name, call in CALLS.items():
            with pytest.raises(JournalError) as caught:
                call(journal)
            error = caught.value
            assert isinstance(error.__cause__, sqlalchemy.exc.SQLAlchemyError), name
            assert error.where
            assert error.way_out
            assert "p%40ss" not in str(error)
