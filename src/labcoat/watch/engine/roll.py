"""The roll of targets: discovered, vetted, and given their runbooks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labcoat.watch.engine.clock import WatchClock
from labcoat.watch.engine.discovery import Discovered, discover
from labcoat.watch.engine.executing import Executor
from labcoat.watch.engine.keeping import FACTS
from labcoat.watch.engine.ledger import Ledger
from labcoat.watch.engine.planner import Planner
from labcoat.watch.engine.reaching import DEFAULT
from labcoat.watch.engine.settings import Settings
from labcoat.watch.engine.shelf import Shelf
from labcoat.watch.engine.targets import Target
from labcoat.watch.engine.vetting import vet
from labcoat.watch.model.finding import Finding
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.recorder import Recorder

VET_AT_ONCE = 32
VET_EVERY_S = 86400.0


@dataclass(slots=True, kw_only=True)
class Roll:
    """Keeps targets, runbooks and plans in step with what is discovered and written."""

    settings: Settings
    clock: WatchClock
    recorder: Recorder
    executor: Executor
    ledger: Ledger
    shelf: Shelf
    planner: Planner
    say: Callable[[str], None]
    group_sizes: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
    findings: dict[str, Finding] = field(default_factory=dict)
    _vetted_s: dict[str, float] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(VET_AT_ONCE))
    _vetting: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def discover(self, facts: Mapping[str, Mapping[str, Any]]) -> Discovered:
        """Look for targets: new ones get ``facts`` that are known of old, gone ones go."""
        local = self.executor.reaches.to(None, DEFAULT)
        found = await discover(self.settings.discovery, local)
        for trouble in found.troubles:
            if trouble not in self.troubles:
                self.say(trouble)
        self.troubles = found.troubles
        if found.troubles and not found.addresses:
            return found  # a source is silent: who was there stays
        for name, address in found.addresses.items():
            if name not in self.ledger.targets:
                known = facts.get(name)
                self.ledger.targets[name] = Target(
                    id=name,
                    address=address,
                    facts={} if known is None else known["facts"],
                    is_vetted=known is not None,
                )
                if known is not None:
                    self._vetted_s[name] = float(known["at_s"])
                else:
                    self._note(name, "came")
        if not found.troubles:
            for name in [n for n in self.ledger.targets if n not in found.addresses]:
                self._forget(name)
        return found

    async def read_runbooks(self) -> None:
        """Read the shelf anew and give every target its runbooks."""
        told = {str(f): f for f in self.shelf.read()}
        for target in list(self.ledger.targets.values()):
            told |= self._give(target)
            await asyncio.sleep(0)  # rendering for a thousand targets must not hold up rounds
        self._tell(told)
        self._count()

    def vet_later(self, target: Target) -> None:
        """Collect facts if there are none, or old ones; then render anew."""
        if target.id in self._vetting or not self._is_stale(target):
            return
        task = asyncio.get_running_loop().create_task(self._vet(target))
        self._vetting[target.id] = task
        task.add_done_callback(lambda done: self._vetted(target.id, done))

    async def vet_now(self) -> None:
        """Collect what facts are missing, of all targets at once."""
        for target in list(self.ledger.targets.values()):
            self.vet_later(target)
        if self._vetting:
            await asyncio.wait(list(self._vetting.values()))

    async def finish(self) -> None:
        """Give up what is being vetted."""
        tasks = list(self._vetting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _vetted(self, name: str, task: asyncio.Task[None]) -> None:
        self._vetting.pop(name, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.say(f"a defect in labcoat, please report it: {error!r}")
            asyncio.get_running_loop().call_exception_handler(
                {"message": "watch: vetting failed", "exception": error, "task": task}
            )

    def _is_stale(self, target: Target) -> bool:
        vetted_s = self._vetted_s.get(target.id)
        return vetted_s is None or self.clock.now().wall_s - vetted_s > VET_EVERY_S

    async def _vet(self, target: Target) -> None:
        async with self._slots:
            local = self.executor.reaches.to(None, DEFAULT)
            try:
                reach = self.executor.reaches.to(target.address, DEFAULT)
            except LookupError:
                return  # its checks say why
            facts = await vet(target, reach, local, self.settings.plugin_path)
        if facts is None or target.id not in self.ledger.targets:
            return
        vetted = replace(target, facts=facts, is_vetted=True)
        self.ledger.targets[target.id] = vetted
        at_s = self.clock.now().wall_s
        self._vetted_s[target.id] = at_s
        self.recorder.keep({(FACTS, target.id): {"facts": facts, "at_s": at_s}})
        self._note(target.id, "vetted")
        if facts != target.facts:
            self._tell(self.findings | self._give(vetted))
            self._count()

    def _give(self, target: Target) -> dict[str, Finding]:
        """Render and plan a target's runbooks; a refused one leaves its last good revision."""
        rendered = self.shelf.rendered(target.id, target.facts)
        now = self.clock.now()
        for path, runbook in rendered.runbooks.items():
            key = (path, target.id)
            if runbook is None:
                continue
            before = self.ledger.runbooks.get(key)
            self.ledger.runbooks[key] = runbook
            self.planner.put(key, runbook, now)
            if before is None or before.sha256 != runbook.sha256:
                self.recorder.note(
                    Entry(
                        kind=Kind.RUNBOOK,
                        at_s=now.wall_s,
                        target=target.id,
                        runbook=path,
                        body={"sha256": runbook.sha256, "name": runbook.name},
                    )
                )
        gone = [
            key
            for key in self.ledger.runbooks
            if key[1] == target.id and key[0] not in rendered.runbooks
        ]
        for key in gone:
            del self.ledger.runbooks[key]
            self.planner.drop(key)
        return {str(finding): finding for finding in rendered.findings}

    def _tell(self, told: dict[str, Finding]) -> None:
        """Say and journal the findings that were not told before."""
        at_s = self.clock.now().wall_s
        for text, finding in told.items():
            if text in self.findings:
                continue
            self.say(text)
            body = {"code": finding.code, "file": finding.file, "line": finding.line, "text": text}
            entry = Entry(kind=Kind.FINDING, at_s=at_s, target=finding.target or "", body=body)
            self.recorder.note(entry)
        self.findings = told

    def _count(self) -> None:
        pairs = {(runbook.group, target) for (_, target), runbook in self.ledger.runbooks.items()}
        self.group_sizes = Counter(group for group, _ in pairs)

    def _forget(self, name: str) -> None:
        del self.ledger.targets[name]
        for key in [key for key in self.ledger.runbooks if key[1] == name]:
            del self.ledger.runbooks[key]
            self.planner.drop(key)
        self._note(name, "went")

    def _note(self, target: str, what: str) -> None:
        entry = Entry(
            kind=Kind.TARGET, at_s=self.clock.now().wall_s, target=target, body={"what": what}
        )
        self.recorder.note(entry)
