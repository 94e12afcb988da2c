"""What people ask of the watch: acknowledged, paused, applied; journaled with their name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labcoat.errors import UsageError
from labcoat.watch.engine.clock import WatchClock
from labcoat.watch.engine.healing import Healer
from labcoat.watch.engine.ledger import Ledger
from labcoat.watch.engine.observing import observe
from labcoat.watch.heal.advice import advice_id
from labcoat.watch.heal.events import Acknowledged, Paused, Reset, Resumed
from labcoat.watch.heal.state import Cause, LaneKey, Pause
from labcoat.watch.model.runbook import Runbook
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.recorder import Recorder


@dataclass(slots=True, kw_only=True)
class Commands:
    """Answers requests: ``{"do": …, "by": the user's name, …}``. Raises: LabcoatError."""

    clock: WatchClock
    recorder: Recorder
    ledger: Ledger
    healer: Healer

    async def answer(  # noqa: PLR0911 - one case each
        self, request: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Do what is asked, after it was journaled."""
        match request.get("do"):
            case "ping":
                return {"pid": os.getpid()}
            case "ack":
                return await self._ack(request)
            case "pause":
                return await self._pause(request)
            case "resume":
                await self._journal(request)
                self.healer.feed(Resumed(request.get("glob")))
                return {"pauses": len(self.healer.state.pauses)}
            case "reset":
                return await self._reset(request)
            case "trust":  # the key was written by who asks; it is journaled here
                await self._journal(request)
                return {"trusted": request.get("host")}
            case "apply":
                return await self._apply(request)
            case other:
                raise UsageError(f"the watch does not know {other!r}", where="control socket")

    async def _ack(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        key, _ = self._lane(str(request["id"]))
        await self._journal(request)
        self.healer.feed(Acknowledged(str(request["id"])))
        return {"acknowledged": request["id"], "action": key.action, "target": key.target}

    async def _pause(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        until_s = self.clock.now().wall_s + float(request["for_s"])
        pause = Pause(
            glob=str(request["glob"]),
            until_wall_s=until_s,
            reason=str(request["reason"]),
            who=str(request["by"]),
        )
        await self._journal(request)
        self.healer.feed(Paused(pause))
        return {"glob": pause.glob, "until_s": until_s}

    async def _reset(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        key, _ = self._lane(str(request["id"]))
        await self._journal(request)
        self.healer.feed(Reset(key.runbook, key.target, key.action))
        return {"reset": request["id"], "action": key.action, "target": key.target}

    async def _apply(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Check again, then act: whoever asks may have read an old screen."""
        key, runbook = self._lane(str(request["id"]))
        target = self.ledger.targets[key.target]
        observation = await observe(self.healer.executor, runbook, target, self.clock)
        statuses = {r.check: r.status.name for r in observation.round.results}
        if observation.round.is_all_ok and not runbook.action(key.action).guards.manual:
            return {"started": None, "why": "every check is OK by now", "checks": statuses}
        await self._journal(request)
        attempt_id = self.healer.fire(runbook, key.target, key.action, cause=Cause.ASKED)
        if attempt_id in self.healer.state.attempts:
            return {"started": attempt_id, "checks": statuses}
        why = self.healer.held(key) or "a guard holds it: see labcoat watch status"
        return {"started": None, "why": why, "checks": statuses}

    def _lane(self, wanted: str) -> tuple[LaneKey, Runbook]:
        """The action that an id stands for. Raises: UsageError."""
        for (path, target), runbook in self.ledger.runbooks.items():
            for action in runbook.actions:
                if advice_id(path, action.name, target, action.body) == wanted:
                    return LaneKey(path, target, action.name), runbook
        raise UsageError(
            f"nothing here has the id {wanted}",
            where="the runbooks as they are now",
            way_out="labcoat watch status lists what there is; an edited action has a new id",
        )

    async def _journal(self, request: Mapping[str, Any]) -> None:
        """Write it down first. Raises: JournalError."""
        body = {name: value for name, value in request.items() if name != "by"}
        await self.recorder.write(
            Entry(
                kind=Kind.COMMAND,
                at_s=self.clock.now().wall_s,
                subject=str(request.get("id", "")),
                body={"by": str(request["by"]), **body},
            )
        )
