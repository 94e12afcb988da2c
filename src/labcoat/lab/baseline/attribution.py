"""Where the time of a request goes, and what stands in the way of more.

Pure: readings in, findings out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labcoat.model.baseline import Bound, Part, Waterfall
from labcoat.stats.ceiling import closure

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
    return Waterfall(
        cores=account.cores,
        window_s=account.wall_s,
        requests=account.requests,
        parts=tuple(
            Part(name=name, per_request_s=each / n, share_ratio=each / capacity_s)
            for name, each in seconds
        ),
        closure_ratio=closure([each / n for _, each in seconds], capacity_s / n),
    )


_ADVICE = {
    "cpu": "The cores are the limit: only less CPU per request, or more cores, gives more",
    "workers": "The app server's workers are the limit: more of them can give more",
    "connections": "The database connections are the limit: a larger pool can give more",
    "gil": "The interpreter lock is the limit: more processes, not threads, can give more",
    "lock": "One lock that all requests take is the limit: only holding it for less gives more",
}


def bottleneck(
    throughput_per_s: float,
    known: tuple[Bound, ...],
    *,
    idle_ratio: float,
    steal_ratio: float,
    others_ratio: float = 0.0,
) -> str:
    """The bottleneck in one sentence, or that no known bound explains what was seen.

    ``idle_ratio``, ``steal_ratio``, ``others_ratio``: shares of the CPU that nobody used,
    that the neighbours took, and that other programs took. The bounds know of none of them.
    """
    binding = known[0]
    reached = throughput_per_s / binding.limit_per_s
    seen = f"{throughput_per_s:,.0f} requests/s is {min(reached, 1.0):.0%} of that bound"
    rest = f"{idle_ratio:.0%} of the CPU was idle"
    if steal_ratio > 0.05:
        rest += f" and {steal_ratio:.0%} was stolen by the machine's neighbours"
    if others_ratio > 0.05:
        rest += f" and {others_ratio:.0%} was used by other programs"
    if reached < NEAR_RATIO:
        waits = "Requests wait for something that uses no CPU here."
        if steal_ratio + others_ratio > idle_ratio:
            waits = "Requests wait for cores that others use: measure again on a quieter machine."
        return (
            f"No known bound explains the throughput: the nearest is {binding.because}, and"
            f" {seen}; {rest}. {waits}"
        )
    return f"{_ADVICE[binding.name]} ({binding.because}; {seen}; {rest})."
