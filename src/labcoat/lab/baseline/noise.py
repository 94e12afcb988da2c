"""The noise floor of a stack on a machine, and what could be found above it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from labcoat.lab.baseline.aa import AaOutcome
from labcoat.lab.baseline.pace import Pace
from labcoat.lab.trial.blocks import block_sample, epoch_sample
from labcoat.model.baseline import Detectable, MetricNoise, Noise
from labcoat.model.metric import CPU_PER_REQUEST, THROUGHPUT, Metric
from labcoat.model.study import Study
from labcoat.stats.covariate import learn_beta
from labcoat.stats.decide import decide
from labcoat.stats.interval import anytime_effect, noise_floor
from labcoat.stats.power import Costs, detectable
from labcoat.stats.variance import blocks_per_restart, variance_components

BUDGETS_S = (300.0, 600.0, 1200.0, 3600.0)
"""Lengths of an experiment to say the smallest effect for."""


def noise_of(aa: AaOutcome, study: Study, pace: Pace, budgets_s: Sequence[float]) -> Noise:
    """The noise floor of each metric, and what a time budget would find."""
    block_s = float(np.mean(aa.block_s))
    restart_s = float(np.mean(aa.restart_s))
    epochs = [[block[THROUGHPUT.name] for block in epoch] for epoch in aa.epochs]
    advised = None
    if pace.blocks_per_epoch > 1:
        components = variance_components(epochs)
        advised = blocks_per_restart(components, restart_s=restart_s, block_s=block_s)
    of_points = epoch_sample(THROUGHPUT.name, aa.epochs)
    sd = float(of_points.log_ratios.std(ddof=1))
    costs = Costs(block_s=block_s, restart_s=restart_s, blocks_per_epoch=pace.blocks_per_epoch)
    found: list[Detectable] = [
        detectable(sd=sd, costs=costs, budget_s=budget_s) for budget_s in budgets_s
    ]
    return Noise(
        epochs=len(aa.epochs),
        blocks=sum(len(epoch) for epoch in aa.epochs),
        voids=len(aa.voids),
        slice_s=pace.slice_s,
        block_s=block_s,
        restart_s=restart_s,
        blocks_per_restart=advised,
        steal_ratio=float(np.mean([reading.steal_ratio for _, reading in aa.readings])),
        metrics=tuple(_metric_noise(metric, aa, study) for metric in (THROUGHPUT, CPU_PER_REQUEST)),
        detectable=tuple(found),
    )


def _metric_noise(metric: Metric, aa: AaOutcome, study: Study) -> MetricNoise:
    points, blocks = epoch_sample(metric.name, aa.epochs), block_sample(metric.name, aa.epochs)
    effect = anytime_effect(points)
    beta = learn_beta(blocks)
    decision = decide(points, margin=study.margin, better=metric.better)
    floor = noise_floor(points)
    return MetricNoise(
        metric=metric.name,
        sd_ratio=float(np.expm1(blocks.log_ratios.std(ddof=1))),
        floor_ratio=floor if math.isfinite(floor) else None,
        effect_ratio=effect.point,
        low_ratio=effect.low if math.isfinite(effect.low) else None,
        high_ratio=effect.high if math.isfinite(effect.high) else None,
        adjusted_sd_ratio=float(np.expm1(beta.adjusted_sd)),
        verdict="undecided" if decision.verdict is None else decision.verdict.value,
    )
