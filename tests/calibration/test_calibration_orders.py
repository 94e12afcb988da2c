"""Why the coin: false verdicts by order of slices, and by restarts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from labcoat.stats.sequential import first_look, log_evidence

SAMPLES = 4000
BLOCKS = 40
SLICES = 4 * BLOCKS
ALPHA = 0.05
NOISE = 0.04

Agree = Callable[..., None]
Floats = npt.NDArray[np.float64]


def false_verdicts(d: Floats) -> npt.NDArray[np.bool_]:
    """Whether either evidence against "no effect" ever reaches 2/alpha."""
    above, below = log_evidence(d, alpha=ALPHA)
    reached = np.maximum(above, below) >= np.log(2 / ALPHA)
    ever: npt.NDArray[np.bool_] = reached[:, first_look(ALPHA) - 1 :].any(axis=1)
    return ever


def noise(rng: np.random.Generator) -> Floats:
    return NOISE * rng.standard_normal((SAMPLES, SLICES))


def linear_drift(rng: np.random.Generator) -> Floats:
    return noise(rng) + np.linspace(0.0, 0.20, SLICES)


def random_walk(rng: np.random.Generator) -> Floats:
    walk: Floats = (0.005 * rng.standard_normal((SAMPLES, SLICES))).cumsum(axis=1)
    return noise(rng) + walk


def period_two(rng: np.random.Generator) -> Floats:
    return noise(rng) + 0.05 * (np.arange(SLICES) % 2)


def period_four(rng: np.random.Generator) -> Floats:
    busy = np.isin(np.arange(SLICES) % 4, (1, 2)).astype(np.float64)
    return noise(rng) + 0.05 * busy


def autoregressive(rng: np.random.Generator) -> Floats:
    shocks, y = noise(rng), np.zeros((SAMPLES, SLICES))
    y[:, 0] = shocks[:, 0]
    for i in range(1, SLICES):
        y[:, i] = 0.9 * y[:, i - 1] + shocks[:, i]
    return y


def neighbour(rng: np.random.Generator) -> Floats:
    """A neighbour that takes 30 % while it is on; it comes and goes every ten slices or so."""
    flips = rng.random((SAMPLES, SLICES)) < 0.1
    return noise(rng) - 0.3 * (flips.cumsum(axis=1) % 2)


def all_a_then_all_b(y: Floats) -> Floats:
    pairs = y.reshape(SAMPLES, 2 * BLOCKS, 2).mean(axis=2)
    difference: Floats = pairs[:, BLOCKS:] - pairs[:, :BLOCKS]
    return difference


def fixed(order: str, y: Floats) -> Floats:
    signs = np.array([0.5 if arm == "B" else -0.5 for arm in order])
    difference: Floats = y.reshape(SAMPLES, BLOCKS, 4) @ signs
    return difference


def by_coin(y: Floats, rng: np.random.Generator) -> Floats:
    drawn: Floats = fixed("ABBA", y) * rng.choice([-1.0, 1.0], (SAMPLES, BLOCKS))
    return drawn


@pytest.mark.parametrize(
    ("order", "world", "page"),
    [
        (all_a_then_all_b, linear_drift, 1.0),
        (lambda y: fixed("ABAB", y), period_two, 1.0),
        (lambda y: fixed("ABBA", y), period_four, 1.0),
    ],
    ids=["all A, then all B, linear drift", "fixed ABAB, period 2", "fixed ABBA, period 4"],
)
def test_a_fixed_order_is_fooled(
    order: Callable[[Floats], Floats],
    world: Callable[[np.random.Generator], Floats],
    page: float,
    agree: Agree,
    request: pytest.FixtureRequest,
) -> None:
    agree(
        request.node.callspec.id, false_verdicts(order(world(np.random.default_rng(1)))), page=page
    )


def test_all_a_then_all_b_is_fooled_by_a_random_walk(agree: Agree) -> None:
    """The page does not give the size of its walk's steps; the rate hangs on it."""
    d = all_a_then_all_b(random_walk(np.random.default_rng(2)))
    agree("all A, then all B, random walk", false_verdicts(d), at_least=0.5)


@pytest.mark.parametrize(
    "world",
    [linear_drift, random_walk, period_two, period_four, autoregressive, neighbour],
    ids=lambda world: world.__name__,
)
def test_the_coin_is_not_fooled(
    world: Callable[[np.random.Generator], Floats], agree: Agree
) -> None:
    rng = np.random.default_rng(3)
    agree(
        f"coin-drawn ABBA or BAAB, {world.__name__}",
        false_verdicts(by_coin(world(rng), rng)),
        at_most=0.05,
    )


@pytest.mark.parametrize(("instance_sd", "page"), [(0.005, 0.24), (0.01, 0.51), (0.02, 0.75)])
def test_without_restarts_the_luck_of_two_boots_is_an_effect(
    instance_sd: float, page: float, agree: Agree
) -> None:
    """Noise per block 2 %: the page's reading that gives its numbers."""
    rng = np.random.default_rng(4)
    block_noise = 0.02 * rng.standard_normal((SAMPLES, BLOCKS))
    luck = instance_sd * (
        rng.standard_normal((SAMPLES, BLOCKS)) - rng.standard_normal((SAMPLES, BLOCKS))
    )
    never = block_noise + luck[:, :1]
    agree(
        f"never restarted, instances differ by {instance_sd:.1%}",
        false_verdicts(never),
        page=page,
        digit=0.01,
    )
    agree(
        f"restarted every block, instances differ by {instance_sd:.1%}",
        false_verdicts(block_noise + luck),
        at_most=0.05,
    )


def test_blocks_of_one_boot_are_judged_by_their_mean(agree: Agree) -> None:
    """Two blocks per epoch: judged singly they overstate what is known, as means not."""
    rng = np.random.default_rng(5)
    luck = 0.02 * np.sqrt(2) * rng.standard_normal((SAMPLES, BLOCKS // 2))
    d = np.repeat(luck, 2, axis=1) + 0.01 * rng.standard_normal((SAMPLES, BLOCKS))
    agree("two blocks per boot, judged singly", false_verdicts(d), at_least=0.06)
    agree(
        "two blocks per boot, judged by their mean",
        false_verdicts(d.reshape(SAMPLES, -1, 2).mean(axis=2)),
        at_most=0.05,
    )
