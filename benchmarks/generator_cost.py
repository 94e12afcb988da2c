"""CPU of our generator per request, beside wrk's, on this machine in this sitting.

Closed loop, 32 users, keep-alive, a static answer of nginx; our raw records are on.
Charged is what the kernel charges, user and system time: for wrk the process, for us
the worker during the slice (it starts once for a study of many slices; the last line
says what each request costs with that start included). The order of the two
alternates, and the ratio is taken pair by pair, so that a noisy neighbour meets both.
Fails when the median ratio is above 1.25.
"""

from __future__ import annotations

import statistics
import sys

from ground import PAGE, STATIC, children_cpu_s, say, static_targets, wrk, wrk_cost_s

from labcoat.load import Generator, summarise
from labcoat.model.load import ClosedLoop, Target, Window

USERS = 32
PAIRS = 8
MEASURE_S = 3
LIMIT = 1.25


def our_cost_s(generator: Generator, target: Target) -> tuple[float, int]:
    """CPU seconds of the worker per request, and how many requests."""
    plan, window = ClosedLoop(users=USERS), Window(measure_s=MEASURE_S)
    measured = generator.load(target, STATIC, plan, window, seed=1)
    assert summarise(measured).errors == 0
    return measured.use.cpu_s / len(measured.records), len(measured.records)


def main() -> int:
    """Exit status: 0 when the target is met, or when there is no wrk to compare with."""
    program = wrk()
    if program is None:
        say("wrk is not installed here: nothing to compare with")
        return 0
    ratios = []
    total = 0
    with static_targets() as (target,), Generator() as generator:
        say("pair   labcoat µs/req   req/s     wrk µs/req   req/s     ratio")
        for pair in range(PAIRS):
            if pair % 2 == 0:
                ours, answered = our_cost_s(generator, target)
            theirs, their_rate = wrk_cost_s(program, target.url + PAGE, USERS, MEASURE_S)
            if pair % 2 == 1:
                ours, answered = our_cost_s(generator, target)
            total += answered
            ratios.append(ours / theirs)
            say(
                f"{pair + 1:4d} {ours * 1e6:16.2f} {answered / MEASURE_S:7,.0f}"
                f" {theirs * 1e6:14.2f} {their_rate:7,.0f} {ratios[-1]:9.2f}"
            )
        before_s = children_cpu_s()
        generator.close()
        whole_s = children_cpu_s() - before_s
    median = statistics.median(ratios)
    say(f"median ratio {median:.2f} (limit {LIMIT}), {min(ratios):.2f} to {max(ratios):.2f}")
    say(f"over the worker's whole life, its start included: {whole_s / total * 1e6:.2f} µs/req")
    return 0 if median <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
