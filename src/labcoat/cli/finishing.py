"""Ctrl-C where there is something to finish: the first asks to stop, the second insists."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

WORDS = b"\nlabcoat: finishing this block, then telling what is known; Ctrl-C again ends it now\n"


@dataclass(slots=True)
class Wish:
    """Whether the user wants to stop."""

    is_stop: bool = False

    def __call__(self) -> bool:
        """Whether the user wants to stop by now."""
        return self.is_stop


@contextmanager
def finishing() -> Iterator[Wish]:
    """Within it the first SIGINT only makes the wish known; the next one is as ever."""
    wish = Wish()
    former = signal.getsignal(signal.SIGINT)
    if former is signal.SIG_IGN:  # a shell's background job: nobody's Ctrl-C
        yield wish
        return

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        wish.is_stop = True
        signal.signal(signal.SIGINT, former)
        os.write(2, WORDS)

    signal.signal(signal.SIGINT, ask)
    try:
        yield wish
    finally:
        signal.signal(signal.SIGINT, former)
