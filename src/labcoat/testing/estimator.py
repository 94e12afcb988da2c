"""What every estimator owes: the contract suite for functions Sample -> Effect."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from labcoat.errors import AnalysisError
from labcoat.model.stats import Effect, Sample


class EstimatorContract(ABC):
    """Subclass it as ``Test...``, give ``estimate``, and pytest collects the rest."""

    @abstractmethod
    def estimate(self, sample: Sample) -> Effect:
        """The estimator under contract, applied to a sample."""

    values: ClassVar[npt.NDArray[np.float64]] = np.array(
        [0.031, -0.012, 0.044, 0.005, 0.027, -0.003, 0.018, 0.009]
    )

    def sample(self, values: npt.ArrayLike) -> Sample:
        return Sample(metric="throughput", log_ratios=np.asarray(values, dtype=np.float64))

    def test_point_lies_within_the_interval(self) -> None:
        effect = self.estimate(self.sample(self.values))
        assert effect.low < effect.point < effect.high
        assert effect.n == self.values.size
        assert effect.method

    def test_swapped_arms_negate_the_log(self) -> None:
        there = self.estimate(self.sample(self.values))
        back = self.estimate(self.sample(-self.values))
        assert math.log1p(back.point) == pytest.approx(-math.log1p(there.point))
        assert math.log1p(back.low) == pytest.approx(-math.log1p(there.high))
        assert math.log1p(back.high) == pytest.approx(-math.log1p(there.low))

    def test_a_known_gain_moves_the_whole_interval(self) -> None:
        plain = self.estimate(self.sample(self.values))
        moved = self.estimate(self.sample(self.values + math.log(1.5)))
        for before, after in zip(
            (plain.low, plain.point, plain.high), (moved.low, moved.point, moved.high), strict=True
        ):
            assert 1 + after == pytest.approx(1.5 * (1 + before))

    def test_noisier_blocks_widen_it(self) -> None:
        calm = self.estimate(self.sample(self.values))
        noisy = self.estimate(self.sample(self.values + [0.1, -0.1] * 4))
        assert noisy.high - noisy.low > calm.high - calm.low

    def test_few_blocks_are_warned_of(self) -> None:
        few = self.estimate(self.sample(self.values[:4]))
        many = self.estimate(self.sample(self.values))
        assert [warning.code for warning in few.warnings] == ["few_blocks"]
        assert all(warning.remedy for warning in few.warnings)
        assert many.warnings == ()

    @pytest.mark.parametrize(
        "values",
        [[], [0.1], [0.1, math.nan, 0.2], [0.1, math.inf, 0.2], [0.1, 0.1, 0.1]],
        ids=["none", "one", "not a number", "infinite", "all equal"],
    )
    def test_degenerate_samples_are_refused(self, values: list[float]) -> None:
        with pytest.raises(AnalysisError) as caught:
            self.estimate(self.sample(values))
        assert caught.value.where == "throughput"
        assert caught.value.way_out

    def test_an_effect_is_no_yes_or_no(self) -> None:
        effect = self.estimate(self.sample(self.values))
        with pytest.raises(TypeError):
            bool(effect)
