"""Everything that the site's configuration says to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labcoat.watch.engine.discovery import Discovery
from labcoat.watch.heal.site import Site
from labcoat.watch.reach.place import Place, SshSettings

FOLDER = Path(".labcoat/watch")
SAMPLES = "series.db"
LOCK = "lock"
CONTROL = "control"
PATIENCE_S = 60.0  # for what is being executed, when the watch is asked to end
RETENTION_S = 400 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is watched, how it is reached, and where it is recorded.

    ``folder``: holds the lock, the control socket, the samples and, unless ``journal``
    is another path or a URL, the journal. ``site``: the rules of healing, for so many
    targets and group sizes. ``sentinels``: hosts that always answer.
    """

    folder: Path
    journal: Path | str
    runbook_path: Path
    plugin_path: Path | None
    site: Callable[[int, Mapping[str, int]], Site]
    logins: Mapping[str, Place] = field(default_factory=dict)
    ssh: SshSettings = field(default_factory=SshSettings)
    port: int | None = None
    discovery: Discovery = field(default_factory=Discovery)
    spread_s: float | None = None
    sentinels: tuple[str, ...] = ()
    patience_s: float = PATIENCE_S
