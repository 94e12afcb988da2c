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


@pytest.mark.parametrize(
    ("point", "low", "high", "text"),
    [
        (0.062, -0.008, 0.134, "+6.2 % [-0.8 %, +13 %]"),
        (None, None, None, "not known yet"),
        (0.1, None, None, "+10 % [no interval yet]"),
        (0.1, -1.0, float("inf"), "+10 % [no interval yet]"),
        (0.1, None, 0.5, "+10 % [-100 %, +50 %]"),
        (0.1, -0.5, float("inf"), "+10 % [-50 %, +∞]"),
    ],
)
def test_a_change_with_its_interval(
    point: float | None, low: float | None, high: float | None, text: str
) -> None:
    assert form.effect(point, low, high) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(11.42, "11.4"), (4.1e6, "4.1e6"), (2e21, "2.0e21"), (float("inf"), "1e300 or more")],
)
def test_evidence(value: float, text: str) -> None:
    assert form.evidence(value) == text
