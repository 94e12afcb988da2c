"""The example site that ``labcoat watch init`` writes."""

from __future__ import annotations

from pathlib import Path

SITE = Path(__file__).parent / "site"


def files() -> tuple[Path, ...]:
    """Every file of the site, relative to it, in order."""
    return tuple(sorted(path.relative_to(SITE) for path in SITE.rglob("*") if path.is_file()))
