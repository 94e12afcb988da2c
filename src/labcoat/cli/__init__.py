"""The front door: one file per command, the live view, exit codes.

Only this room turns an error into an exit status, reads the terminal's wishes and
prints. A command is a module of this package that exports a click command named
``command``, plus one row in ``rows.COMMANDS``; it is imported when it is asked for and
not before, so that ``labcoat --help`` stays quick.

Refuses: decisions about measurements (they belong to the lab) and work at import.
May import every room.
"""

from __future__ import annotations

from labcoat.cli.door import main

__all__ = ["main"]
