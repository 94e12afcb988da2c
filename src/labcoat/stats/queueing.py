"""Workers that take turns on the cores and wait in between: how many keep the cores busy.

Each of N workers works for D seconds on one of c cores, then waits for Z seconds (an upstream, a
lock, a disk), over and over. With k of them at the cores and the others waiting, in the
equilibrium of the closed product-form network

    p(k)  ~  D^k / prod_{j<=k} min(j, c)  ·  Z^(N-k) / (N-k)!        X(N) = sum_k p(k) min(k, c) / D

Source: the machine repairman's model, Scherr 1967; Lazowska et al. 1984, Quantitative System
Performance, chapter 8.
"""

from __future__ import annotations

import math

from labcoat.errors import AnalysisError

ENOUGH = 0.98
MOST = 1024


def closed_throughput(workers: int, *, cores: int, work_s: float, wait_s: float) -> float:
    """Requests per second that so many workers give: X(N).

    ``work_s`` (D): CPU seconds of a request; ``wait_s`` (Z): what its worker waits for beside.
    Raises: AnalysisError unless workers, cores >= 1, work_s > 0, wait_s >= 0.
    """
    if not (workers >= 1 and cores >= 1 and work_s > 0 and wait_s >= 0):
        raise AnalysisError(
            f"no such queue: {workers} workers, {cores} cores, {work_s:g} s of work,"
            f" {wait_s:g} s of waiting",
            way_out="workers and cores from 1, work above 0, waiting from 0",
        )
    if wait_s == 0:
        return min(workers, cores) / work_s
    logs = []
    at_cores = 0.0  # log of D^k / prod min(j, c)
    for k in range(workers + 1):
        if k:
            at_cores += math.log(work_s / min(k, cores))
        waiting = workers - k
        logs.append(at_cores + waiting * math.log(wait_s) - math.lgamma(waiting + 1))
    top = max(logs)
    weights = [math.exp(each - top) for each in logs]
    busy = math.fsum(weight * min(k, cores) for k, weight in enumerate(weights))
    return busy / math.fsum(weights) / work_s


def enough_workers(*, cores: int, work_s: float, wait_s: float) -> int:
    """The fewest workers that give 98 % of what the cores could. Raises: AnalysisError."""
    for workers in range(1, MOST):
        reached = closed_throughput(workers, cores=cores, work_s=work_s, wait_s=wait_s)
        if reached >= ENOUGH * cores / work_s:
            return workers
    return MOST
