"""Where targets come from: a static list, the SSH config, names in DNS, a command."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import UsageError
from labcoat.watch.reach.base import Order, Reach

COMMAND_TIMEOUT_S = 60.0
TARGET = re.compile(r"[A-Za-z0-9_.:@\[\]%-]+")
LOCAL = ("localhost", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """What to look at. ``ssh_config``: its concrete ``Host`` names. ``dns``: names, each of
    whose addresses is a target. ``command``: prints one target per line. ``every_s``: how
    often the last two are asked again.
    """

    hosts: tuple[str, ...] = ()
    ssh_config: Path | None = None
    dns: tuple[str, ...] = ()
    command: str | None = None
    local: tuple[str, ...] = ()
    every_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """Ids with what is dialled for each (None: this machine), and what went wrong."""

    addresses: dict[str, str | None]
    troubles: tuple[str, ...] = ()


async def discover(discovery: Discovery, local: Reach) -> Discovered:
    """Look everywhere. A source that fails is told; what the others say holds."""
    found = list(discovery.hosts)
    troubles: list[str] = []
    if discovery.ssh_config is not None:
        try:
            found += hosts_of(discovery.ssh_config.read_text(errors="replace"))
        except OSError as error:
            troubles.append(f"{discovery.ssh_config}: {error.strerror}")
    for name in discovery.dns:
        try:
            found += await _addresses(name)
        except OSError as error:
            troubles.append(f"DNS does not know {name}: {error.strerror}")
    if discovery.command is not None:
        answer = await local.execute(Order(command=discovery.command, timeout_s=COMMAND_TIMEOUT_S))
        if answer.exit_status == 0:
            found += answer.stdout.split()
        else:
            ended = answer.detail or f"it exits with {answer.exit_status}"
            troubles.append(f"the discovery command failed: {ended}; {answer.stderr[:200]}")
    odd = [name for name in found if TARGET.fullmatch(name) is None]
    troubles += [f"no target: {name[:60]!r}" for name in odd]
    here = {*LOCAL, *discovery.local}
    wanted = dict.fromkeys([*found, *discovery.local])
    addresses = {name: None if name in here else name for name in wanted if TARGET.fullmatch(name)}
    return Discovered(addresses=addresses, troubles=tuple(troubles))


def hosts_of(ssh_config: str) -> list[str]:
    """The names after ``Host`` that stand for one host each."""
    names: list[str] = []
    for line in ssh_config.splitlines():
        words = re.split(r"[\s=]+", line.strip())
        if words[0].lower() == "host":
            names += [word.strip('"') for word in words[1:] if not set(word) & set("*?!")]
    return list(dict.fromkeys(name for name in names if name))


async def _addresses(name: str) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return sorted({str(info[4][0]) for info in found})


def none_found(troubles: tuple[str, ...]) -> UsageError:
    """There is nothing to watch."""
    return UsageError(
        "no target was found",
        where="config.yml: discovery",
        way_out="list hosts under discovery.plugins.roster.hosts, or watch localhost",
        log=troubles,
    )
