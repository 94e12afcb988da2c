"""How long a baseline takes its time for each thing."""

from __future__ import annotations

from dataclasses import dataclass

from labcoat.model.load import Window

RESTART_GUESS_S = 12.0
"""Booting both arms and warming them up, on a quiet machine with an ordinary app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The lengths and counts of every phase. Seconds.

    ``epochs``: restarts of each arm in the A/A experiment, at least six (science.md
    section 2); ``slice_s``, ``discard_s``: its slices' measured length and warm-up.
    ``call_s``: how long the app is called without its server, each of two times.
    """

    sweep_rounds: int
    sweep: Window
    account_slices: int
    account: Window
    open_loop: Window
    epochs: int
    blocks_per_epoch: int
    slice_s: float
    discard_s: float
    call_s: float

    def __post_init__(self) -> None:
        if self.epochs < 6:
            raise ValueError("a noise floor needs at least six restarts of each arm")

    @property
    def aa_s(self) -> float:
        """How long the A/A experiment should take on a quiet machine."""
        return self.epochs * (
            RESTART_GUESS_S + self.blocks_per_epoch * 4 * (self.slice_s + self.discard_s)
        )

    def total_s(self, levels: int) -> float:
        """How long the whole should take, with so many levels in the sweep."""
        return (
            30.0
            + self.sweep_rounds * levels * (self.sweep.warmup_s + self.sweep.measure_s)
            + self.account_slices * self.account.measure_s
            + self.open_loop.measure_s
            + 2 * self.call_s
            + self.aa_s
        )


FULL = Pace(
    sweep_rounds=3,
    sweep=Window(warmup_s=0.3, measure_s=1.2),
    account_slices=3,
    account=Window(measure_s=5.0),
    open_loop=Window(warmup_s=1.0, measure_s=15.0),
    epochs=6,
    blocks_per_epoch=2,
    slice_s=1.5,
    discard_s=0.25,
    call_s=4.0,
)

QUICK = Pace(
    sweep_rounds=2,
    sweep=Window(warmup_s=0.2, measure_s=0.6),
    account_slices=1,
    account=Window(measure_s=4.0),
    open_loop=Window(warmup_s=0.5, measure_s=5.0),
    epochs=6,
    blocks_per_epoch=1,
    slice_s=0.8,
    discard_s=0.2,
    call_s=2.0,
)

BRISK = Pace(
    sweep_rounds=1,
    sweep=Window(warmup_s=0.2, measure_s=0.6),
    account_slices=1,
    account=Window(measure_s=3.0),
    open_loop=Window(warmup_s=0.5, measure_s=4.0),
    epochs=6,
    blocks_per_epoch=1,
    slice_s=0.5,
    discard_s=0.15,
    call_s=1.5,
)
"""For a campaign of a few minutes, whose confirmation says what counts."""
