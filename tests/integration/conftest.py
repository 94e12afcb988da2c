"""What integration tests share."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest


@pytest.fixture
def boxes(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base for sandboxes of this test alone; its path is short, for sockets lie in it."""
    base = Path(f"/tmp/lc-{secrets.token_hex(4)}")
    monkeypatch.setenv("LABCOAT_SANDBOXES", str(base))
    return base
