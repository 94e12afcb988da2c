"""Standing: a stack of one arm, up and serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcoat.errors import Died
from labcoat.host.base import Host, Process
from labcoat.model.host import TreeCounters
from labcoat.model.load import Target
from labcoat.model.variant import Variant
from labcoat.stack import environment
from labcoat.stack.base import Component, Wiring
from labcoat.stack.binaries import Located


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One component of a standing stack. ``shared``: other arms use the same process."""

    name: str
    process: Process
    wiring: Wiring
    component: Component
    located: Located
    rewired: tuple[str, ...]
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an arm stands on: its layers, front to back, and where the load goes.

    ``app_env``: the filled environment of the app, for calls of it in process; it holds
    secrets. ``variant``: what it was rendered from.
    """

    arm: str
    variant: Variant
    target: Target
    layers: tuple[Layer, ...]
    host: Host
    app_env: Mapping[str, str] = field(repr=False)

    @property
    def rewired(self) -> tuple[str, ...]:
        """Each place where a file of the user's was rewired, front to back."""
        return tuple(note for layer in self.layers for note in layer.rewired)

    def counters(self) -> dict[str, TreeCounters]:
        """CPU and memory of each layer's process tree. Raises: Died."""
        return {layer.name: layer.process.counters() for layer in self.layers}

    def explain(self) -> dict[str, dict[str, float]]:
        """Each component's own counters; empty where it has none."""
        return {
            layer.name: dict(layer.component.counters(self.host, layer.process, layer.wiring))
            for layer in self.layers
        }

    def check(self) -> None:
        """Raises: Died, with the last 20 log lines, if a layer is gone."""
        for layer in self.layers:
            status = layer.process.status()
            if status is not None:
                error = Died(
                    f"{layer.name} died (status {status})",
                    where=f"arm {self.arm}, log {layer.process.log}",
                    log=layer.process.tail(),
                    way_out="its last words say why",
                )
                environment.mask(error, layer.wiring.app)
                raise error
