"""Where the time of a request goes, how much there could be, and what stands in the way.

Pure: readings in, findings out. Sources: science.md section 8; Denning & Buzen 1978
(operational laws: utilisation and forced flow give each bound).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labcoat.model.baseline import Bound, Part, Waterfall

NEAR_RATIO = 0.75
"""A bound explains the throughput when at least this share of it is reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """CPU seconds of one loaded window, each measured on its own.

    ``layers``: component -> CPU seconds. ``programs_s``: every other program on the
    machine. ``kernel_s``: kernel threads. ``lab_s``: labcoat itself.
    """

    cores: int
    wall_s: float
    requests: int
    layers: Mapping[str, float]
    generator_s: float
    lab_s: float
    programs_s: float
    kernel_s: float
    idle_s: float
    steal_s: float


def waterfall(account: Account, *, server: str, call_app_cpu_s: float) -> Waterfall:
    """One request's core-seconds, part by part, front to back.

    The app server's tree holds the app: its time is split by the cost of a call
    measured in process, never more than what the tree spent. A part is its CPU
    seconds over the requests; all parts together are cores x wall time / requests.
    """
    n = max(account.requests, 1)
    server_s = account.layers.get(server, 0.0)
    app_s = min(call_app_cpu_s * n, server_s)
    seconds: list[tuple[str, float]] = []
    for name, cpu_s in account.layers.items():
        if name == server:
            seconds += [(f"{name} (server)", cpu_s - app_s), ("app", app_s)]
        else:
            seconds.append((name, cpu_s))
    seconds += [
        ("generator", account.generator_s),
        ("labcoat", account.lab_s),
        ("kernel threads", account.kernel_s),
        ("other programs", account.programs_s),
        ("stolen", account.steal_s),
        ("idle", account.idle_s),
    ]
    capacity_s = account.cores * account.wall_s
    total_s = sum(each for _, each in seconds)
    return Waterfall(
        cores=account.cores,
        window_s=account.wall_s,
        requests=account.requests,
        parts=tuple(
            Part(name=name, per_request_s=each / n, share_ratio=each / capacity_s)
            for name, each in seconds
        ),
        closure_ratio=total_s / capacity_s - 1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one request asks of each resource, and how much of each there is.

    ``stack_cpu_s``/``generator_cpu_s``: CPU per request. ``server_cpu_s``: the part in
    the app server's tree. ``hold_s``: how long one request occupies a worker.
    ``slots``: requests that the app server can serve at once (processes x threads),
    None where it does not say. ``processes``: its processes, None likewise.
    """

    cores: int
    stack_cpu_s: float
    generator_cpu_s: float
    server: str
    server_cpu_s: float
    hold_s: float
    slots: int | None
    processes: int | None


def bounds(demand: Demand) -> tuple[Bound, ...]:
    """Every upper bound on throughput that is known, smallest first."""
    total_s = demand.stack_cpu_s + demand.generator_cpu_s
    found = [
        Bound(
            name="cpu",
            limit_per_s=demand.cores / total_s,
            because=(
                f"{demand.cores} cores / {total_s * 1e3:.2f} ms CPU per request"
                f" (the load generator's {demand.generator_cpu_s * 1e3:.2f} ms included)"
            ),
        )
    ]
    if demand.slots is not None:
        found.append(
            Bound(
                name="workers",
                limit_per_s=demand.slots / demand.hold_s,
                because=(
                    f"{demand.slots} request{'s' if demand.slots > 1 else ''} at a time in"
                    f" {demand.server} / {demand.hold_s * 1e3:.2f} ms that each holds its worker"
                ),
            )
        )
    if demand.processes is not None and demand.slots is not None:
        if demand.slots > demand.processes:
            found.append(
                Bound(
                    name="interpreter",
                    limit_per_s=demand.processes / demand.server_cpu_s,
                    because=(
                        f"{demand.processes} interpreter lock(s) in {demand.server} /"
                        f" {demand.server_cpu_s * 1e3:.2f} ms CPU in it per request"
                    ),
                )
            )
    return tuple(sorted(found, key=lambda bound: bound.limit_per_s))


_ADVICE = {
    "cpu": "the cores are the limit: only less CPU per request, or more cores, gives more",
    "workers": "the app server's workers are the limit: more processes or threads can give more",
    "interpreter": "one interpreter lock per process is the limit: processes, not threads, can give more",
}


def bottleneck(
    throughput_per_s: float, known: tuple[Bound, ...], *, idle_ratio: float, steal_ratio: float
) -> str:
    """The bottleneck in one sentence, or that no known bound explains what was seen."""
    binding = known[0]
    reached = throughput_per_s / binding.limit_per_s
    seen = f"{throughput_per_s:,.0f} requests/s is {reached:.0%} of the bound"
    rest = f"{idle_ratio:.0%} of the CPU was idle"
    if steal_ratio > 0.05:
        rest += f" and {steal_ratio:.0%} was stolen by the machine's neighbours"
    if reached < NEAR_RATIO:
        return (
            f"No known bound explains the throughput: the nearest is {binding.because}, and"
            f" {seen}; {rest}. Requests wait for something that uses no CPU here."
        )
    advice = _ADVICE[binding.name]
    return f"{advice[0].upper()}{advice[1:]} ({binding.because}; {seen}; {rest})."
