from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from labcoat.errors import AnalysisError
from labcoat.model.metric import Better
from labcoat.model.stats import Decision, Sample, Verdict
from labcoat.stats.decide import decide, look

WAVE = np.array([1.0, -0.6, 0.3, -1.2, 0.8, -0.3, 0.5, -0.9, 1.1, -0.7] * 4)


def sample(values: np.ndarray) -> Sample:
    return Sample(metric="throughput", log_ratios=np.asarray(values, dtype=np.float64))


@pytest.mark.parametrize(
    ("values", "rule", "verdict"),
    [
        (0.2 + 0.02 * WAVE, "full", Verdict.IMPROVED),
        (-0.2 + 0.02 * WAVE, "full", Verdict.REGRESSED),
        (0.005 * WAVE, "full", Verdict.EQUIVALENT),
        (-0.004 + 0.03 * WAVE, "screening", Verdict.NOT_BETTER),
        (0.2 * WAVE, "full", Verdict.INCONCLUSIVE),
    ],
)
def test_verdicts(values: np.ndarray, rule: str, verdict: Verdict) -> None:
    assert decide(sample(values), screening=rule == "screening").verdict is verdict


@pytest.mark.parametrize(("gain", "verdict"), [(0.2, Verdict.REGRESSED), (-0.2, Verdict.IMPROVED)])
def test_lower_may_be_better(gain: float, verdict: Verdict) -> None:
    assert decide(sample(gain + 0.02 * WAVE), better=Better.LOWER).verdict is verdict


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([0.1, math.nan], "the value of block 2 is not finite"),
        ([math.inf] + [0.1] * 9, "the value of block 1 is not finite"),
        ([0.1] * 6, "the first 6 blocks all have the same value: nothing was measured"),
        ([0.1] * 6 + [0.2], "the first 6 blocks all have the same value: nothing was measured"),
    ],
)
def test_degenerate_samples_are_invalid_never_decided(values: list[float], reason: str) -> None:
    assert decide(sample(np.array(values))) == Decision(
        verdict=Verdict.INVALID, reason=reason, n=len(values)
    )


def test_equal_up_to_rounding_is_equal() -> None:
    values = 0.1 + 1e-16 * np.arange(8)
    assert decide(sample(values)).verdict is Verdict.INVALID


def test_before_the_first_look_nothing_is_decided() -> None:
    for n in range(6):
        decision = decide(sample(0.5 + 0.01 * WAVE[:n]))
        assert decision.verdict is None
        assert decision.chance is None
        assert decision.n == n
    assert decide(sample(np.array([]))).reason == "no block yet"
    assert decide(sample(0.1 + 0.01 * WAVE[:3])).reason == "3 of at least 6 blocks"


def test_two_equal_blocks_are_no_reason_to_stop() -> None:
    assert decide(sample(np.array([0.0, 0.0]))).verdict is None


def test_a_clear_effect_takes_six_blocks() -> None:
    decision = decide(sample(0.5 + 0.01 * WAVE))
    assert (decision.verdict, decision.n) == (Verdict.IMPROVED, 6)
    assert decision.evidence is not None
    assert decision.evidence.better >= decision.evidence.needed == pytest.approx(math.log(40))
    assert decision.evidence.needed_for_margin == pytest.approx(math.log(20))
    assert [warning.code for warning in decision.warnings] == ["stopped_early"]


def test_blocks_past_the_decision_do_not_change_it() -> None:
    values = np.concatenate((0.1 + 0.03 * WAVE[:10], -0.3 + 0.03 * WAVE[:20]))
    full = decide(sample(values))
    assert full == decide(sample(values[: full.n]))
    assert full.verdict is Verdict.IMPROVED


def test_the_cap_ends_it() -> None:
    noise = 0.05 * WAVE
    values = 0.011 + noise
    assert decide(sample(values[:39]), least_chance=0.0).verdict is None
    capped = decide(sample(values), least_chance=0.0)
    assert (capped.verdict, capped.n) == (Verdict.INCONCLUSIVE, 40)
    assert capped.reason == "no verdict within the cap of 40 blocks"
    assert [warning.code for warning in capped.warnings] == ["margin_below_noise"]


def test_a_hopeless_experiment_is_given_up() -> None:
    decision = decide(sample(0.2 * WAVE))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.n < 40
    assert decision.chance is not None
    assert decision.chance < 0.10
    assert decision.reason.startswith(f"given up after {decision.n} blocks: at most ")


def test_not_better_is_an_answer_only_in_screening() -> None:
    values = sample(-0.004 + 0.03 * WAVE)
    assert decide(values, screening=True).verdict is Verdict.NOT_BETTER
    assert decide(values, screening=False).verdict is not Verdict.NOT_BETTER


@pytest.mark.parametrize(
    "wrong", [{"margin": 0.0}, {"margin": -0.1}, {"cap": 5}, {"alpha": 0.0}, {"alpha": 1.0}]
)
def test_parameters_that_make_no_rule_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(AnalysisError) as caught:
        decide(sample(0.1 * WAVE), **wrong)  # type: ignore[arg-type]
    assert caught.value.way_out


def test_a_decision_is_no_yes_or_no() -> None:
    with pytest.raises(TypeError):
        bool(decide(sample(WAVE)))


def test_looks_of_many_samples_are_the_decisions_of_each() -> None:
    rng = np.random.default_rng(1)
    many = 0.05 * rng.standard_normal((60, 40)) + np.repeat([0.0, 0.02, -0.05], 20)[:, np.newaxis]
    codes, n = look(many, screening=True).first()
    verdicts = [None, *list(Verdict)[:5]]
    for row, code, at in zip(many, codes, n, strict=True):
        decision = decide(sample(row), screening=True)
        assert (decision.verdict, decision.n) == (verdicts[code], at)


def test_share_counts_first_decisions() -> None:
    looks = look(np.stack([0.5 + 0.01 * WAVE, -0.5 + 0.01 * WAVE, 0.5 + 0.02 * WAVE]))
    assert looks.share(Verdict.IMPROVED) == pytest.approx(2 / 3)
    assert looks.share(Verdict.REGRESSED) == pytest.approx(1 / 3)
    assert looks.share(None) == 0


values_strategy = npst.arrays(
    np.float64, st.integers(6, 40), elements=st.floats(-0.3, 0.3).map(lambda v: round(v, 5))
)


@pytest.mark.slow
@given(values_strategy)
def test_swapped_arms_swap_improved_and_regressed(values: np.ndarray) -> None:
    swapped = {Verdict.IMPROVED: Verdict.REGRESSED, Verdict.REGRESSED: Verdict.IMPROVED}
    there, back = decide(sample(values)), decide(sample(-values))
    assert there.verdict is None or back.verdict is swapped.get(there.verdict, there.verdict)
    assert there.n == back.n


@pytest.mark.slow
@given(values_strategy)
def test_a_lower_metric_reads_the_same_as_its_negation(values: np.ndarray) -> None:
    lower = decide(sample(values), better=Better.LOWER, screening=True)
    negated = decide(sample(-values), screening=True)
    assert (lower.verdict, lower.n) == (negated.verdict, negated.n)


def test_evidence_wording_of_enormous_odds() -> None:
    assert "evidence 1e" in decide(sample(0.5 + 1e-9 * WAVE), alpha=1e-9, cap=40).reason


def test_the_forecast_agrees_with_brute_force() -> None:
    rng = np.random.default_rng(2)
    seen = 0.014 + 0.05 * rng.standard_normal(12)
    decision = decide(sample(seen), least_chance=0.0)
    assert decision.verdict is None
    assert decision.chance is not None
    sd = seen.std(ddof=1) * np.sqrt(11 / rng.chisquare(11, 2000))
    mean = seen.mean() + sd / np.sqrt(12) * rng.standard_normal(2000)
    ahead = mean[:, np.newaxis] + sd[:, np.newaxis] * rng.standard_normal((2000, 28))
    codes, _ = look(np.hstack([np.tile(seen, (2000, 1)), ahead]), least_chance=0.0).first()
    real = float(np.mean(codes != 5))
    assert 0.5 * decision.chance <= real <= decision.chance + 0.05
