from __future__ import annotations

from collections import Counter
from typing import ClassVar

from labcoat.knobs import KNOBS
from labcoat.model.knob import MILD, Knob, Safety
from labcoat.stack.companions import COMPANIONS
from labcoat.stack.components import COMPONENTS
from labcoat.stack.limits import OTHERS
from labcoat.stack.runtime import NAME
from labcoat.testing.knobs import KnobContract


class TestCatalogue(KnobContract):
    knobs: ClassVar[tuple[Knob, ...]] = KNOBS


def test_every_knob_is_of_something_that_can_be_set() -> None:
    assert {knob.component for knob in KNOBS} <= {kind.name for kind in COMPONENTS} | OTHERS


def test_the_catalogue_is_a_first_full_set() -> None:
    counts = Counter(knob.component for knob in KNOBS)
    assert min(counts[name] for name in ("nginx", "uwsgi", "gunicorn", "postgres", NAME)) >= 10
    assert counts.total() >= 60


def test_nothing_that_costs_more_than_memory_is_mild() -> None:
    assert {Safety.SAFE, Safety.MEMORY} == MILD
    assert all(safety.meaning.endswith(".") for safety in Safety)


def test_each_component_that_is_tuned_has_a_placebo() -> None:
    placebos = {knob.component for knob in KNOBS if knob.control and "placebo" in knob.why}
    tuned = {kind.name for kind in COMPONENTS} - {kind.name for kind in COMPANIONS}
    assert placebos == tuned | {NAME}
