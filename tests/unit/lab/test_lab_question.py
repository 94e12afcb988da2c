"""Questions: the same document is the same question, also when it comes from the journal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from labcoat.lab.trial.question import Question, Rhythm, Rule
from labcoat.model.journal import ExperimentRecord
from labcoat.model.load import Arrivals, ClosedLoop, OpenLoop
from labcoat.model.metric import LATENCY_P99, THROUGHPUT
from labcoat.model.variant import ORIGIN, Variant
from labcoat.testing.experiment import question, record_of

OPEN = OpenLoop(rate_per_s=73.5, arrivals=Arrivals.POISSON, connections=64)


def journaled(asked: Question) -> ExperimentRecord:
    """Its record, the document having been JSON meanwhile."""
    return replace(record_of(asked), question=json.loads(json.dumps(asked.document())))


@pytest.mark.parametrize(
    "asked", [question(), question({}, kind="aa"), question(plan=OPEN), question({"a.b": True})]
)
def test_a_question_is_known_again_from_the_journal(asked: Question) -> None:
    assert asked.is_asked_by(journaled(asked))


@pytest.mark.parametrize(
    "other",
    [
        question(kind="guard"),
        question({"uwsgi.processes": 3}),
        question(plan=ClosedLoop(users=9)),
        question(plan=ClosedLoop(users=8, think_s=0.1)),
        question(plan=OPEN),
        question(rule=Rule(objective=LATENCY_P99, margin=0.02)),
        question(rule=Rule(objective=THROUGHPUT, margin=0.03)),
        question(rule=Rule(objective=THROUGHPUT, margin=0.02, alpha=0.01)),
        question(rule=Rule(objective=THROUGHPUT, margin=0.02, screening=True)),
        question(rhythm=Rhythm(slice_s=2.0)),
        question(rhythm=Rhythm(blocks_per_epoch=2)),
        replace(question(), origin="1"),
        replace(question(), machine="there"),
        replace(question(), baseline=Variant.of({"uwsgi.threads": 2})),
    ],
)
def test_whatever_else_is_asked_is_another_question(other: Question) -> None:
    assert not question().is_asked_by(journaled(other))
    assert other.is_asked_by(journaled(other))


def test_a_document_names_what_it_holds() -> None:
    assert question(plan=OPEN).document() == {
        "plan": {
            "loop": "OpenLoop", "rate_per_s": 73.5, "arrivals": "poisson", "connections": 64,
        },
        "rule": {"objective": "throughput", "margin": 0.02, "alpha": 0.05, "screening": False},
        "rhythm": {"slice_s": 1.5, "discard_s": 0.25, "blocks_per_epoch": 1},
        "origin": "0",
        "machine": "here",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        (question(), ("uwsgi.processes", 2)),
        (question({}, kind="aa"), None),
        (
            replace(
                question({"uwsgi.processes": 2, "nginx.gzip": True}),
                baseline=Variant.of({"uwsgi.processes": 2}),
            ),
            ("nginx.gzip", True),
        ),
        (
            replace(question(), baseline=Variant.of({"uwsgi.processes": 1})),
            ("uwsgi.processes", 2),
        ),
        (
            replace(
                question({"uwsgi.processes": 2}),
                baseline=Variant.of({"uwsgi.processes": 2, "nginx.gzip": True}),
            ),
            ("nginx.gzip", None),
        ),
    ],
)
def test_the_change_is_the_knob_that_differs(asked: Question, change: Any) -> None:
    assert asked.change == change


def test_only_a_knob_of_the_database_needs_a_database_for_each_arm() -> None:
    assert not question().own_databases
    assert question({"postgres.shared_buffers": "1GB"}).own_databases
    tuned = Variant.of({"postgres.shared_buffers": "1GB"})
    assert replace(question(), baseline=tuned).own_databases
    assert not replace(question({}), baseline=ORIGIN).own_databases


@pytest.mark.parametrize(
    "nonsense",
    [
        {"slice_s": 0.0},
        {"slice_s": -1.0},
        {"slice_s": float("nan")},
        {"discard_s": -0.1},
        {"blocks_per_epoch": 0},
        {"blocks_per_epoch": 3},
    ],
)
def test_a_rhythm_refuses_nonsense(nonsense: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="slices need a length"):
        Rhythm(**nonsense)


def test_a_planned_number_is_in_the_document_only_where_there_is_one() -> None:
    rule = Rule(objective=THROUGHPUT, margin=0.02)
    assert "planned" not in rule.document()
    planned = replace(rule, planned=20)
    assert planned.document() == {**rule.document(), "planned": 20}
    asked = question(kind="confirmation", rule=planned)
    assert asked.is_asked_by(journaled(asked))
    for other in (rule, replace(rule, planned=19)):
        assert not question(kind="confirmation", rule=other).is_asked_by(journaled(asked))


def test_changes_are_all_knobs_that_differ_those_that_are_taken_back_included() -> None:
    asked = replace(
        question({"b.y": 2, "a.x": 1, "c.z": 3}), baseline=Variant.of({"c.z": 3, "d.w": 4})
    )
    assert asked.changes == (("a.x", 1), ("b.y", 2), ("d.w", None))
    assert asked.change == ("a.x", 1)
    assert question({}, kind="aa").changes == ()
