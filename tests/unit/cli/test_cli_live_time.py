"""The live line: the time it promises moves with the phases."""

from __future__ import annotations

from rich.text import Text

from labcoat.cli.live import LiveView
from labcoat.lab.trial.events import PhaseFinished, PhaseStarted
from labcoat.testing.clock import FakeClock


def line_of(view: LiveView) -> str:
    text = view.__rich__().text
    assert isinstance(text, Text)
    return text.plain


def test_the_expected_time_grows_by_what_the_phases_take_more() -> None:
    clock = FakeClock()
    view = LiveView(total_s=100.0, now=clock.now_s)
    clock.sleep(5.0)
    assert line_of(view).startswith("0:05 of about 1:40")
    view(PhaseStarted(name="sweep", expected_s=20.0))
    clock.sleep(20.0)
    assert line_of(view).startswith("0:25 of about 1:40 · sweep")
    clock.sleep(7.0)
    assert line_of(view).startswith("0:32 of about 1:47")
    view(PhaseFinished(name="sweep", summary="done"))
    view(PhaseStarted(name="A/A", expected_s=60.0))
    clock.sleep(58.0)
    assert line_of(view).startswith("1:30 of about 1:47")
    view(PhaseFinished(name="A/A", summary="done"))
    assert line_of(view).startswith("1:30 of about 1:45")
    clock.sleep(30.0)
    assert line_of(view).startswith("2:00 of about 2:00")


def test_a_phase_that_ends_without_a_beginning_moves_nothing() -> None:
    clock = FakeClock()
    view = LiveView(total_s=100.0, now=clock.now_s)
    clock.sleep(3.0)
    view(PhaseFinished(name="boot", summary="done"))
    assert line_of(view).startswith("0:03 of about 1:40")
