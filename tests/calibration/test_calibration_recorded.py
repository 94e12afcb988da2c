"""The rule on recorded noise: real A/A experiments of the shop, their labels drawn anew.

A recording holds every slice of every block in the order in which it was measured (made by
``proofs/experiments.py``). Without an effect, a block's value has the sign that its coin
gave it; drawing all coins anew ten thousand times says how often the whole rule would
have found something in this very noise.
"""

# ruff: noqa: T201  the tables are what `make calibrate` is for
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from labcoat.model.stats import Sample
from labcoat.stats.covariate import learn_beta
from labcoat.stats.decide import look
from labcoat.stats.sequential import first_look, log_evidence

RECORDINGS = Path(__file__).parent / "recordings"
REDRAWN = 10_000
CAP = 40
ALPHA = 0.05

Agree = Callable[..., None]
Floats = npt.NDArray[np.float64]


class Recording:
    """One long A/A experiment. ``y``: log throughput, ``cpu``: log CPU per request, ``c``:
    log of what steal left; each ``(blocks, 4)``. ``sign``: +1 where B is the inner pair."""

    def __init__(self, name: str) -> None:
        document = json.loads((RECORDINGS / f"{name}.json").read_text())
        assert document["columns"] == ["throughput", "cpu_per_request", "steal"]
        blocks = document["blocks"]
        slices = np.array([block["slices"] for block in blocks], dtype=np.float64)
        self.y = np.log(slices[:, :, 0])
        self.cpu = np.log(slices[:, :, 1])
        self.c = np.log1p(-slices[:, :, 2])
        assert {block["arms"] for block in blocks} <= {"ABBA", "BAAB"}
        self.sign = np.array([1.0 if block["arms"] == "ABBA" else -1.0 for block in blocks])

    def values(self, of: Floats) -> Floats:
        """D of each block as it was drawn: mean of B's slices minus mean of A's."""
        inner_minus_outer: Floats = of[:, 1:3].mean(axis=1) - of[:, ::3].mean(axis=1)
        return self.sign * inner_minus_outer


def redrawn(d: Floats, seed: int) -> Floats:
    """The blocks' values under ten thousand other draws of the coin, up to the cap."""
    coins = np.random.default_rng(seed).choice([-1.0, 1.0], (REDRAWN, min(d.size, CAP)))
    drawn: Floats = coins * d[:CAP]
    return drawn


def false_verdicts(d: Floats, seed: int) -> npt.NDArray[np.bool_]:
    codes, _ = look(redrawn(d, seed), cap=CAP).first()
    return np.asarray((codes == 1) | (codes == 2))


@pytest.fixture(params=["aa", "hog"])
def recording(request: pytest.FixtureRequest) -> Recording:
    return Recording(request.param)


def test_the_rule_is_seldom_wrong_on_this_noise(recording: Recording, agree: Agree) -> None:
    for name, column in (("throughput", recording.y), ("CPU per request", recording.cpu)):
        d = recording.values(column)
        agree(
            f"false verdicts of {REDRAWN} redrawn labels, {name}, sd {d.std(ddof=1):.1%}",
            false_verdicts(d, seed=1),
            at_most=ALPHA,
        )


def test_nor_where_steal_is_taken_out(recording: Recording, agree: Agree) -> None:
    """The slope is learnt from the other recording, as it would be from an earlier A/A."""
    other = Recording("hog" if len(recording.y) != len(Recording("hog").y) else "aa")
    beta = learn_beta(
        Sample(
            metric="throughput",
            log_ratios=other.values(other.y),
            covariate=other.values(other.c),
        )
    )
    d = recording.values(recording.y) - beta.value * recording.values(recording.c)
    agree(
        f"the same, adjusted for steal by beta {beta.value:.2f}, sd {d.std(ddof=1):.1%}",
        false_verdicts(d, seed=2),
        at_most=ALPHA,
    )


def test_as_it_was_drawn_it_found_nothing(recording: Recording) -> None:
    codes, n = look(recording.values(recording.y)[np.newaxis, :CAP], cap=CAP).first()
    print(f"the recording itself: code {int(codes[0])} after {int(n[0])} blocks")
    assert codes[0] not in {1, 2}


def reaches(d: Floats) -> bool:
    above, below = log_evidence(d[np.newaxis], alpha=ALPHA)
    reached = np.maximum(above, below)[:, first_look(ALPHA) - 1 :] >= np.log(2 / ALPHA)
    return bool(reached.any())


def test_read_as_all_a_then_all_b_drift_is_an_effect(recording: Recording) -> None:
    """The same slices, in every run of forty: twenty called A, and the next twenty called B."""
    side, y = 20, recording.y.ravel()
    naive = [
        reaches(y[at + side : at + 2 * side] - y[at : at + side])
        for at in range(y.size - 2 * side + 1)
    ]
    d = recording.values(recording.y)
    blocks = 2 * side // 4
    by_coin = []
    for at in range(d.size - blocks + 1):
        codes, _ = look(redrawn(d[at : at + blocks], seed=at), cap=blocks).first()
        by_coin.append(float(np.mean((codes == 1) | (codes == 2))))
    share, fair = float(np.mean(naive)), float(np.mean(by_coin))
    print(
        f"{side} slices of A, then {side} of B: {share:.0%} of {len(naive)} readings have an effect;"
        f" the same by coin: {fair:.1%}"
    )
    assert share > 0.2
    assert fair <= ALPHA
