"""The open loop: does it keep its rate, does it send in time, does a stall show?

First at half the rate at which a closed loop saturates a static nginx answer: the share
of intended requests that were sent within the window, and how late. Fails below 99.5 %.
The send lag is printed and not judged: it is the machine's as much as ours.

Then the proof against coordinated omission: a server that answers nobody for one second,
once. The open loop's p99 must show it; the closed loop's, beside it, does not.
"""

from __future__ import annotations

import sys

import numpy as np
from ground import STATIC, say, static_targets

from labcoat.load import Generator, judge, summarise
from labcoat.load.summary import send_lags_s
from labcoat.model.load import Arrivals, ClosedLoop, OpenLoop, Window
from labcoat.testing.http import ScriptedServer

USERS = 32
SHARE = 0.5
ACHIEVED = 0.995
SLICES = 3


def keeps_its_rate(generator: Generator) -> bool:
    """Half the saturation rate, constant and Poisson."""
    with static_targets() as (target,):
        window = Window(warmup_s=0.5, measure_s=3.0)
        closed = generator.load(target, STATIC, ClosedLoop(users=USERS), window, seed=1)
        saturation = summarise(closed).throughput_per_s
        rate = SHARE * saturation
        say(f"closed loop, {USERS} users: {saturation:,.0f} req/s; offered: {rate:,.0f} req/s")
        say("arrivals   achieved   send lag p50 / p99 µs   latency p50 / p99 µs   µs CPU/req")
        achieved = []
        for arrivals in (*Arrivals, *reversed(Arrivals), *Arrivals)[: 2 * SLICES]:
            plan = OpenLoop(rate_per_s=rate, arrivals=arrivals)
            measured = generator.load(target, STATIC, plan, window, seed=1)
            rows = {row.name: row for row in judge(measured).rows}
            achieved.append(rows["achieved_ratio"].value)
            lag = np.quantile(send_lags_s(measured), (0.5, 0.99)) * 1e6
            latency = summarise(measured).latency
            say(
                f"{arrivals.value:9s} {achieved[-1]:9.2%} {lag[0]:13.0f} / {lag[1]:,.0f}"
                f" {latency.p50_s * 1e6:14.0f} / {latency.p99_s * 1e6:,.0f}"
                f" {measured.use.cpu_s / len(measured.records) * 1e6:16.1f}"
            )
    return float(np.median(achieved)) >= ACHIEVED


def shows_a_stall(generator: Generator) -> bool:
    """One second of silence in four."""
    window = Window(measure_s=4.0)
    with ScriptedServer() as server:
        server.stall(1.0, after_s=1.5)
        plan = OpenLoop(rate_per_s=200.0)
        is_open = summarise(generator.load(server.target, STATIC, plan, window, seed=1)).latency
        server.stall(1.0, after_s=1.5)
        users = ClosedLoop(users=2, think_s=0.01)
        closed = summarise(generator.load(server.target, STATIC, users, window, seed=1)).latency
        generator.forget(server.target)
    say("a server that stalls for 1 s, once")
    for name, latency in (("open", is_open), ("closed", closed)):
        say(
            f"  {name:6s} loop: p50 {latency.p50_s * 1e3:7.2f} ms,"
            f" p99 {latency.p99_s * 1e3:7.2f} ms, max {latency.max_s * 1e3:7.2f} ms"
        )
    return is_open.p99_s > 0.8 and closed.p99_s < 0.5


def main() -> int:
    """Exit status: 0 when both hold."""
    with Generator() as generator:
        verdicts = (keeps_its_rate(generator), shows_a_stall(generator))
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
