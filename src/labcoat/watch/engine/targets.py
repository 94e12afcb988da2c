"""Targets: what is watched, where it is, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One host. ``address``: what is dialled, None is this machine itself. ``facts``: as
    vetted; ``is_vetted``: whether they ever were.
    """

    id: str
    address: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_vetted: bool = False
