"""From an experiment to its document: what is told beside the verdict."""

from __future__ import annotations

import pytest

from labcoat.lab.experiment.told import Context, tell
from labcoat.lab.trial.pairing import VoidBlock
from labcoat.model.experiment import Arm
from labcoat.testing.experiment import experiment

CONTEXT = Context(origin_level=1, origin_is_said=True, headroom_per_s=None, online=True)


@pytest.mark.parametrize(
    ("arms", "is_told"),
    [((), False), ((Arm.TREATMENT,) * 2, True), ((Arm.TREATMENT, Arm.BASELINE), False)],
)
def test_errors_of_the_treatment_alone_are_told_beside_an_improvement(
    arms: tuple[Arm, ...], is_told: bool
) -> None:
    voids = [VoidBlock(index=n, arm=arm, reason="3 errors", errors=3) for n, arm in enumerate(arms)]
    found = experiment(voids=voids)
    told = tell(found, found.decision(), (), CONTEXT)
    assert ("new_errors" in {warning.code for warning in told.warnings}) is is_told
