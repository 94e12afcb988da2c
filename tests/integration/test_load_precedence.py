"""The generator asks the scheduler for precedence, and gets what its user may have."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = """
import os, sys
from labcoat.load.precedence import take_precedence
if sys.argv[1:]:
    os.setresuid(65534, 65534, 65534)
print(take_precedence(), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0))
"""


def asked(*words: str) -> str:
    argv = [sys.executable, "-c", ASK, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def test_it_gets_what_its_user_may_have() -> None:
    assert asked() in {"weight and short slices -20 0", "short slices 0 0"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_gets_no_more_than_short_slices() -> None:
    assert asked("as nobody") == "short slices 0 0"
