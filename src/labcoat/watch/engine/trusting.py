"""Host keys that a person has compared, written into the watch's own known_hosts."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

from labcoat.errors import HostError, UsageError
from labcoat.watch.engine.control import ask
from labcoat.watch.engine.reaching import placed
from labcoat.watch.engine.settings import CONTROL, LOCK, Settings
from labcoat.watch.reach.place import Place
from labcoat.watch.record.entry import Entry, Kind
from labcoat.watch.record.journal import Batch, WatchJournal
from labcoat.watch.record.lock import AlreadyWatching, only_watch

KNOWN_HOSTS = "known_hosts"
SSH_PORT = 22
TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The key that a host shows now."""

    host: str
    port: int
    kind: str
    fingerprint: str
    line: str


def offered(host: str, settings: Settings) -> Offered:
    """Ask a host for its key. Raises: HostError if it does not answer."""
    place = placed(host, Place(host=""), settings.port)
    return asyncio.run(_offered(place.host, place.port or SSH_PORT))


async def _offered(host: str, port: int) -> Offered:
    import asyncssh  # noqa: PLC0415 - the extra ssh

    try:
        async with asyncio.timeout(TIMEOUT_S):
            key = await asyncssh.get_server_host_key(host, port, config=None)
    except (OSError, asyncssh.Error) as error:
        raise HostError(
            f"the host shows no key: {error}",
            where=f"{host} port {port}",
            way_out="check the name and the port, and that sshd listens there",
        ) from error
    if key is None:
        raise HostError("the host shows no key", where=f"{host} port {port}")
    name = host if port == SSH_PORT else f"[{host}]:{port}"
    public = key.export_public_key().decode().split()
    return Offered(
        host=host,
        port=port,
        kind=public[0],
        fingerprint=key.get_fingerprint(),
        line=f"{name} {public[0]} {public[1]}\n",
    )


def trust(found: Offered, settings: Settings, *, by: str) -> None:
    """Write the key down, and in the journal who did.

    Raises: UsageError if another key of this host stands there.
    """
    file = settings.folder / KNOWN_HOSTS
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    name = found.line.split()[0]
    for number, line in enumerate(lines, start=1):
        if line.split()[:2] == [name, found.kind] and line != found.line:
            raise UsageError(
                f"another key of {found.host} is trusted already: it has changed",
                where=f"{file}:{number}",
                way_out="find out why; if all is well, take that line out and trust again",
            )
    if found.line not in lines:
        whole = "".join([*lines, found.line])
        new = file.with_suffix(".new")
        new.write_text(whole)
        os.replace(new, file)  # noqa: PTH105 - atomic
    _journal(found, settings, by)


def _journal(found: Offered, settings: Settings, by: str) -> None:
    entry = Entry(
        kind=Kind.COMMAND,
        at_s=time.time(),
        target=found.host,
        body={"by": by, "do": "trust", "fingerprint": found.fingerprint},
    )
    try:
        with only_watch(settings.folder / LOCK):
            journal = WatchJournal.open(settings.journal)
            try:
                journal.commit(Batch(entries=(entry,)))
            finally:
                journal.close()
    except AlreadyWatching:
        ask(settings.folder / CONTROL, {"do": "trust", "by": by, "host": found.host})
