"""Postgres: its knobs."""

from __future__ import annotations

from labcoat.knobs.levels import POSTGRES_SIZES, share_of_ram, shares_of_ram
from labcoat.model.domain import Quantity
from labcoat.model.knob import ApplyCost, Condition, Knob, Safety

_BUFFERS = Quantity(
    units=POSTGRES_SIZES, low=128 * 1024, high=share_of_ram(0.4, "0.4 of the memory")
)

POSTGRES: tuple[Knob, ...] = (
    Knob(
        name="postgres.shared_buffers",
        domain=_BUFFERS,
        levels=shares_of_ram(0.125, 0.25, 0.4, domain=_BUFFERS),
        default=(("", "8MB"), ("15", "128MB")),
        why="Pages stay in Postgres' own cache instead of being copied from the kernel's.",
        condition=Condition(
            text="Blocks are read that were not in the cache.",
            counter="postgres.blocks_read",
            holds=lambda seen: seen.get("blocks_read", 0) > 0,
        ),
        cost=ApplyCost.RESTART,
        safety=Safety.MEMORY,
        trap="It caches pages, not results; past 40 % of the memory it rarely helps.",
        source="PostgreSQL, Resource Consumption, Memory",
    ),
)
