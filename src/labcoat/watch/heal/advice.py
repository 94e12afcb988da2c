"""Ids of advice that stay the same over restarts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from labcoat.watch.model.runbook import Body


def advice_id(runbook: str, action: str, target: str, body: Body) -> str:
    """``adv-`` and 10 hex digits: the same advice has the same id, a changed body a new one."""
    told = asdict(body) | {"place": body.place.value}
    text = json.dumps([runbook, action, target, told], sort_keys=True, ensure_ascii=False)
    return f"adv-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
