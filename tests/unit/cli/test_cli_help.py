from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labcoat.cli.rows import COMMANDS
from labcoat.cli.watch.rows import COMMANDS as WATCH_COMMANDS

NAMES = (*(row.name for row in COMMANDS), *(f"watch-{row.name}" for row in WATCH_COMMANDS))
GOLDEN = Path(__file__).parents[2] / "golden" / "help"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *NAMES])
def test_the_help_is_as_pinned(name: str) -> None:
    """To accept a change: ``make docs``, and read the difference."""
    printed = subprocess.run(
        [sys.executable, "-m", "labcoat", *filter(None, name.split("-")), "--help"],
        env={**os.environ, "COLUMNS": "80"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed == (GOLDEN / f"{name or 'labcoat'}.txt").read_text()


def test_nothing_pinned_is_left_over() -> None:
    pinned = {path.stem for path in GOLDEN.glob("*.txt")}
    assert pinned == {"labcoat", *NAMES}
