"""Where lines for syslog go in the sandbox: a small daemon on loopback, shared by both arms.

Whoever sends a line over UDP pays for the sending alone; whoever takes it pays on the same
machine. So that neither is left out, the lines are received and written, not dropped.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from labcoat.host.base import Launch, Process
from labcoat.host.sandbox import Sandbox
from labcoat.model.study import ComponentSpec
from labcoat.model.variant import Variant
from labcoat.stack.base import Component
from labcoat.stack.cluster import start

NAME = "syslog"
TIMEOUT_S = 20.0

_PROGRAM = Path(__file__).parent / "shipped" / "syslog_sink.py"
_MARK = "syslog:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """The daemon. ``address``: ``127.0.0.1:port``, UDP. ``lines``: the file that it writes."""

    process: Process
    address: str
    lines: Path

    @classmethod
    def open(cls, sandbox: Sandbox) -> Sink:
        """A daemon that listens when this returns; it ends with the sandbox. Raises: NotReady."""
        folder = sandbox.directory(NAME)
        told = folder / "port"
        argv = (sys.executable, "-I", "-S", str(_PROGRAM), str(folder))
        launch = Launch(name=NAME, argv=argv, cwd=folder, log=folder / f"{NAME}.log", env={})
        process = start(sandbox, launch, ready=lambda _: told.is_file(), timeout_s=TIMEOUT_S)
        port = told.read_text(encoding="ascii")
        return cls(process=process, address=f"127.0.0.1:{port}", lines=folder / "lines")


def sends(component: Component, spec: ComponentSpec | None, variant: Variant) -> bool:
    """Whether a component may send lines to syslog: whether its settings speak of it at all."""
    edited = component.edited(variant)
    said = [file.after for file in edited.files]
    said += [str(level) for level in edited.options.values()]
    said += [edited.command or ""]
    if spec is not None:
        said += [spec.command or "", *(str(level) for _, level in spec.options)]
    return any(_MARK in text for text in said)
