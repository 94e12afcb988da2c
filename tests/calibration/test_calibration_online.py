"""The share of false ones among what e-LOND calls discoveries."""

# ruff: noqa: T201  the tables are what `make calibrate` is for
from __future__ import annotations

import numpy as np
import pytest

from labcoat.stats.online import e_lond
from labcoat.stats.sequential import log_evidence

STUDIES, QUESTIONS, POINTS = 400, 20, 20
ALPHA = 0.05


@pytest.mark.parametrize("true_share", [0.0, 0.2, 0.5])
def test_the_false_discovery_rate_is_bounded(true_share: float) -> None:
    """Mean over studies of (false discoveries / discoveries), at most alpha; and some are found.

    The e-value of a question is what the lab takes: the larger side's evidence, halved.
    """
    rng = np.random.default_rng(11)
    is_true = rng.random((STUDIES, QUESTIONS)) < true_share
    effects = np.where(is_true, 1.5, 0.0)  # in deviations of a data point
    x = rng.standard_normal((STUDIES, QUESTIONS, POINTS)) + effects[..., np.newaxis]
    better, worse = log_evidence(x)
    logs = np.maximum(better[..., -1], worse[..., -1]) - np.log(2)
    found = np.array([e_lond(study, alpha=ALPHA) for study in logs.tolist()])
    false = (found & ~is_true).sum(axis=1) / np.maximum(found.sum(axis=1), 1)
    rate, error = float(false.mean()), float(false.std(ddof=1) / np.sqrt(STUDIES))
    power = float((found & is_true).sum() / max(is_true.sum(), 1))
    print(
        f"e-LOND, {true_share:.0%} of {QUESTIONS} questions have an effect:"
        f" false discoveries {rate:.2%} (± {error:.2%}), found {power:.0%}"
    )
    assert rate - 3.3 * error <= ALPHA
    assert power >= 0.5 or not true_share
