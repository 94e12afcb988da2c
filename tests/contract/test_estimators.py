from __future__ import annotations

from labcoat.model.stats import Effect, Sample
from labcoat.stats.interval import anytime_effect, fixed_effect
from labcoat.testing.estimator import EstimatorContract


class TestAnytimeEffect(EstimatorContract):
    def estimate(self, sample: Sample) -> Effect:
        return anytime_effect(sample)


class TestFixedEffect(EstimatorContract):
    def estimate(self, sample: Sample) -> Effect:
        return fixed_effect(sample)
