"""False verdicts by noise family, power and blocks by effect, peeking."""

# ruff: noqa: T201  the tables are what `make calibrate` is for
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from labcoat.model.stats import Verdict
from labcoat.stats.decide import look
from labcoat.stats.power import smallest_ratio

SAMPLES = 10_000
CAP = 40
NOISE = 0.05

Agree = Callable[..., None]
Floats = npt.NDArray[np.float64]


def normal(rng: np.random.Generator) -> Floats:
    return rng.standard_normal((SAMPLES, CAP))


def t3(rng: np.random.Generator) -> Floats:
    values: Floats = rng.standard_t(3, (SAMPLES, CAP)) / np.sqrt(3)
    return values


def uniform(rng: np.random.Generator) -> Floats:
    return rng.uniform(-np.sqrt(3), np.sqrt(3), (SAMPLES, CAP))


def bimodal(rng: np.random.Generator) -> Floats:
    """Two narrow humps: a machine with two speeds."""
    return rng.choice([-1.0, 1.0], (SAMPLES, CAP)) + 0.1 * rng.standard_normal((SAMPLES, CAP))


def random_walk_volatility(rng: np.random.Generator) -> Floats:
    """Noise whose own deviation wanders: log sd is a random walk of 0.1 per block."""
    volatility = np.exp(0.1 * rng.standard_normal((SAMPLES, CAP)).cumsum(axis=1))
    return volatility * rng.standard_normal((SAMPLES, CAP))


@pytest.mark.parametrize(
    ("family", "page"),
    [
        (normal, 0.029),
        (t3, 0.024),
        (uniform, 0.033),
        (bimodal, 0.053),
        (random_walk_volatility, 0.027),
    ],
)
def test_type_one_error_by_noise_family(
    family: Callable[[np.random.Generator], Floats], page: float, agree: Agree
) -> None:
    noise = NOISE * family(np.random.default_rng(1))
    codes, _ = look(noise, cap=CAP, least_chance=0.0).first()
    # Codes 1 and 2 are IMPROVED and REGRESSED: with no effect both are false.
    agree(
        f"false verdicts, {family.__name__}",
        (codes == 1) | (codes == 2),
        page=page,
        at_most=max(page, 0.05),
    )


def test_false_verdicts_below_one_per_cent_rest_on_the_coin_alone(agree: Agree) -> None:
    noise = NOISE * bimodal(np.random.default_rng(2))
    codes, _ = look(noise, cap=CAP, alpha=0.005, least_chance=0.0).first()
    agree("false verdicts, bimodal, alpha 0.5 %", (codes == 1) | (codes == 2), at_most=0.005)


@pytest.mark.parametrize(
    ("effect", "improved", "regressed", "blocks"),
    [
        (0.0, 0.018, 0.019, 30.8),
        (0.02, 0.35, 0.0, 33.0),
        (0.05, 0.998, 0.0, 13.4),
        (0.10, 1.0, 0.0, 7.1),
        (0.20, 1.0, 0.0, 6.0),
    ],
)
def test_blocks_by_effect(
    effect: float, improved: float, regressed: float, blocks: float, agree: Agree
) -> None:
    """Verdicts of the full rule; blocks in screening. Without giving up early, as the page."""
    noise = NOISE * normal(np.random.default_rng(3)) + np.log1p(effect)
    codes, _ = look(noise, cap=CAP, least_chance=0.0).first()
    agree(
        f"IMPROVED, true effect {effect:.0%}",
        codes == 1,
        page=improved,
        digit=0.01 if effect == 0.02 else 0.001,
    )
    agree(f"REGRESSED, true effect {effect:.0%}", codes == 2, page=regressed)
    _, n = look(noise, cap=CAP, screening=True, least_chance=0.0).first()
    _, thrifty = look(noise, cap=CAP, screening=True).first()
    print(
        f"blocks in screening, mean {n.mean():.1f}  page {blocks}; giving up early {thrifty.mean():.1f}"
    )
    error = n.std() * np.sqrt(1 / SAMPLES + 1 / 2000)
    assert abs(n.mean() - blocks) <= 3.3 * error + 0.05


@pytest.mark.parametrize("effect", [0.0, 0.02, 0.05])
def test_giving_up_early_costs_little_and_saves_blocks(effect: float) -> None:
    noise = NOISE * normal(np.random.default_rng(4)) + np.log1p(effect)
    patient = look(noise, cap=CAP, screening=True, least_chance=0.0)
    thrifty = look(noise, cap=CAP, screening=True)
    lost = patient.share(Verdict.IMPROVED) - thrifty.share(Verdict.IMPROVED)
    saved = 1 - thrifty.first()[1].mean() / patient.first()[1].mean()
    print(
        f"giving up early, effect {effect:.0%}: {lost:.2%} of IMPROVED lost, {saved:.0%} of blocks saved"
    )
    assert 0 <= lost <= 0.03
    assert saved >= (0.15 if effect < 0.05 else 0)


@pytest.mark.parametrize("shift", [-np.log1p(0.02), np.log1p(0.02)])
def test_an_effect_of_the_margin_is_seldom_called_equivalent(shift: float, agree: Agree) -> None:
    noise = 0.02 * normal(np.random.default_rng(5)) + shift
    codes, _ = look(noise, cap=CAP, least_chance=0.0).first()
    agree(f"EQUIVALENT although the effect is {np.expm1(shift):+.1%}", codes == 3, at_most=0.05)


def test_power_of_a_fixed_paired_t(agree: Agree) -> None:
    noise = NOISE * normal(np.random.default_rng(6))[:, :20]
    for effect, page in ((0.0, 0.05), (0.02, 0.40), (0.05, 0.99)):
        x = noise + np.log1p(effect)
        t = x.mean(axis=1) / x.std(axis=1, ddof=1) * np.sqrt(20)
        agree(
            f"paired t of 20 blocks, effect {effect:.0%}",
            np.abs(t) > special.stdtrit(19, 0.975),
            page=page,
            digit=0.01,
        )


def test_a_peeking_t_is_wrong_five_times_too_often(agree: Agree) -> None:
    """The page does not say where peeking begins: from block 4 on gives its number."""
    x = normal(np.random.default_rng(7))
    n = np.arange(1, CAP + 1)
    mean = x.cumsum(axis=1) / n
    sd = np.sqrt(np.maximum((x**2).cumsum(axis=1) - n * mean**2, 1e-12) / np.maximum(n - 1, 1))
    outside = np.abs(mean) / sd * np.sqrt(n) > special.stdtrit(np.maximum(n - 1, 1), 0.975)
    agree("peeking t, every block from the 4th", outside[:, 3:].any(axis=1), page=0.27, digit=0.01)
    agree("peeking t, every block from the 6th", outside[:, 5:].any(axis=1), at_least=0.20)


def test_the_stopped_estimate_overstates() -> None:
    """The page says 1.1 and "up to 3"; among the few that are IMPROVED at d = 0.2 it is 3.5."""
    for d, page, most in ((1.0, 1.1, 1.15), (0.2, 3.0, 4.0)):
        x = normal(np.random.default_rng(8)) + d
        codes, n = look(x, cap=CAP, margin=0.02, least_chance=0.0).first()
        means = np.take_along_axis(x.cumsum(axis=1), (n - 1)[:, np.newaxis], axis=1)[:, 0] / n
        over = float(means[codes == 1].mean() / d)
        print(f"estimate at stopping over truth, d {d:g}: {over:.2f}  page {page:g}")
        assert 1.0 < over <= most


@pytest.mark.parametrize("points", [8, 20, 40])
def test_a_detectable_effect_is_detected(points: int, agree: Agree) -> None:
    x = normal(np.random.default_rng(9))[:, :points] * NOISE
    effect = NOISE * smallest_ratio(points)
    codes, _ = look(x + effect, cap=points, least_chance=0.0).first()
    agree(f"power at the detectable effect, {points} blocks", codes == 1, at_least=0.78)
    smaller, _ = look(x + 0.8 * effect, cap=points, least_chance=0.0).first()
    agree(f"power at 0.8 of it, {points} blocks", smaller == 1, at_most=0.78)
