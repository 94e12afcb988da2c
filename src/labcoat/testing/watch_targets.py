"""A thousand SSH targets in one process, each an address of 127/8, some of them bad.

    python -m labcoat.testing.watch_targets FOLDER PORT COUNT [BEHAVIOUR=FROM-TO ...]

Real SSH (key exchange, host key, a key that logs in); what is executed is simulated: a
check answers with the status and the text that stand in its command after ``simulated``.
Behaviours by number of the target: ``mute`` (takes the connection, never says a word),
``hang`` (starts every command, ends none), ``flood`` (prints without end), ``drip`` (one
byte of a banner per second). Prints ``ready`` once all listen; ends with its input.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import asyncssh

MARKER = re.compile(r"printf '\\n%s %s %s\\n' ([0-9a-f]+) \$\$ (free|taken)")
SAYS = re.compile(r"simulated (\d+) ([^'\n]*)")
PID = 4242
FLOOD = b"flood " * 5000
HOST_KEY = "host_key"
CLIENT_KEY = "id"
KNOWN_HOSTS = "known_hosts"


def address(number: int) -> str:
    """The address of a target: 127.0.0.1 up to 127.0.3.250 for the first thousand."""
    return f"127.0.{number // 250}.{number % 250 + 1}"


def lay_out(folder: Path, port: int) -> None:
    """Keys for both sides, and the known_hosts that trusts the targets."""
    folder.mkdir(parents=True, exist_ok=True)
    host = asyncssh.generate_private_key("ssh-ed25519")
    client = asyncssh.generate_private_key("ssh-ed25519")
    host.write_private_key(str(folder / HOST_KEY))
    client.write_private_key(str(folder / CLIENT_KEY))
    (folder / CLIENT_KEY).chmod(0o600)
    client.write_public_key(str(folder / f"{CLIENT_KEY}.pub"))
    line = host.export_public_key().decode().strip()
    (folder / KNOWN_HOSTS).write_text(f"[127.0.*]:{port} {line}\n")


class Session(asyncssh.SSHServerSession[bytes]):
    """One command: its script is read, and answered as the target behaves."""

    def __init__(self, behaviour: str) -> None:
        self._behaviour = behaviour
        self._script = bytearray()
        self._channel: Any = None
        self._flooding: asyncio.Task[None] | None = None

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def exec_requested(self, command: str) -> bool:
        del command
        return True

    def data_received(self, piece: bytes, datatype: int | None) -> None:
        del datatype
        self._script += piece

    def eof_received(self) -> bool:
        script = self._script.decode(errors="replace")
        found = MARKER.search(script)
        if found is not None:
            self._channel.write(f"\n{found[1]} {PID} {found[2]}\n".encode())
        if self._behaviour == "hang":
            return True
        if self._behaviour == "flood":
            self._flooding = asyncio.get_running_loop().create_task(self._flood())
            return True
        said = SAYS.search(script)
        if said is not None:
            self._channel.write(f"{said[2]}\n".encode())
        self._channel.exit(0 if said is None else int(said[1]))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._flooding is not None:
            self._flooding.cancel()

    async def _flood(self) -> None:
        while True:
            self._channel.write(FLOOD)
            await asyncio.sleep(0.005)


class Server(asyncssh.SSHServer):
    """Lets in whoever has the key."""

    def __init__(self, behaviour: str) -> None:
        self._behaviour = behaviour

    def session_requested(self) -> Session:
        """A session that behaves as its target."""
        return Session(self._behaviour)


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read, and never say a word."""
    while await reader.read(4096):
        pass
    writer.close()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say a banner, one byte per second."""
    del reader
    while not writer.is_closing():
        writer.write(b"x")
        await asyncio.sleep(1)


async def serve(folder: Path, port: int, behaviours: list[str]) -> None:
    """Listen on every address until the input ends."""
    key = asyncssh.read_private_key(str(folder / HOST_KEY))
    authorized = asyncssh.read_authorized_keys(str(folder / f"{CLIENT_KEY}.pub"))
    shared = asyncssh.SSHServerConnectionOptions(
        server_host_keys=[key], authorized_client_keys=authorized, login_timeout=60
    )
    plain = {"mute": mute, "drip": drip}
    for number, behaviour in enumerate(behaviours):
        host = address(number)
        if behaviour in plain:
            await asyncio.start_server(plain[behaviour], host, port)
        else:
            await asyncssh.listen(
                host,
                port,
                options=shared,
                server_factory=lambda behaviour=behaviour: Server(behaviour),
                encoding=None,
                reuse_address=True,
                backlog=16,
            )
    print("ready", flush=True)  # noqa: T201 - the starter waits for it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def behaviours_of(count: int, words: list[str]) -> list[str]:
    """Each target's behaviour: ``hang=0-24`` counts from 0, both ends included."""
    behaviours = ["well"] * count
    for word in words:
        name, _, numbers = word.partition("=")
        first, _, last = numbers.partition("-")
        for number in range(int(first), int(last) + 1):
            behaviours[number] = name
    return behaviours


if __name__ == "__main__":
    where, at, how_many, *bad = sys.argv[1:]
    asyncio.run(serve(Path(where), int(at), behaviours_of(int(how_many), bad)))
