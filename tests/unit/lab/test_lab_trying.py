"""What is refused before anything starts: levels that are none, or that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from labcoat.errors import UsageError
from labcoat.journal import Journal
from labcoat.knobs import find
from labcoat.lab.experiment.guard import guard_memory
from labcoat.lab.experiment.levels import present
from labcoat.lab.experiment.online import discoveries
from labcoat.lab.experiment.trying import (
    Treatment,
    Try,
    _guards,
    _level,
    _question,
    _refuse_doubles,
)
from labcoat.lab.trial.question import Rhythm
from labcoat.lab.trial.workbench import Workbench
from labcoat.model.domain import WholeNumber
from labcoat.model.knob import ApplyCost, Condition, Knob, Relief, Safety
from labcoat.model.load import ClosedLoop
from labcoat.model.metric import LATENCY_P99, MEMORY, THROUGHPUT, Metric
from labcoat.model.stats import Decision, Evidence, Verdict
from labcoat.model.study import Study
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack.binaries import Located
from labcoat.stack.rig import Rig
from labcoat.testing.baseline import two_routes
from labcoat.testing.experiment import experiment, question
from labcoat.testing.host import FACTS
from labcoat.testing.stack import SimulatedComponent


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidComponent(SimulatedComponent):
    """A component whose file says some levels."""

    said: Mapping[str, Level] = field(default_factory=dict)

    def origin_level(self, directive: str) -> Level | None:
        return self.said.get(directive)


@dataclass(slots=True, kw_only=True)
class FoundRig:
    """As much of a rig as a question needs."""

    components: Mapping[str, SaidComponent]
    study: Study = field(default_factory=two_routes)
    version: str = "2.0.28"
    build: str = ""

    def located(self, name: str) -> Located:
        return Located(
            name=name, argv=(f"/bin/{name}",), version=self.version, source="x", build=self.build
        )


def rig(said: Mapping[str, Level] | None = None, **of: str) -> Rig:
    components = {"nginx": SaidComponent(), "uwsgi": SaidComponent(said=said or {})}
    return cast("Rig", FoundRig(components=components, **of))  # type: ignore[arg-type]


def treatment(text: str) -> Treatment:
    name, _, level = text.partition("=")
    return Treatment(knob=find(name), text=level)


LIFETIME = Knob(
    name="uwsgi.new-thing",
    domain=WholeNumber(low=1, high=9),
    levels=lambda _: (2,),
    default=(("", 1), ("2.1", 3)),
    why="",
    condition=Condition(text=""),
    cost=ApplyCost.RESTART,
    safety=Safety.SAFE,
    relieves=(Relief.LAYER,),
    prior=0.1,
    source="",
    needs="2.0.20",
    needs_build="pcre",
)


def test_a_level_is_read_as_its_domain_means_it() -> None:
    found = _level(rig(), treatment("uwsgi.processes=4"), FACTS)
    assert found is not None
    assert (found[0].name, found[1]) == ("uwsgi.processes", 4)
    assert _level(rig(), Treatment(), FACTS) is None


@pytest.mark.parametrize(
    ("asked", "said", "what", "where", "way_out"),
    [
        (
            "uwsgi.processes=2",
            {"processes": "2"},
            "uwsgi.processes is 2 already",
            "uwsgi.processes",
            "labcoat try --aa",
        ),
        (
            "uwsgi.processes=1",
            {},
            "uwsgi.processes is 1 already (the built-in default; your files do not say it)",
            "uwsgi.processes",
            "ask about another level",
        ),
        (
            "gunicorn.workers=2",
            {},
            "this study has no gunicorn",
            "/project/labcoat.toml [stack]",
            "try a knob of nginx, uwsgi; labcoat knobs lists them",
        ),
        (
            "uwsgi.processes=0",
            {},
            "not a level of uwsgi.processes: '0' lies outside",
            "uwsgi.processes",
            "write 1 to 32",
        ),
        (
            "uwsgi.processes=many",
            {},
            "not a level of uwsgi.processes: 'many' is no whole number",
            "uwsgi.processes",
            "write 1 to 32",
        ),
        (
            "uwsgi.processes=",
            {},
            "not a level of uwsgi.processes: '' is no whole number",
            "uwsgi.processes",
            "write 1 to 32",
        ),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(
    asked: str, said: Mapping[str, Level], what: str, where: str, way_out: str
) -> None:
    with pytest.raises(UsageError) as caught:
        _level(rig(said), treatment(asked), FACTS)
    assert caught.value.what == what
    assert str(caught.value.where) == where
    assert caught.value.way_out is not None
    assert way_out in caught.value.way_out


@pytest.mark.parametrize(
    ("version", "build", "what"),
    [
        ("2.0.19", "pcre", "uwsgi 2.0.19 is older than 2.0.20"),
        ("2.0.28", "", "this uwsgi is built without pcre"),
    ],
)
def test_a_binary_that_lacks_the_knob(version: str, build: str, what: str) -> None:
    with pytest.raises(UsageError, match=r"uwsgi\.new-thing cannot be tried") as caught:
        _level(rig(version=version, build=build), Treatment(knob=LIFETIME, text="2"), FACTS)
    assert what in caught.value.what
    assert str(caught.value.where) == "uwsgi /bin/uwsgi"
    assert caught.value.way_out


@pytest.mark.parametrize(
    ("said", "version", "expected"),
    [
        ({"new-thing": "7"}, "2.0.28", (7, True)),
        ({"new-thing": 7}, "2.0.28", (7, True)),
        ({"new-thing": "$(VAR)"}, "2.0.28", ("$(VAR)", True)),
        ({}, "2.0.28", (1, False)),
        ({}, "2.1", (3, False)),
    ],
)
def test_the_present_level_is_what_the_file_says_or_the_default_of_the_version(
    said: Mapping[str, Level], version: str, expected: tuple[Level, bool]
) -> None:
    assert present(rig(said, version=version), LIFETIME) == expected


def test_a_component_that_is_missing_has_the_knobs_default() -> None:
    assert present(rig(), replace(LIFETIME, name="python.new-thing")) == (1, False)


@pytest.mark.parametrize(
    ("levels", "double"),
    [
        (("uwsgi.processes=2", "uwsgi.processes=4", "uwsgi.processes=2"), "uwsgi.processes=2"),
        (("nginx.gzip=on", "uwsgi.processes=4", "nginx.gzip=yes"), "nginx.gzip=on"),
    ],
)
def test_a_level_that_is_asked_twice_would_share_one_experiment(
    levels: tuple[str, ...], double: str
) -> None:
    """Its blocks would be counted twice: two experiments of one record."""
    asked = [_level(rig(), treatment(each), FACTS) for each in levels]
    with pytest.raises(UsageError) as caught:
        _refuse_doubles(asked)
    assert caught.value.what == f"{double} is asked twice"
    assert caught.value.where
    assert caught.value.way_out
    _refuse_doubles(asked[:2])
    _refuse_doubles([None])


ASKED = Try(
    treatments=(treatment("uwsgi.processes=2"),),
    objective=THROUGHPUT,
    margin=0.02,
    budget_s=600.0,
    rhythm=Rhythm(),
)


def test_a_race_screens_and_a_single_question_does_not() -> None:
    level = (find("uwsgi.processes"), 2)
    one = _question(ASKED, level, ClosedLoop(users=8), FACTS, "digest")
    assert (one.kind, one.baseline, one.treatment) == (
        "try", ORIGIN, Variant.of({"uwsgi.processes": 2}),
    )  # fmt: skip
    assert not one.rule.screening
    assert (one.origin, one.machine) == ("digest", "fake, 4 CPUs")
    two = replace(ASKED, treatments=ASKED.treatments * 2)
    assert _question(two, level, ClosedLoop(users=8), FACTS, "digest").rule.screening
    aa = _question(ASKED, None, ClosedLoop(users=8), FACTS, "digest")
    assert (aa.kind, aa.change) == ("aa", None)


@pytest.mark.parametrize(
    ("verdict", "levels", "objective", "guards"),
    [
        (Verdict.IMPROVED, None, THROUGHPUT, ["latency_p99", "memory"]),
        # It was decided on latency: only memory is left to guard.
        (Verdict.IMPROVED, None, LATENCY_P99, ["memory"]),
        (Verdict.REGRESSED, None, THROUGHPUT, []),
        (Verdict.INCONCLUSIVE, None, THROUGHPUT, []),
        (Verdict.IMPROVED, {}, THROUGHPUT, []),
    ],
)
def test_only_an_improvement_is_guarded(
    monkeypatch: pytest.MonkeyPatch,
    verdict: Verdict,
    levels: Mapping[str, Level] | None,
    objective: Metric,
    guards: list[str],
) -> None:
    given: list[float] = []
    held = guard_memory(experiment(), metric=MEMORY, ram_bytes=FACTS.ram_bytes)

    def latency(bench: object, rig: object, of: object, *, budget_s: float) -> object:
        given.append(budget_s)
        return replace(held, metric=LATENCY_P99)

    monkeypatch.setattr("labcoat.lab.experiment.trying.guard_latency", latency)
    asked = question(levels)
    asked = replace(asked, rule=replace(asked.rule, objective=objective))
    found = _guards(
        cast("Workbench", None), rig(), experiment(asked=asked),
        Decision(verdict=verdict, reason="", n=6), FACTS, budget_s=-20.0,
    )  # fmt: skip
    assert [each.metric.name for each in found] == guards
    # A budget that is used up leaves the guardrail one epoch, not none.
    assert given == [1.0] * (len(guards) - 1)


def evidence(better: float) -> Evidence:
    return Evidence(
        better=better, worse=-1.0, not_better=0.0, not_worse=0.0, needed=3.7, needed_for_margin=3.0
    )


def test_a_verdict_holds_online_by_what_was_asked_before_it(tmp_path: Path) -> None:
    """e-LOND wants 32.9 of the first question, twice that (log 2 is the stake of two sides)."""
    with Journal.open(tmp_path / "journal.db") as journal:
        study = journal.begin_study(two_routes(tmp_path))
        experiments = []
        for n, better in enumerate((4.1, 4.3)):
            asked = question({"uwsgi.processes": 2 + n})
            record = journal.begin_experiment(
                study.id, kind="try", question=asked.document(), baseline=asked.baseline,
                treatment=asked.treatment, seed=n,
            )  # fmt: skip
            held = experiment(asked=asked)
            held.record = record
            experiments.append(held)
            assert held.record.id not in discoveries(journal, study.id)
            decision = Decision(verdict=Verdict.IMPROVED, reason="", n=6, evidence=evidence(better))
            journal.record_verdict(record.id, "throughput", decision, None)
        assert experiments[0].record.id not in discoveries(journal, study.id)
        # 4.3 would do for a first question: log 32.9 + log 2 is 4.19. As a second it needs more.
        assert experiments[1].record.id not in discoveries(journal, study.id)
        stronger = Decision(verdict=Verdict.IMPROVED, reason="", n=9, evidence=evidence(4.3))
        journal.record_verdict(experiments[0].record.id, "throughput", stronger, None)
        assert experiments[0].record.id in discoveries(journal, study.id)
        stronger = replace(stronger, evidence=evidence(4.9))
        journal.record_verdict(experiments[1].record.id, "throughput", stronger, None)
        assert experiments[1].record.id in discoveries(journal, study.id)
