"""Traces: whether anything that labcoat started, or wrote outside, is still there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil


def alive_with(marker: str) -> list[str]:
    """Every living process whose command line, folder or environment names the marker."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(marker in word for word in words):
            found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


def is_gone(base: Path, *, within_s: float = 20.0) -> bool:
    """Whether soon nothing is left of any sandbox below it, neither files nor processes."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not (base.exists() and list(base.iterdir())) and not alive_with(str(base)):
            return True
        time.sleep(0.1)
    return False
