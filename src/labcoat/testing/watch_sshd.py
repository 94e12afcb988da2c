"""An OpenSSH server on loopback: own port, own keys, own configuration, nothing of the system's."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import HostError

PROGRAM = "/usr/sbin/sshd"
BOOT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    """A server that runs. ``key``: the private key that it lets in as ``user``."""

    port: int
    user: str
    key: Path
    known_hosts: Path
    home: Path
    process: subprocess.Popen[bytes]

    def sessions(self) -> list[int]:
        """The process ids of its children: one per connection."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in listed.split()]


def make_key(file: Path) -> Path:
    """A fresh ed25519 key pair; the path of the private half."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)],  # noqa: S607
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return file


@contextlib.contextmanager
def sshd(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[Sshd]:
    """A server below ``folder``, which is also the home of those who log in.

    ``options``: further lines of its configuration. Raises: HostError if it is not
    installed or does not boot; a missing program is an error, never a skip.
    """
    if not Path(PROGRAM).exists() or shutil.which("ssh-keygen") is None:
        raise HostError(
            "sshd is not installed", where=PROGRAM, way_out="apt-get install openssh-server"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir(mode=0o700)
    host_key = make_key(folder / "host_key")
    key = make_key(folder / "id")
    (folder / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    known = folder / "known_hosts"
    public = host_key.with_suffix(".pub").read_text()
    known.write_text(f"[127.0.0.1]:{port} {public}")
    settings = {
        "Port": str(port),
        "ListenAddress": "127.0.0.1",
        "HostKey": str(host_key),
        "AuthorizedKeysFile": str(folder / "authorized_keys"),
        "PidFile": "none",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        "UseDNS": "no",
        "SetEnv": f"HOME={home}",
        "MaxStartups": "200:30:400",
        "LogLevel": "ERROR",
    } | dict(options or {})
    file = folder / "sshd_config"
    file.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd locks its children in
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [PROGRAM, "-D", "-e", "-f", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        _await_boot(process, port, log)
        yield Sshd(
            port=port,
            user=pwd.getpwuid(os.geteuid()).pw_name,
            key=key,
            known_hosts=known,
            home=home,
            process=process,
        )
    finally:
        _end(process)


def _await_boot(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + BOOT_S
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), timeout=1.0),
        ):
            return
        time.sleep(0.02)
    raise HostError(
        "sshd does not boot", where=log, log=log.read_text(errors="replace").splitlines()[-5:]
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and every session of it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    sessions = children.read_text().split() if children.exists() else []
    process.terminate()
    process.wait()
    for pid in sessions:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
