"""What ends an experiment before its rule does: other answers, too many voids, a broken arm."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from labcoat.errors import StackError
from labcoat.lab.experiment.answers import Comparison
from labcoat.lab.experiment.experiment import Experiment
from labcoat.lab.trial.pairing import VoidBlock
from labcoat.lab.trial.question import Question
from labcoat.model.experiment import Arm
from labcoat.model.stats import Decision, Verdict
from labcoat.stack.standing import Standing
from labcoat.stats.sequential import log_sign_bet

MOST_VOIDS = 6
VOIDS_RATIO = 0.5
"""More voids than the one, and than this share of the good blocks, end an experiment."""


def judge_voids(experiment: Experiment) -> Decision | None:
    """The end of an experiment that has too many voids; None while it may go on.

    Gates do not see labels, so that a void falls on either arm like a fair coin. When the
    treatment alone answers wrongly, again and again, that is its doing: REGRESSED.
    """
    voids, good = experiment.gathered.voids, len(experiment.gathered.blocks)
    if len(voids) <= max(MOST_VOIDS, VOIDS_RATIO * good):
        return None
    sides = np.array([1.0 if void.arm is Arm.TREATMENT else -1.0 for void in voids])
    treatment_more, _ = log_sign_bet(sides)
    last = voids[-1].reason
    needed = np.log(2 / experiment.question.rule.alpha)
    only_errors = all(void.errors for void in voids if void.arm is Arm.TREATMENT)
    is_aa = experiment.question.change is None
    if not is_aa and only_errors and treatment_more[-1] >= needed:
        return Decision(
            verdict=Verdict.REGRESSED,
            reason="guardrail: the treatment answers wrongly, or not at all, where the baseline"
            f" does not ({_counts(voids)}; last: {last})",
            n=good,
        )
    return Decision(
        verdict=Verdict.INVALID,
        reason=f"{len(voids)} of {len(voids) + good} blocks were void ({_counts(voids)};"
        f" last: {last})",
        n=good,
    )


def _counts(voids: list[VoidBlock]) -> str:
    treatment = sum(void.arm is Arm.TREATMENT for void in voids)
    return f"{treatment} on the treatment, {len(voids) - treatment} on the baseline"


def weigh(experiment: Experiment, compared: Comparison, by_boot: Collection[str] = ()) -> None:
    """Take in what the arms' answers say of each other.

    ``by_boot``: routes that two boots of the baseline answer differently, which is nobody's
    doing; but what remains of a route that is known for it (its status, its rough size) must
    be the same, or nothing can be compared here.
    """
    is_aa = experiment.question.change is None
    known = [route for route in by_boot if route in experiment.unstable]
    differences = [
        (route, what)
        for route, what in compared.differences
        if route not in by_boot or route in known
    ]
    experiment.compared += compared.compared
    experiment.unstable |= dict.fromkeys((*compared.unstable, *by_boot))
    if not differences:
        return
    more = len(differences) - 1
    what = ": ".join(differences[0]) + (
        f" (and {more} more route{'' if more == 1 else 's'})" if more else ""
    )
    is_nobodys = is_aa or all(route in known for route, _ in differences)
    experiment.ended = Decision(
        verdict=Verdict.INVALID if is_nobodys else Verdict.REGRESSED,
        reason=(
            f"two boots of the same stack answer differently: {what}"
            if is_nobodys
            else f"the treatment answers differently: {what}"
        ),
        n=len(experiment.gathered.blocks),
    )


def blamed(
    error: StackError,
    question: Question,
    arms: Mapping[Arm, Standing],
    slots: Mapping[Arm, str],
) -> Decision:
    """INVALID, if the treatment's level is what failed. Raises: the error, if it is not."""
    absent = [arm for arm in slots if arm not in arms][:1]
    # While one arm boots, the end of the other is noticed as well.
    failed = [arm for arm, standing in arms.items() if _is_broken(standing)] or absent
    if question.change is None or failed != [Arm.TREATMENT]:
        raise error
    words = "; ".join((error.what, *error.log[-3:]))
    return Decision(verdict=Verdict.INVALID, reason=f"the treatment does not stand: {words}", n=0)


def _is_broken(standing: Standing) -> bool:
    """Whether something of the arm's own is gone; what the arms share is nobody's fault."""
    return any(layer.process.status() is not None for layer in standing.layers if not layer.shared)
