"""What the site says where a runbook does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labcoat.watch.model.runbook import Semantics


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The site's semantics, and where plugins lie; None: their files are not looked at."""

    semantics: Semantics = Semantics.COMPAT
    plugin_path: Path | None = None
