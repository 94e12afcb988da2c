"""Protocols: what their files mean, what is wrong with them, and what verdicts say of claims."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from labcoat.cli.replicate import SHIPPED, shipped
from labcoat.errors import ToolMissing, UsageError
from labcoat.lab.replication.protocol_file import read_protocol, text_of
from labcoat.lab.replication.replicating import explain, refuse_missing, size_of
from labcoat.lab.replication.sighting import Worker, judge_workers
from labcoat.model.finding import Compared, ExperimentFinding, LayerCompared
from labcoat.model.metric import THROUGHPUT
from labcoat.model.replication import Claim, Mode, Outcome, Step, outcome_of
from labcoat.model.stats import Verdict
from labcoat.model.variant import Level, Variant
from labcoat.testing.host import FACTS, FakeHost

APPS = Path(str(SHIPPED))
GOOD = """\
name = "mine"
title = "One line"
about = "What is claimed."
study = "apps/api/uwsgi.toml"

[origin]
"uwsgi.threads" = 2

[[steps]]
name = "processes"
set = { "uwsgi.processes" = "2*cpus+1" }
claim = "better"
published = "1 to 3"
source = "a page"
ratio = 2.0

[[steps]]
name = "lock"
set = { "uwsgi.thunder-lock" = true }
claim = "same"
published = "nothing"
source = "a page"
keep = false

[[steps]]
name = "silent"
set = { "uwsgi.disable-logging" = true }
claim = "better"
published = "much"
source = "a page"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(APPS / "apps", tmp_path / "apps")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def test_steps_are_asked_alone_and_on_top_of_those_before(folder: Path) -> None:
    protocol = read_protocol(write(folder, GOOD), FACTS)
    processes = 2 * FACTS.cpus + 1
    origin = {"uwsgi.threads": 2}
    first = {**origin, "uwsgi.processes": processes}
    asked = [
        (step.name, mode, before.assignment, after.assignment)
        for step, mode, before, after in protocol.asked()
    ]

    def row(
        name: str, mode: Mode, before: Mapping[str, Level], **levels: Level
    ) -> tuple[str, Mode, object, object]:
        after = {**before, **{f"uwsgi.{k.replace('_', '-')}": v for k, v in levels.items()}}
        return name, mode, Variant.of(before).assignment, Variant.of(after).assignment

    assert asked == [
        row("processes", Mode.ALONE, origin, processes=processes),
        row("lock", Mode.ALONE, origin, thunder_lock=True),
        row("lock", Mode.ON_TOP, first, thunder_lock=True),
        row("silent", Mode.ALONE, origin, disable_logging=True),
        row("silent", Mode.ON_TOP, first, disable_logging=True),
    ]
    assert protocol.steps[1].line == 17


@pytest.mark.parametrize(
    ("said", "instead", "expected"),
    [
        ('"uwsgi.processes" =', '"uwsgi.proceses" =', 'line 11  steps[0].set.uwsgi.proceses: there is no such knob; did you mean "uwsgi.processes"?'),
        ('"2*cpus+1"', "100000", "line 11  steps[0].set.uwsgi.processes: not a level of uwsgi.processes"),
        ('"2*cpus+1"', '"many"', "line 11  steps[0].set.uwsgi.processes: not a level of uwsgi.processes"),
        ('"uwsgi.processes" =', '"nginx.gzip" =', "line 11  steps[0].set.nginx.gzip: the study has no nginx"),
        ('claim = "same"', 'claim = "equal"', "line 20  steps[1].claim: expected one of better, worse, same, got 'equal'"),
        ('name = "lock"', 'name = "processes"', "line 18  steps[1].name: a second claim named 'processes'"),
        ("keep = false", "kept = false", 'line 23  steps[1].kept: unknown key; did you mean "keep"?'),
        ('source = "a page"\nratio', "ratio", "line 9  steps[0].source: is missing"),
        ("api/uwsgi.toml", "api/absent.toml", "line 4  study: there is no file"),
        ('"uwsgi.threads" = 2', '"uwsgi.threads" = 0', "line 7  origin.uwsgi.threads: not a level"),
        ("ratio = 2.0", "ratio = -1.5", "line 15  steps[0].ratio"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(
    folder: Path, said: str, instead: str, expected: str
) -> None:
    text = GOOD.replace(said, instead, 1)
    assert text != GOOD
    with pytest.raises(UsageError) as caught:
        read_protocol(write(folder, text), FACTS)
    assert expected in "\n".join(caught.value.log)
    assert "protocol file" in caught.value.what
    assert "protocol-file.md" in (caught.value.way_out or "")


def test_a_protocol_without_claims_asks_nothing(folder: Path) -> None:
    text = GOOD.partition("[origin]")[0]
    with pytest.raises(UsageError) as caught:
        read_protocol(write(folder, text), FACTS)
    assert "asks nothing" in "\n".join(caught.value.log)


def test_a_missing_program_or_package_is_told_first(folder: Path) -> None:
    text = 'programs = ["no-such-program"]\n' + GOOD
    protocol = read_protocol(write(folder, text), FACTS)
    with pytest.raises(ToolMissing, match="no-such-program"):
        refuse_missing(protocol, FakeHost())


def test_every_shipped_protocol_reads() -> None:
    names = shipped()
    assert len(names) >= 11
    for name in names:
        protocol = read_protocol(APPS / f"{name}.toml", FACTS)
        assert protocol.name == name
        assert all(step.published and step.source for step in protocol.steps)
        assert protocol.asked()


@pytest.mark.parametrize(
    ("level", "text"),
    [
        ("cpus", str(FACTS.cpus)),
        ("4*cpus", str(4 * FACTS.cpus)),
        ("ram/4", f"{FACTS.ram_bytes // 4 // 1024**2}MB"),
        ("somaxconn", str(FACTS.somaxconn)),
        (True, "on"),
        (1.1, "1.1"),
        ("max=2 inactive=1s", "max=2 inactive=1s"),
    ],
)
def test_formulas_of_the_machine(level: Level, text: str) -> None:
    assert text_of(level, FACTS) == text


@pytest.mark.parametrize(
    ("claim", "verdict", "outcome"),
    [
        (Claim.BETTER, Verdict.IMPROVED, Outcome.CONFIRMED),
        (Claim.BETTER, Verdict.NOT_BETTER, Outcome.REFUTED),
        (Claim.BETTER, Verdict.EQUIVALENT, Outcome.REFUTED),
        (Claim.WORSE, Verdict.NOT_BETTER, Outcome.UNDECIDED),
        (Claim.WORSE, Verdict.REGRESSED, Outcome.CONFIRMED),
        (Claim.SAME, Verdict.EQUIVALENT, Outcome.CONFIRMED),
        (Claim.SAME, Verdict.NOT_BETTER, Outcome.UNDECIDED),
        (Claim.SAME, Verdict.IMPROVED, Outcome.REFUTED),
        *((claim, Verdict.INCONCLUSIVE, Outcome.UNDECIDED) for claim in Claim),
        *((claim, Verdict.INVALID, Outcome.UNDECIDED) for claim in Claim),
    ],
)
def test_what_a_verdict_says_of_a_claim(claim: Claim, verdict: Verdict, outcome: Outcome) -> None:
    assert outcome_of(claim, verdict) is outcome


def finding(effect: float, low: float, high: float) -> ExperimentFinding:
    compared = Compared(
        metric="throughput", unit="1/s", baseline=100.0, treatment=100.0 * (1 + effect),
        effect_ratio=effect, low_ratio=low, high_ratio=high, n=8,
    )  # fmt: skip
    layer = LayerCompared(
        name="nginx", baseline_cpu_per_request_s=20e-6, treatment_cpu_per_request_s=25e-6,
        baseline_pss_bytes=1.0, treatment_pss_bytes=1.0,
        baseline_counters={"accepts": 40.0}, treatment_counters={"accepts": 41.0},
    )  # fmt: skip
    return ExperimentFinding(
        experiment_id="e", kind="try", knob=None, origin_level=None, origin_is_said=False,
        level=None, verdict="improved", reason="", objective="throughput", margin_ratio=0.02,
        compared=(compared,), latency_loop="closed", layers=(layer,), guardrails=(), evidence=None,
        evidence_needed=None, online=False, points=8, points_up=8, epochs=8, blocks=8,
        voids_baseline=0, voids_treatment=0, void_reasons=(), noise_ratio=None, steal_ratio=None,
        adjusted=False, answers_compared=0, answers_unstable=(), generator_share_ratio=None,
        true_gain_ratio=None, headroom_ratio=None, measured_s=1.0, warnings=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("published", "effect", "size"),
    [
        (0.78, (0.80, 0.70, 0.90), "as published"),
        (0.78, (0.10, 0.05, 0.15), "smaller"),
        (0.78, (1.00, 0.90, 1.10), "larger"),
        (-0.20, (-0.05, -0.08, -0.02), "smaller"),
        (-0.20, (-0.40, -0.45, -0.35), "larger"),
        (-0.20, (0.10, 0.05, 0.15), "smaller"),
        (None, (0.10, 0.05, 0.15), ""),
    ],
)
def test_the_size_beside_the_published_one(
    published: float | None, effect: tuple[float, float, float], size: str
) -> None:
    step = Step(
        name="s",
        levels=(),
        claim=Claim.BETTER,
        published="p",
        source="x",
        objective=THROUGHPUT,
        ratio=published,
    )
    assert size_of(step, finding(*effect)) == size
    assert size_of(step, None) == ""


def test_counters_that_explain() -> None:
    told = explain(
        ("nginx.accepts", "nginx.cpu_us", "nginx.none", "uwsgi.x"), finding(0.1, 0.0, 0.2)
    )
    assert list(told) == [
        "nginx.accepts 40 before, 41 after",
        "nginx.cpu_us 20 before, 25 after",
    ]


def worker(allowed: str, *seen: int) -> Worker:
    return Worker(pid=1, allowed=allowed, seen=seen, samples=200)


@pytest.mark.parametrize(
    ("workers", "is_one", "outcome", "reason"),
    [
        ((worker("0-1", 0, 1), worker("0-1", 0, 1)), True, Outcome.REFUTED, "ran on 2 of 2 CPUs"),
        ((worker("0-1", 0, 1), worker("0-1", 1)), False, Outcome.CONFIRMED, "may use 0-1"),
        ((worker("0", 0), worker("0", 0)), True, Outcome.CONFIRMED, "ran on 1 of 2 CPUs"),
        ((worker("0", 0), worker("1", 1)), True, Outcome.REFUTED, "each is bound to one"),
        ((worker("0-1", 1), worker("0-1", 1)), True, Outcome.UNDECIDED, "busy with something else"),
        ((worker("0-1", 1), worker("0-1", 1)), False, Outcome.UNDECIDED, "busy with something"),
        ((worker("1", 1), worker("1", 1)), False, Outcome.REFUTED, "each is bound to one"),
        ((worker("0-1", 0),), True, Outcome.UNDECIDED, "1 workers on 2 CPUs can show nothing"),
    ],
)
def test_where_workers_ran(
    workers: tuple[Worker, ...], is_one: bool, outcome: Outcome, reason: str
) -> None:
    found, why, lines = judge_workers(workers, is_one_cpu=is_one, cpus=2)
    assert found is outcome
    assert reason in why
    assert len(lines) == len(workers)


def test_the_example_of_the_reference_reads(folder: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "protocol-file.toml"
    text = page.read_text().replace('"labcoat.toml"', '"apps/api/uwsgi.toml"')
    protocol = read_protocol(write(folder, text), FACTS)
    assert [step.name for step in protocol.steps] == ["processes", "thunder-lock"]
    assert protocol.sightings[0].is_one_cpu
