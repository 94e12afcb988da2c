"""Lengths of time, as people write them."""

from __future__ import annotations

import click
import pytest

from labcoat.cli.options import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("90s", 90.0), ("20m", 1200.0), ("1h", 3600.0), ("1.5m", 90.0), (" 5s ", 5.0)],
)
def test_a_duration_in_seconds(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["0", "0m", "-5s", "soon", "5d", "", "1m30s"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="no length of time"):
        Duration().convert(text, None, None)
