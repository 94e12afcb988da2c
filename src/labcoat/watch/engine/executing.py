"""Carrying out the bodies of checks and actions: where, with what, and what may be told."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from labcoat.watch.engine.secrets import NoSecret, Secrets
from labcoat.watch.engine.targets import Target
from labcoat.watch.model.runbook import Body, Place, Plugin
from labcoat.watch.model.secret import filled, scrubbed
from labcoat.watch.reach.base import Answer, Fault, Order, PluginFile, Reach

NOT_FOUND = 127
HERE = "(watch)"
PLAIN: Mapping[str, str] = {"LC_ALL": "C"}


class Reaches(Protocol):
    """The ways to all places."""

    def to(self, address: str | None, credentials: str) -> Reach:
        """The way to an address; None is this machine. Raises: LookupError."""

    async def close(self) -> None:
        """End what is held."""


@dataclass(slots=True)
class Executor:
    """Turns a body into an order, and scrubs what comes back.

    ``plugin_path``: holds ``checks/`` and ``actions/``. ``address_of``: of a named host.
    """

    reaches: Reaches
    plugin_path: Path | None
    secrets: Secrets = field(default_factory=Secrets)
    address_of: Callable[[str], str | None] = str
    _files: dict[Path, tuple[float, PluginFile]] = field(default_factory=dict)

    async def execute(
        self,
        body: Body,
        target: Target,
        *,
        folder: str,
        attempt: str | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        on_start: Callable[[], None] | None = None,
    ) -> Answer:
        """Carry a body out for a target. ``folder``: ``checks`` or ``actions``.

        Never raises for what is wrong with the body or the place: that is the answer.
        """
        text = body.what.args if isinstance(body.what, Plugin) else body.what.cmd
        try:
            secrets = self.secrets.of(text)
            reach = self.reach(body, target)
        except (NoSecret, LookupError) as error:
            return Answer(fault=Fault.REFUSED, detail=str(error.args[0]))
        order = Order(
            command=filled(text, secrets),
            timeout_s=body.timeout_s,
            attempt=attempt,
            as_root=body.become,
            pty=body.pty,
            environment=dict(environment or {}),
            stdin=stdin,
        )
        if isinstance(body.what, Plugin):
            file = self._file(folder, body.what.path)
            if file is None:
                shown = f"{folder}/{body.what.path}: no such plugin"
                return Answer(exit_status=NOT_FOUND, stderr=shown)
            order = self._with_plugin(order, body, file)
        answer = await reach.execute(order, on_start=on_start)
        return replace(
            answer,
            stdout=scrubbed(answer.stdout, secrets),
            stderr=scrubbed(answer.stderr, secrets),
            detail=scrubbed(answer.detail, secrets),
        )

    def reach(self, body: Body, target: Target) -> Reach:
        """The way to where a body runs. Raises: LookupError."""
        match body.place:
            case Place.REMOTE:
                return self.reaches.to(None, body.credentials)
            case Place.HOST:
                assert body.host is not None
                return self.reaches.to(self.address_of(body.host), body.credentials)
            case Place.TARGET:
                return self.reaches.to(target.address, body.credentials)

    def _with_plugin(self, order: Order, body: Body, file: Path) -> Order:
        environment = {**PLAIN, **order.environment}
        if body.place is Place.REMOTE:
            command = f"{shlex.quote(str(file))} {order.command}"
            return replace(order, command=command, environment=environment)
        return replace(order, plugin=self._content(file), environment=environment)

    def _file(self, folder: str, path: str) -> Path | None:
        """A plugin's file, if it is there and inside its folder."""
        if self.plugin_path is None:
            return None
        root = (self.plugin_path / folder).resolve()
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None

    def _content(self, file: Path) -> PluginFile:
        changed = file.stat().st_mtime
        known = self._files.get(file)
        if known is not None and known[0] == changed:
            return known[1]
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        plugin = PluginFile(name=file.name, content=content, sha256=digest)
        self._files[file] = (changed, plugin)
        return plugin
