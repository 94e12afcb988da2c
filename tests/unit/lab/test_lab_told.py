"""From an experiment to its finding, with numbers that can be checked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from labcoat.knobs import find
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.experiment.guard import BROKEN, HELD, GuardAnswer, guard_memory
from labcoat.lab.experiment.recorded import Gathered
from labcoat.lab.experiment.told import Context, tell, value_of
from labcoat.lab.trial.pairing import MeasuredBlock, VoidBlock
from labcoat.lab.trial.question import Rule
from labcoat.model.experiment import Arm
from labcoat.model.finding import Compared, ExperimentFinding
from labcoat.model.metric import (
    CPU_PER_REQUEST,
    LATENCY_P50,
    LATENCY_P95,
    LATENCY_P99,
    MEMORY,
    THROUGHPUT,
    Metric,
)
from labcoat.model.stats import Decision, Evidence, LabWarning, Verdict
from labcoat.testing.baseline import reading
from labcoat.testing.experiment import experiment, latency_guard, measured_block, question

CONTEXT = Context(origin_level=1, origin_is_said=False, headroom_per_s=1000.0, online=True)
IMPROVED = Decision(
    verdict=Verdict.IMPROVED,
    reason="evidence 57 of 40 needed after 6 blocks",
    n=6,
    evidence=Evidence(
        better=math.log(57), worse=-3.0, not_better=-3.0, not_worse=5.0,
        needed=math.log(40), needed_for_margin=math.log(20),
    ),
)  # fmt: skip
INVALID = Decision(verdict=Verdict.INVALID, reason="the treatment does not stand", n=0)


def told(
    of: Experiment | None = None,
    decision: Decision = IMPROVED,
    guards: tuple[GuardAnswer, ...] = (),
    context: Context = CONTEXT,
) -> ExperimentFinding:
    return tell(experiment() if of is None else of, decision, guards, context)


def by_metric(found: ExperimentFinding) -> dict[str, Compared]:
    return {each.metric: each for each in found.compared}


def test_an_improvement_in_numbers() -> None:
    found = told()
    assert (found.knob, found.origin_level, found.level) == ("uwsgi.processes", 1, 2)
    assert (found.verdict, found.reason) == ("improved", IMPROVED.reason)
    assert (found.blocks, found.epochs, found.points, found.points_up) == (6, 6, 6, 6)
    assert found.evidence == pytest.approx(57)
    assert found.evidence_needed == pytest.approx(40)
    assert found.online
    # Six blocks of 7 s, six restarts of 12 s.
    assert found.measured_s == pytest.approx(6 * 7 + 6 * 12)
    assert found.answers_compared == 12
    assert (found.steal_ratio, found.adjusted) == (0.0, False)
    # sd of log(1.1) and log(1.21), three each: half the difference, times sqrt(6/5).
    assert found.noise_ratio == pytest.approx(math.expm1(math.log(1.1) / 2 * math.sqrt(6 / 5)))
    # The mean of both arms is (100 + 115.5) / 2.
    assert found.headroom_ratio == pytest.approx(1000 / 107.75)


def test_each_metric_is_compared() -> None:
    rows = by_metric(told())
    assert list(rows) == [
        "throughput", "cpu_per_request", "latency_p50", "latency_p95", "latency_p99", "memory",
    ]  # fmt: skip
    throughput = rows["throughput"]
    assert [throughput.baseline, throughput.treatment] == pytest.approx([100.0, 115.5])
    assert throughput.effect_ratio == pytest.approx(math.sqrt(1.1 * 1.21) - 1)
    assert throughput.n == 6
    assert throughput.low_ratio is not None
    assert throughput.high_ratio is not None
    assert throughput.low_ratio < 0.154 < throughput.high_ratio
    # 1.2 s of CPU in each slice: over 100 requests, and over 110 or 121.
    cpu = rows["cpu_per_request"]
    assert cpu.baseline == pytest.approx(0.012)
    assert cpu.treatment == pytest.approx(1.2 * 12 / (6 * 110 + 6 * 121))
    assert cpu.effect_ratio == pytest.approx(1 / math.sqrt(1.1 * 1.21) - 1)
    # All slices have the same latencies and memory: values, but nothing to infer from.
    p50 = rows["latency_p50"]
    assert [p50.baseline, p50.treatment] == pytest.approx([0.02, 0.02])
    assert (p50.effect_ratio, p50.n) == (None, 0)
    assert rows["memory"].baseline == 3 * 40_000_000


def test_layers_and_their_counters() -> None:
    of = experiment()
    of.explained = {Arm.BASELINE: {"uwsgi": {"slots": 1.0}}, Arm.TREATMENT: {"uwsgi": {"slots": 2}}}
    layers = {layer.name: layer for layer in told(of).layers}
    assert list(layers) == ["nginx", "uwsgi", "postgres"]
    assert layers["uwsgi"].baseline_cpu_per_request_s == pytest.approx(0.008)
    assert layers["uwsgi"].treatment_cpu_per_request_s == pytest.approx(0.8 * 12 / 1386)
    assert (layers["uwsgi"].baseline_counters, layers["uwsgi"].treatment_counters) == (
        {"slots": 1.0},
        {"slots": 2},
    )
    assert layers["nginx"].baseline_counters == {}
    assert layers["nginx"].treatment_pss_bytes == 40_000_000


def test_what_the_generator_takes_and_the_gain_that_it_hides() -> None:
    found = told(experiment((1.21, 1.21 + 1e-9)))
    # 0.05 s of generator beside 1.2 s of stack in each slice.
    assert found.generator_share_ratio == pytest.approx(0.05 / 1.25)
    # A request of the treatment costs 1.2 s / 121; without the gain it would be so many times
    # more, the generator's cost stays, and all of it together has become 1.21 times cheaper.
    assert found.true_gain_ratio is not None
    stack_s, generator_s = 1.2 / 121, 0.05 / 121
    before_s = stack_s * (1 + found.true_gain_ratio) + generator_s
    assert before_s / (stack_s + generator_s) == pytest.approx(1.21)


def test_the_gain_of_the_stack_alone_is_one_of_throughput() -> None:
    asked = question(rule=Rule(objective=CPU_PER_REQUEST, margin=0.02))
    assert told(experiment(asked=asked)).true_gain_ratio is None


@pytest.mark.parametrize(
    ("answers", "verdict", "reason"),
    [
        ((HELD, HELD), "improved", IMPROVED.reason),
        (("not shown", HELD), "improved", IMPROVED.reason),
        ((BROKEN, HELD), "regressed", "guardrail p99 latency: worse by 20 %, 10 % allowed"),
        (
            (HELD, BROKEN),
            "regressed",
            "guardrail memory (PSS): 80 % of the machine's memory, 80 % allowed",
        ),
    ],
)
def test_a_broken_guardrail_makes_an_improvement_a_regression(
    answers: tuple[str, str], verdict: str, reason: str
) -> None:
    latency = latency_guard(answer=answers[0], reason="worse by 20 %, 10 % allowed")
    memory = guard_memory(experiment(), metric=MEMORY, ram_bytes=150_000_000)
    found = told(guards=(latency, replace(memory, answer=answers[1])))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert [(each.metric, each.answer) for each in found.guardrails] == [
        ("latency_p99", answers[0]),
        ("memory", answers[1]),
    ]
    assert found.guardrails[0].rate_per_s == 70.0


def test_only_an_improvement_hangs_on_guardrails() -> None:
    decision = replace(IMPROVED, verdict=Verdict.EQUIVALENT, reason="the same")
    found = told(decision=decision, guards=(latency_guard(answer=BROKEN),))
    assert (found.verdict, found.reason) == ("equivalent", "the same")


def test_latencies_come_from_the_open_loop_where_there_is_one() -> None:
    found = told(guards=(latency_guard(ratios=(0.5, 0.51) * 4),))
    assert found.latency_loop == "open"
    p99 = by_metric(found)["latency_p99"]
    assert p99.n == 8
    assert p99.baseline == pytest.approx(0.04)
    assert p99.effect_ratio == pytest.approx(math.sqrt(0.5 * 0.51) - 1)
    assert [each.metric for each in found.guardrails[0].compared] == [
        "latency_p50", "latency_p95", "latency_p99",
    ]  # fmt: skip
    assert by_metric(found)["throughput"].n == 6
    assert told().latency_loop == "closed"


def test_a_guardrail_that_measured_nothing_leaves_the_closed_loop() -> None:
    found = told(guards=(latency_guard(ratios=()),))
    assert found.latency_loop == "closed"
    assert found.guardrails[0].compared == ()


def test_invalid_before_any_block_has_empty_tables() -> None:
    found = told(experiment(()), INVALID)
    assert (found.verdict, found.reason) == ("invalid", "the treatment does not stand")
    assert (found.compared, found.layers, found.guardrails) == ((), (), ())
    assert (found.blocks, found.epochs, found.points, found.points_up) == (0, 0, 0, 0)
    nothing = (
        found.evidence, found.evidence_needed, found.noise_ratio, found.steal_ratio,
        found.generator_share_ratio, found.true_gain_ratio, found.headroom_ratio,
    )  # fmt: skip
    assert nothing == (None,) * 7
    assert found.measured_s == 0


def test_undecided_is_no_answer() -> None:
    assert told(decision=replace(IMPROVED, verdict=None)).verdict == "invalid"


def test_one_block_has_values_and_no_effect() -> None:
    found = told(experiment((1.1,)), replace(IMPROVED, verdict=Verdict.INCONCLUSIVE))
    row = by_metric(found)["throughput"]
    assert row.treatment == pytest.approx(110)
    assert (row.effect_ratio, row.low_ratio, row.high_ratio, row.n) == (None, None, None, 0)
    assert found.noise_ratio is None


def test_an_unbounded_end_is_null() -> None:
    row = by_metric(told(experiment((1.1, 1.21))))["throughput"]
    assert row.effect_ratio == pytest.approx(0.1537, abs=1e-4)
    assert (row.low_ratio, row.high_ratio) == (None, None)


def test_evidence_beyond_what_a_number_holds_is_still_one() -> None:
    assert IMPROVED.evidence is not None
    vast = replace(IMPROVED, evidence=replace(IMPROVED.evidence, better=5000.0))
    evidence = told(decision=vast).evidence
    assert evidence is not None
    assert math.isfinite(evidence)


def test_the_stronger_side_is_told() -> None:
    assert IMPROVED.evidence is not None
    worse = replace(IMPROVED.evidence, better=-2.0, worse=math.log(90))
    found = told(decision=replace(IMPROVED, verdict=Verdict.REGRESSED, evidence=worse))
    assert found.evidence == pytest.approx(90)


def test_the_treatment_was_higher_in_so_many_epochs() -> None:
    assert told(experiment((1.1, 0.9, 1.2, 1.3, 0.8))).points_up == 3


def test_voids_are_counted_by_arm_and_each_reason_told_once() -> None:
    voids = (
        VoidBlock(index=0, arm=Arm.BASELINE, reason="60% of the CPU was stolen"),
        VoidBlock(index=1, arm=Arm.TREATMENT, reason="2 errors", errors=2),
        VoidBlock(index=1, arm=Arm.TREATMENT, reason="2 errors", errors=2),
    )
    found = told(experiment(voids=voids))
    assert (found.voids_baseline, found.voids_treatment) == (1, 2)
    assert found.void_reasons == ("60% of the CPU was stolen", "2 errors")


def test_two_blocks_of_an_epoch_are_one_point() -> None:
    asked = question(rhythm=replace(question().rhythm, blocks_per_epoch=2))
    of = experiment((), asked=asked)
    of.gathered.blocks = [
        measured_block(n, ratio, epoch=n // 2) for n, ratio in enumerate((1.1, 1.2, 1.3, 1.4, 1.5))
    ]
    found = told(of)
    # The third epoch lacks a block, so it is no point yet.
    assert (found.blocks, found.epochs, found.points) == (5, 3, 2)
    effect = by_metric(found)["throughput"].effect_ratio
    assert effect == pytest.approx((1.1 * 1.2 * 1.3 * 1.4) ** (1 / 4) - 1)


def codes(found: ExperimentFinding) -> list[str]:
    return [warning.code for warning in found.warnings]


def test_warnings_travel_with_the_finding() -> None:
    assert codes(told()) == ["not_adjusted"]
    of = experiment()
    of.is_recorded, of.unsteady, of.unstable = True, 2, {"home": None, "buy": None}
    early = LabWarning(code="stopped_early", message="m", remedy="r")
    found = told(of, replace(IMPROVED, warnings=(early,)))
    assert codes(found) == [
        "stopped_early", "recorded", "not_steady", "unstable_answers", "not_adjusted",
    ]  # fmt: skip
    assert found.warnings[2].message.startswith("2 of the instances")
    assert "home, buy" in found.warnings[3].message


def test_an_aa_needs_no_earlier_aa() -> None:
    found = told(experiment(asked=question({}, kind="aa")))
    assert codes(found) == []
    assert (found.knob, found.level) == (None, None)


def test_steal_that_an_aa_explained_is_taken_out() -> None:
    """D follows steal exactly: half of the CPU left halves the throughput."""
    of = experiment()
    stolen = (0.0, 0.1, 0.2, 0.3, 0.05, 0.15, 0.25, 0.35)

    def block(index: int, steal_ratio: float) -> MeasuredBlock:
        calm = measured_block(index, 1.0)
        slices = tuple(
            (arm, each if arm is Arm.BASELINE else reading(
                per_s=100.0 * (1 - steal_ratio) * (1 + 1e-6 * index), steal_ratio=steal_ratio,
            ))
            for arm, each in calm.slices
        )  # fmt: skip
        return replace(calm, slices=slices)

    aa = Gathered(blocks=[block(n, steal) for n, steal in enumerate(stolen)])
    of.history = replace(of.history, gathered=(aa,))
    beta = of.history.beta("throughput")
    assert beta is not None
    assert beta.value == pytest.approx(1.0, abs=1e-3)
    found = told(of)
    assert found.adjusted
    assert codes(found) == []
    stolen_from = experiment((), asked=question())
    stolen_from.history = of.history
    stolen_from.gathered.blocks = [block(n, steal) for n, steal in enumerate(stolen)]
    effect = by_metric(told(stolen_from))["throughput"].effect_ratio
    assert effect == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (THROUGHPUT, 150.0),
        (CPU_PER_REQUEST, 2.4 / 300),
        (MEMORY, 120e6),
        # Percentiles of both slices' requests together: ten of 10 ms, ten of 100 ms.
        (LATENCY_P50, 0.01),
        (LATENCY_P95, 0.1),
        (LATENCY_P99, 0.1),
    ],
)
def test_a_metric_over_several_slices(metric: Metric, value: float) -> None:
    slices = [
        reading(per_s=per_s, latencies_s=[each_s] * 10, routes=[0] * 10)
        for per_s, each_s in ((100.0, 0.01), (200.0, 0.1))
    ]
    assert value_of(metric, slices) == pytest.approx(value)


def test_slices_without_a_request_have_a_latency_of_nothing() -> None:
    assert value_of(LATENCY_P99, [reading(latencies_s=(), routes=())]) == 0.0


def test_a_knob_that_costs_more_than_speed_says_so() -> None:
    logging = find("uwsgi.disable-logging")
    found = tell(experiment(), IMPROVED, (), replace(CONTEXT, knob=logging))
    (warning,) = [each for each in found.warnings if each.code == "class_observability"]
    assert "uwsgi.disable-logging is of class observability" in warning.message
    mild = tell(experiment(), IMPROVED, (), replace(CONTEXT, knob=find("uwsgi.processes")))
    assert not [each for each in mild.warnings if each.code.startswith("class_")]
