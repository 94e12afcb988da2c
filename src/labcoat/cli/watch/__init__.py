"""``labcoat watch``: health checks over SSH, and healing that is verified.

One file per command, each with a row in ``rows``. The watch's commands speak the exit
codes of the monitoring plugins: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, which is
also every failure of theirs (see the row of ``watch`` in ``labcoat.cli.rows``).
"""

from __future__ import annotations

from labcoat.cli.lazy import LazyGroup
from labcoat.cli.watch.rows import COMMANDS

command = LazyGroup(
    COMMANDS,
    name="watch",
    short_help="Watch production: health checks, verified healing.",
    help="Watch production: health checks over SSH, and healing that is verified.",
    epilog="Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN or any failure.",
)
