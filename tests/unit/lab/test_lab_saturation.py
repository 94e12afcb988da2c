"""The rate of an open loop: which saturation it comes from, and that it is measured once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from labcoat.errors import PreflightError
from labcoat.journal import Journal
from labcoat.lab.experiment import trying
from labcoat.lab.trial.workbench import Workbench
from labcoat.stack.rig import Rig
from labcoat.testing.baseline import TimedLoad, reading, two_routes
from labcoat.testing.clock import FakeClock
from labcoat.testing.host import FakeHost
from labcoat.testing.load import ServiceModel
from labcoat.testing.stack import SimulatedStack


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    study, clock = two_routes(tmp_path), FakeClock()
    host = FakeHost(clock=clock)
    stack = SimulatedStack(study=study, host=host)
    with Journal.open(tmp_path / "journal.db") as journal:
        yield Workbench(
            study=study,
            study_id=journal.begin_study(study).id,
            host=host,
            generator=TimedLoad(clock=clock, stack=stack, model=ServiceModel()),
            journal=journal,
            tell=lambda _: None,
        )


def test_it_is_measured_once_for_each_origin(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter((100.0, 30.0))
    rig = cast("Rig", None)
    monkeypatch.setattr(trying, "_measure_saturation", lambda *_: next(rates))
    assert trying._saturation(bench, rig, "one") == 100.0
    # A baseline begins another study of the same content.
    later = replace(bench, study_id=bench.journal.begin_study(bench.study).id)
    assert trying._saturation(later, rig, "one") == 100.0
    assert trying._saturation(later, rig, "two") == 30.0


def test_a_stack_that_answers_nothing_in_time_has_none(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: Any, **__: Any) -> None:
        pass

    for name in ("ask_each", "warm_up"):
        monkeypatch.setattr(trying, name, nothing)
    monkeypatch.setattr(trying, "measure_slice", lambda *_, **__: reading(per_s=0.0))
    stack = cast("TimedLoad", bench.generator).stack
    with stack, pytest.raises(PreflightError, match="nothing was answered"):
        trying._measure_saturation(bench, cast("Rig", stack))
