"""Where a request's time goes, and the most that a knob could give. Pure.

A part with the share f of what a request costs cannot give more than f/(1 - f), were it to
vanish altogether (Amdahl 1967; science.md section 6). Where in doubt the share is taken too
large: a bound may keep a knob that gives nothing, never drop one that gives something.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labcoat.lab.trial.workbench import Reading
from labcoat.model.baseline import Baseline
from labcoat.model.knob import Knob, Relief
from labcoat.stats.ceiling import amdahl_gain

APP_DOUBT = 0.15
"""How much of the app's own cost in its server may be the server's after all."""

OWN_LEAST = 0.10
"""Of a server's CPU, at least this much counts as its own."""

MODEST = 0.08
"""What a knob that saves CPU gives where it helps: few published gains are larger, a ratio."""

CACHED = 0.5
"""What is hoped of a knob that keeps whole requests away."""

APP = "python"
"""The component of knobs that act on the app server's interpreter."""

STACK = "stack"
"""The component of knobs that act on what the app server is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """CPU seconds of one request in each layer, and core-seconds beside it that they left.

    ``layers``: component -> seconds, front to back. ``server``: the layer that holds the app,
    which spends ``app_s`` of its time in the app's own code. ``front``: layers in front of it,
    whose time no worker waits for. ``free_s``: core-seconds per request that neither the stack
    nor the generator used: idle, or taken by others who might not come again.
    """

    layers: Mapping[str, float]
    server: str
    app_s: float
    front: frozenset[str]
    free_s: float

    def bound(self, knob: Knob) -> float:
        """The most that a knob can give as a ratio (0.5 is 50 %); infinite where there is none."""
        return math.prod(1 + self._relief(knob, each) for each in knob.relieves) - 1

    def hope(self, knob: Knob) -> float:
        """What a knob may be expected to give where it helps, a ratio; never above its bound.

        Half of what is waited for, since that is what workers are there to fill; of saved CPU
        no more than a modest gain.
        """
        hopes = {
            Relief.WAITING: math.inf,
            Relief.LAYER: MODEST,
            Relief.APP: MODEST,
            Relief.ALL: CACHED,
        }
        parts = [min(self._relief(knob, each) / 2, hopes[each]) for each in knob.relieves]
        return math.prod(1 + each for each in parts) - 1

    def _relief(self, knob: Knob, relief: Relief) -> float:
        server_s = self.layers.get(self.server, 0.0)
        stack_s = sum(self.layers.values())
        match relief:
            case Relief.ALL:
                return math.inf
            case Relief.WAITING:
                return _gain(self.free_s, stack_s + self.free_s)
            case Relief.APP:
                return _gain(server_s, self._worker_s())
            case Relief.LAYER if knob.component in {self.server, APP, STACK}:
                own_s = server_s - (1 - APP_DOUBT) * self.app_s
                return _gain(max(own_s, OWN_LEAST * server_s), self._worker_s())
            case Relief.LAYER:
                own_s = self.layers.get(knob.component, 0.0)
                whole_s = stack_s if knob.component in self.front else self._worker_s()
                return _gain(own_s, whole_s)

    def _worker_s(self) -> float:
        """What a worker is held for at the least: its own CPU, and what lies behind it."""
        return sum(each for name, each in self.layers.items() if name not in self.front)


def shares_of(found: Baseline, *, server: str) -> Shares:
    """The shares that a baseline's account tells."""
    account = found.waterfall
    taken = {layer.name for layer in found.layers} | {"app", f"{server} (server)", "generator"}
    free_s = sum(part.per_request_s for part in account.parts if part.name not in taken)
    return Shares(
        layers={layer.name: layer.cpu_per_request_s for layer in found.layers},
        server=server,
        app_s=found.ceiling.call_app_cpu_s,
        front=_front([layer.name for layer in found.layers], server),
        free_s=free_s,
    )


def shares_in(
    readings: Sequence[Reading], *, server: str, app_s: float, played_by: str | None = None
) -> Shares:
    """The shares of an arm, from the slices that it was measured in.

    ``played_by``: the layer that has taken the server's place, whose knobs mean it now.
    """
    answered = max(sum(each.answered for each in readings), 1)
    names = readings[0].layers
    parts = {name: server if name == played_by else name for name in names}
    capacity_s = sum(each.usage.host_after.cores * each.wall_s for each in readings)
    used_s = sum(
        each.generator_cpu_s + sum(each.layer_cpu_s(name) for name in names) for each in readings
    )
    return Shares(
        layers={
            parts[name]: sum(each.layer_cpu_s(name) for each in readings) / answered
            for name in names
        },
        server=server,
        app_s=app_s,
        front=_front(tuple(parts.values()), server),
        free_s=max(capacity_s - used_s, 0.0) / answered,
    )


def _front(names: Sequence[str], server: str) -> frozenset[str]:
    at = list(names).index(server) if server in names else 0
    return frozenset(names[:at])


def _gain(part_s: float, whole_s: float) -> float:
    return amdahl_gain(part_s / whole_s) if whole_s > part_s else math.inf
