"""The contract of a journal, over whatever database it stands on, and things to put in it.

Subclass JournalContract in a test file and give it a ``where`` fixture: the path or
URL of a journal that does not exist yet.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pytest

from labcoat.errors import JournalError
from labcoat.journal import Journal
from labcoat.model.experiment import Arm, Order, Trial, Usage
from labcoat.model.host import Facts, HostCounters, TreeCounters
from labcoat.model.journal import ExperimentRecord, StudyRecord
from labcoat.model.load import (
    Arrivals,
    ClosedLoop,
    GeneratorUse,
    Measurement,
    OpenLoop,
    Plan,
    Records,
    Window,
)
from labcoat.model.stats import Decision, Effect, Evidence, LabWarning, Verdict
from labcoat.model.study import App, ComponentSpec, Interface, Study
from labcoat.model.variant import ORIGIN, Variant
from labcoat.model.workload import Expectation, RequestTemplate, Workload

SECRET = "hunter2-of-the-tests"  # noqa: S105 - guards nothing
TWO_PROCESSES = Variant.of({"uwsgi.processes": 2, "nginx.gzip": True, "uwsgi.harakiri": 2.5})
_Counters = TypeVar("_Counters", HostCounters, TreeCounters)
CLOSED = ClosedLoop(users=32, think_s=0.25)
POISSON = OpenLoop(rate_per_s=812.5, arrivals=Arrivals.POISSON, connections=64)


def a_study(root: Path = Path("/project"), *, users: int = 32, secret: str = SECRET) -> Study:
    """A study that carries a secret wherever a user may put one."""
    return Study(
        name="shop",
        file=root / "labcoat.toml",
        root=root,
        app=App(
            interface=Interface.WSGI,
            target="shop:app",
            directory=root,
            python=Path("/usr/bin/python3"),
            env=(("DATABASE_URL", f"postgresql://shop:{secret}@db/shop"), ("SECRET_KEY", secret)),
            seed=(("psql", f"postgresql://shop:{secret}@db/shop"),),
        ),
        components=(
            ComponentSpec(name="uwsgi", file=root / "uwsgi.ini", options=(("processes", 4),)),
        ),
        workload=Workload(
            requests=(
                RequestTemplate(
                    path=f"/login?token={secret}",
                    name="login",
                    method="POST",
                    headers=(("Authorization", f"Bearer {secret}"), ("Accept", "text/html")),
                    body=f"user=me&password={secret}",
                    expect=Expectation(statuses=(200, 302)),
                ),
                RequestTemplate(path="/", name="home", weight=4.0),
            )
        ),
        users=users,
    )


def some_facts() -> Facts:
    """Facts of a machine."""
    return Facts(
        hostname="bench",
        kernel="6.1.0",
        machine="x86_64",
        cpu_model="Some CPU @ 2.5 GHz",
        cpus=2,
        cpus_online=4,
        cpu_quota=None,
        ram_bytes=8 * 2**30,
        virtualised="kvm",
        governor=None,
        cgroup=2,
        somaxconn=4096,
        nofile=1024,
        port_range=(32768, 60999),
        python="3.11.2",
        is_root=True,
        programs=(("nginx", "1.27.3 (/usr/sbin/nginx)"),),
    )


def some_records(n: int, *, seed: int) -> Records:
    """Records as a closed loop of a slow shop gives them: sorted by completion."""
    draw = np.random.default_rng(seed)
    done = np.sort(draw.integers(20_000_000, 2_000_000_000, n, dtype=np.int64))
    sent = done - (draw.lognormal(16.0, 0.5, n)).astype(np.int64)
    outcome = (draw.random(n) < 0.01).astype(np.int8) * np.int8(5)
    return Records(
        intended=sent.copy(),
        sent=sent,
        first_byte=done - draw.integers(1_000, 200_000, n, dtype=np.int64),
        done=np.where(outcome == 0, done, np.int64(-1)),
        status=np.where(outcome == 0, 200, 0).astype(np.int16),
        received=draw.choice([1_200, 8_000, 700_000], n).astype(np.int32),
        route=draw.integers(0, 2, n).astype(np.int16),
        outcome=outcome,
    )


def a_measurement(n: int = 50, *, seed: int = 1, plan: Plan = CLOSED) -> Measurement:
    """A slice with ``n`` records."""
    return Measurement(
        plan=plan,
        window=Window(measure_s=1.85, warmup_s=0.25),
        started_ns=2**53 + 1,  # past what a double holds
        records=some_records(n, seed=seed),
        use=GeneratorUse(
            cpu_s=0.31,
            cores=1,
            loop_lag_p99_s=0.0002,
            connects=32,
            syn_retransmits=1,
            stalled_ratio=0.125,
        ),
        routes=("login", "home"),
        notes=("a note",),
    )


def a_usage(*, layers: tuple[str, ...] = ("nginx", "uwsgi", "app", "postgres")) -> Usage:
    """Readings in which every number differs from every other."""
    number = iter(range(1, 1000))

    def reading(kind: type[_Counters]) -> _Counters:
        values: dict[str, Any] = {
            each.name: next(number) + (0.125 if each.type == "float" else 0)
            for each in fields(kind)
        }
        return kind(**values)

    return Usage(
        host_before=reading(HostCounters),
        host_after=reading(HostCounters),
        layers_before={layer: reading(TreeCounters) for layer in layers},
        layers_after={layer: reading(TreeCounters) for layer in layers},
    )


def assert_same_measurement(actual: Measurement, expected: Measurement) -> None:
    """Every field equal, every column bit for bit."""
    for each in fields(Measurement):
        if each.name != "records":
            assert getattr(actual, each.name) == getattr(expected, each.name), each.name
    for column in fields(Records):
        one, other = getattr(actual.records, column.name), getattr(expected.records, column.name)
        assert one.dtype == other.dtype, column.name
        np.testing.assert_array_equal(one, other, err_msg=column.name)


def begun(journal: Journal) -> tuple[StudyRecord, ExperimentRecord]:
    """A study with an experiment in it."""
    study = journal.begin_study(a_study())
    experiment = journal.begin_experiment(
        study.id, "try", {"knob": "uwsgi.processes", "level": 2}, ORIGIN, TWO_PROCESSES, 7
    )
    return study, experiment


def a_trial(experiment: str, *, block: str | None = None, position: int = 0) -> Trial:
    """A trial of the treatment."""
    return Trial(
        experiment=experiment,
        block=block,
        arm=Arm.TREATMENT,
        slot=1,
        position=position,
        variant=TWO_PROCESSES,
    )


class JournalContract:
    """What every journal does, whatever database it stands on."""

    def test_a_study_comes_back_without_its_secrets(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            record = journal.begin_study(a_study())
            assert journal.study(record.id) == record
            assert journal.latest_study() == record
            assert journal.studies() == (record,)
        assert record.name == "shop"
        assert record.document["users"] == 32
        assert record.document["app"]["env_names"] == ["DATABASE_URL", "SECRET_KEY"]
        assert SECRET not in repr(record)

    def test_a_study_is_resumed_only_if_asked(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            first = journal.begin_study(a_study())
            second = journal.begin_study(a_study(secret=SECRET[::-1]))
            assert first.id < second.id
            assert first.fingerprint == second.fingerprint
            assert journal.begin_study(a_study(), resume=True) == second
            changed = journal.begin_study(a_study(users=8), resume=True)
            assert changed.id > second.id
            assert [study.id for study in journal.studies()] == [first.id, second.id, changed.id]

    def test_an_empty_journal_has_no_latest_study(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            assert journal.latest_study() is None
            assert journal.studies() == ()

    def test_facts_come_back(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            study, _ = begun(journal)
            journal.record_facts(study.id, some_facts())
            assert journal.facts(study.id) == (some_facts(),)

    def test_levels_keep_their_types(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            assert journal.record_variant(TWO_PROCESSES) == TWO_PROCESSES.name
            assert journal.record_variant(TWO_PROCESSES) == TWO_PROCESSES.name
            study, experiment = begun(journal)
            (found,) = journal.experiments(study.id)
        assert found == experiment
        assert found.baseline == ORIGIN
        levels = dict(found.treatment.assignment)
        assert {name: type(level) for name, level in levels.items()} == {
            "uwsgi.processes": int,
            "nginx.gzip": bool,
            "uwsgi.harakiri": float,
        }

    @pytest.mark.parametrize("plan", [CLOSED, POISSON])
    def test_a_trial_comes_back_bit_for_bit(self, where: Path | str, plan: Plan) -> None:
        measurement, usage = a_measurement(500, plan=plan), a_usage()
        with Journal.open(where) as journal:
            _, experiment = begun(journal)
            block = journal.record_block(experiment.id, 3, Order.BAAB, epoch=1, seed=99)
            trial = a_trial(experiment.id, block=block.id, position=2)
            record = journal.record_trial(trial, measurement, usage)
            assert record.trial == trial
            assert record.requests == 500
            assert journal.trials(experiment.id) == (record,)
            assert_same_measurement(journal.measurement(record.id), measurement)
            found = journal.usage(record.id)
        assert found == usage
        assert list(found.layers_after) == list(usage.layers_after)

    def test_a_trial_without_a_block_layers_or_records(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            _, experiment = begun(journal)
            trial = a_trial(experiment.id)
            record = journal.record_trial(trial, a_measurement(0), a_usage(layers=()))
            assert journal.trials(experiment.id)[0].trial.block is None
            assert len(journal.measurement(record.id).records) == 0
            assert journal.usage(record.id).layers_before == {}

    def test_the_same_trial_of_a_block_is_recorded_once(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            _, experiment = begun(journal)
            block = journal.record_block(experiment.id, 0, Order.ABBA)
            trial = a_trial(experiment.id, block=block.id)
            kept = journal.record_trial(trial, a_measurement(), a_usage())
            with pytest.raises(JournalError, match="refuses this record"):
                journal.record_trial(trial, a_measurement(), a_usage())
            with pytest.raises(JournalError, match="refuses this record"):
                journal.record_block(experiment.id, 0, Order.BAAB)
            assert journal.trials(experiment.id) == (kept,)

    def test_what_does_not_belong_anywhere_is_refused(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            study, one = begun(journal)
            other = journal.begin_experiment(study.id, "try", {}, ORIGIN, ORIGIN, 1)
            block = journal.record_block(one.id, 0, Order.ABBA)
            for trial in (a_trial("nowhere"), a_trial(other.id, block=block.id)):
                with pytest.raises(JournalError, match="refuses this record"):
                    journal.record_trial(trial, a_measurement(), a_usage())
            with pytest.raises(JournalError, match="refuses this record"):
                journal.record_finding("nowhere", "noise", {})

    def test_a_void_block_is_drawn_anew(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            _, experiment = begun(journal)
            first = journal.record_block(experiment.id, 0, Order.ABBA)
            journal.record_void(first.id, "a worker died")
            second = journal.record_block(experiment.id, 0, Order.BAAB, attempt=1)
            blocks = journal.blocks(experiment.id)
        assert [(block.id, block.void) for block in blocks] == [
            (first.id, "a worker died"),
            (second.id, None),
        ]
        assert [block.order for block in blocks] == [Order.ABBA, Order.BAAB]

    def test_verdicts_come_back_with_infinite_ends(self, where: Path | str) -> None:
        warning = LabWarning(code="few_blocks", message="4 blocks", remedy="raise --budget")
        effect = Effect(
            point=0.05, low=float("-inf"), high=float("inf"), method="t", n=4, warnings=(warning,)
        )
        evidence = Evidence(
            better=2.5, worse=float("-inf"), not_better=0.1, not_worse=0.2, needed=3.7,
            needed_for_margin=3.0,
        )  # fmt: skip
        full = Decision(
            verdict=Verdict.INCONCLUSIVE, reason="the cap", n=4, evidence=evidence, chance=0.07,
            warnings=(warning,),
        )  # fmt: skip
        bare = Decision(verdict=Verdict.INVALID, reason="too many voids", n=0)
        with Journal.open(where) as journal:
            _, experiment = begun(journal)
            journal.record_verdict(experiment.id, "throughput", full, effect)
            journal.record_verdict(experiment.id, "throughput", bare, None)
            one, two = journal.verdicts(experiment.id)
        assert (one.metric, one.decision, one.effect) == ("throughput", full, effect)
        assert (two.decision, two.effect) == (bare, None)

    def test_a_later_finding_supersedes(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            study, _ = begun(journal)
            first = journal.record_finding(study.id, "noise", {"floor_ratio": 0.021})
            second = journal.record_finding(study.id, "noise", {"floor_ratio": 0.019})
            other = journal.record_finding(study.id, "law", {"gamma": 1.0, "text": "1 µs ≤ 2"})
            assert journal.finding(study.id, "noise") == second
            assert journal.finding(study.id, "knee") is None
            assert journal.findings(study.id) == (first, second, other)

    def test_events_come_in_pages(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            study, _ = begun(journal)
            told = [journal.record_event(study.id, "tick", {"n": n}) for n in range(5)]
            assert journal.events(study.id, limit=2) == tuple(told[:2])
            assert journal.events(study.id, after=told[1].id) == tuple(told[2:])

    def test_applied_states_come_back(self, where: Path | str) -> None:
        document = {"files": [{"path": "uwsgi.ini", "sha256": "0" * 64}]}
        with Journal.open(where) as journal:
            study, _ = begun(journal)
            state = journal.record_state(study.id, TWO_PROCESSES, document)
            assert journal.states(study.id) == (state,)
        assert (state.variant, state.document) == (TWO_PROCESSES, document)

    def test_numbers_of_numpy_are_numbers(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            study, experiment = begun(journal)
            index, seed = cast("int", np.int64(2)), cast("int", np.int32(5))
            block = journal.record_block(experiment.id, index, Order.ABBA, seed=seed)
            finding = journal.record_finding(study.id, "n", {"x": np.float64(0.5), "n": np.int8(3)})
        assert (block.index, block.seed) == (2, 5)
        assert finding.document == {"x": 0.5, "n": 3}

    def test_what_cannot_be_kept_is_refused(self, where: Path | str) -> None:
        unknown = Decision(verdict=Verdict.INVALID, reason="", n=0, chance=float("nan"))
        with Journal.open(where) as journal:
            study, experiment = begun(journal)
            for document in ({"x": float("nan")}, {"x": {1, 2}}, {"x": {1: 2}}):
                with pytest.raises(JournalError):
                    journal.record_finding(study.id, "bad", document)
            with pytest.raises(JournalError, match="not a number: chance"):
                journal.record_verdict(experiment.id, "throughput", unknown, None)
            with pytest.raises(JournalError, match="without a verdict"):
                journal.record_verdict(
                    experiment.id, "m", Decision(verdict=None, reason="more", n=1), None
                )
            with pytest.raises(JournalError, match=r"does not fit|refused"):
                journal.record_block(experiment.id, 0, Order.ABBA, seed=2**64)
            assert journal.findings(study.id) == ()
            assert journal.verdicts(experiment.id) == ()
            assert journal.blocks(experiment.id) == ()

    def test_unknown_ids_are_errors(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            for read in (journal.study, journal.measurement, journal.usage):
                with pytest.raises(JournalError, match="there is no"):
                    read("0000000000000")

    def test_a_reader_writes_nothing(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            study, _ = begun(journal)
        with Journal.open(where, read_only=True) as reader:
            assert reader.study(study.id) == study
            with pytest.raises(JournalError, match="reading only"):
                reader.begin_study(a_study())

    def test_what_was_recorded_is_there_after_reopening(self, where: Path | str) -> None:
        with Journal.open(where) as journal:
            _, experiment = begun(journal)
            record = journal.record_trial(a_trial(experiment.id), a_measurement(), a_usage())
        with Journal.open(where) as journal:
            assert journal.trials(experiment.id) == (record,)
            assert_same_measurement(journal.measurement(record.id), a_measurement())
