"""Numbers as people read them."""

from __future__ import annotations

import pytest

from labcoat.report import format as form


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00085, "850 µs"),
        (0.0000012, "1.20 µs"),
        (0.0123, "12.3 ms"),
        (0.9999, "1.00 s"),
        (1.2, "1.20 s"),
        (123.4, "123 s"),
        (0.0, "0 s"),
        (float("inf"), "∞"),
    ],
)
def test_seconds(value: float, text: str) -> None:
    assert form.seconds(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.021, "2.1 %"), (0.41, "41 %"), (-0.004, "-0.4 %"), (0.0996, "10 %")]
)
def test_percent(ratio: float, text: str) -> None:
    assert form.percent(ratio) == text


def test_percent_signed() -> None:
    assert form.percent(0.004, signed=True) == "+0.4 %"


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12 B"), (700_000, "700 kB"), (1.2e9, "1.20 GB"), (2.5e6, "2.50 MB")]
)
def test_size(value: float, text: str) -> None:
    assert form.size(value) == text


def test_a_bar_has_eighths_of_a_cell() -> None:
    assert form.bar(0.5, width=4) == "██"
    assert form.bar(0.3125, width=2) == "▋"
    assert form.bar(2.0, width=2) == "██"


def test_a_table_lines_up() -> None:
    assert form.table([("a", "1"), ("bbb", "22")]) == ["  a     1", "  bbb  22"]
    assert form.table([]) == []


def test_minutes() -> None:
    assert form.clock(245.4) == "4:05"
