"""Clusters: a seeded template, made once and kept, and clones of it, one per boot.

The template lies in ``.labcoat/cache/<hash>``. It is copied there only after Postgres was shut
down in order, under another name first: a half-made template is never seen. The hash covers
Postgres' version, the seed's steps and the files that they name, the app's env as written, and
the app's Python, SQL and CSV files.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import sql

from labcoat.errors import HostError, StackError
from labcoat.host.base import Completed, Host, Launch, Process
from labcoat.host.sandbox import Sandbox
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App
from labcoat.stack import environment
from labcoat.stack.binaries import Located
from labcoat.stack.postgres import (
    DATABASE,
    DEFAULT_PORT,
    USER,
    answers,
    dsn,
    socket_name,
)
from labcoat.stack.seeding import Seeding, digest_parts

KEPT = 3
INITDB_TIMEOUT_S = 120.0
SEEDING = frozenset({".csv", ".py", ".sql"})
SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
_CHUNK = 1 << 24
_NOT_BETWEEN = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Makes and clones the template of one study.

    ``beside``: what stands beside the database while it is seeded, and what the placeholders of
    that mean.
    """

    host: Host
    sandbox: Sandbox
    located: Located
    app: App
    cache: Path
    ready_timeout_s: float
    beside: Callable[[], AbstractContextManager[Mapping[str, str]]]

    def clone(self, target: Path) -> None:
        """Put a fresh copy of the template at ``target``, for Postgres' own user.

        Raises: StackError if the seed fails; HostError if the disk says no.
        """
        template = self._template()
        try:
            _copy_tree(template / "data", target)
            _give(target, like=target.parent)
        except OSError as error:
            raise _no_room(error, target) from error

    def _template(self) -> Path:
        try:
            final = self.cache / self._key()
            if not (final / "data" / "PG_VERSION").is_file():
                self._make(final)
            os.utime(final)
            self._prune(final)
        except OSError as error:
            raise _no_room(error, self.cache) from error
        return final

    def _key(self) -> str:
        digest = hashlib.sha256()
        for part in (self.located.version, *map(str, self.app.env)):
            digest.update(part.encode() + b"\0")
        for content in digest_parts(self.app):
            digest.update(content + b"\0")
        for path in files_below(self.app.directory, SEEDING):
            digest.update(str(path.relative_to(self.app.directory)).encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
        return digest.hexdigest()[:24]

    def _make(self, final: Path) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        folder = self.sandbox.directory("template", unprivileged=True)
        making = self.cache / f".making-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self._seeded(folder)
            _copy_tree(folder / "data", making / "data")
            making.rename(final)
        finally:
            shutil.rmtree(making, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)

    def _seeded(self, folder: Path) -> None:
        """A cluster in ``folder``, seeded and shut down."""
        env = environment.base(self.app, folder)
        cluster = folder / "data"
        self._do(
            f"{self.located.folder}/initdb", "-D", str(cluster), "-U", USER, "--auth=trust",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", env=env, folder=folder,
        )  # fmt: skip
        sockets = self.sandbox.directory("template/s", unprivileged=True)
        listen = Endpoint(speaks=Speaks.POSTGRES, path=sockets / socket_name(DEFAULT_PORT))
        process = start(
            self.sandbox,
            Launch(
                name="postgres (seeding)",
                # Nobody mourns a template that a power cut broke: it is made again.
                argv=(
                    *self.located.argv, "-D", str(cluster), "-c", "listen_addresses=",
                    "-c", f"unix_socket_directories={sockets}", "-c", f"port={DEFAULT_PORT}",
                    "-c", "fsync=off", "-c", "max_wal_size=4GB",
                ),
                cwd=folder,
                log=folder / "postgres.log",
                env=env,
                unprivileged=True,
                stop_signal=2,
            ),
            ready=lambda _: self.host.answers(listen) and answers(listen, "postgres"),
            timeout_s=self.ready_timeout_s,
        )  # fmt: skip
        try:
            create_database(listen)
            seeding = Seeding(
                host=self.host, sandbox=self.sandbox, located=self.located, app=self.app
            )
            with self.beside() if self.app.seed else nullcontext({}) as values:
                seeding.fill(listen, values)
        finally:
            self.sandbox.stop(process)
        if process.status() != 0:
            raise StackError(
                "postgres did not shut down in order after the seed",
                where=process.log,
                log=process.tail(),
                way_out="see its last words; then try again",
            )

    def _do(self, *argv: str, env: Mapping[str, str], folder: Path) -> Completed:
        completed = self.host.run(
            argv, timeout_s=INITDB_TIMEOUT_S, cwd=folder, env=env, unprivileged=True
        )
        if completed.status != 0:
            raise StackError(
                f"{Path(argv[0]).name} ended with status {completed.status}",
                where=argv[0],
                log=completed.tail(),
                way_out="see its last words",
            )
        return completed

    def _prune(self, used: Path) -> None:
        """Keep the templates used last; remove what a killed labcoat left half made."""
        kept = [p for p in self.cache.iterdir() if p.is_dir() and not p.name.startswith(".")]
        kept.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in kept[KEPT:]:
            if path != used:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.cache.glob(".making-*"):
            if not Path("/proc", path.name.split("-")[1]).exists():
                shutil.rmtree(path, ignore_errors=True)


def start(
    sandbox: Sandbox, launch: Launch, *, ready: Callable[[Process], bool], timeout_s: float
) -> Process:
    """``Sandbox.start``, after which a process that never got ready is not the sandbox's any more.

    So that a failed boot does not look like the death of what stands beside it.
    """
    before = list(sandbox.processes)
    try:
        return sandbox.start(launch, ready=ready, timeout_s=timeout_s)
    except BaseException:
        for process in [one for one in sandbox.processes if one not in before]:
            sandbox.stop(process)
        raise


def create_database(listen: Endpoint) -> None:
    """The app's database. Raises: StackError."""
    try:
        with psycopg.connect(dsn(listen, "postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error as error:
        raise StackError(
            f"the database cannot be made: {error}",
            where=listen.address,
            way_out="see the log of postgres",
        ) from error


def reachable(located: Located, place: Callable[[], Path]) -> Located:
    """The installation where another user can start it.

    Wheels may lie below a home that is for its owner alone, and Postgres must not be root: then
    the installation (programs, libraries, shared files) is linked or copied into the sandbox, in
    the same layout, since programs find their libraries from where they lie themselves.
    """
    program = Path(located.argv[0]).resolve()
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in program.parents):
        return located
    root, package = program.parents[3], program.parents[2]
    target = place()
    for folder in (program.parents[1], package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(
                folder,
                target / folder.relative_to(root),
                copy_function=_link,
                symlinks=True,
                dirs_exist_ok=True,
            )
    return replace(located, argv=(str(target / program.relative_to(root)),))


def _link(source: str, target: str) -> str:
    try:
        Path(target).unlink(missing_ok=True)
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def files_below(directory: Path, suffixes: Collection[str]) -> list[Path]:
    """The app's own files of these kinds, in order; not those of environments and caches.

    A link that leads nowhere is no file: editors lock what they edit with such ones.
    """
    found: list[Path] = []
    for folder, names, files in os.walk(directory):
        names[:] = sorted(n for n in names if not n.startswith(".") and n not in SKIPPED)
        own = [Path(folder, file) for file in sorted(files) if Path(file).suffix in suffixes]
        found += [path for path in own if path.is_file()]
    return found


def _copy_tree(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, copy_function=_copy, symlinks=True)


def _copy(source: str, target: str) -> str:
    """A copy that shares blocks where the file system can.

    From one file system to another (sandboxes in memory, the study on a disk) it may not.
    """
    try:
        with open(source, "rb") as reader, open(target, "wb") as writer:  # noqa: PTH123 - descriptors
            left = os.fstat(reader.fileno()).st_size
            while left > 0:
                done = os.copy_file_range(reader.fileno(), writer.fileno(), min(left, _CHUNK))
                if done == 0:
                    break
                left -= done
    except OSError as error:
        if error.errno not in _NOT_BETWEEN:
            raise
        shutil.copyfile(source, target)
    shutil.copymode(source, target)
    return target


def _give(target: Path, *, like: Path) -> None:
    owner = like.stat()
    if (owner.st_uid, owner.st_gid) == (os.geteuid(), os.getegid()):
        return
    for folder, _, files in os.walk(target):
        os.chown(folder, owner.st_uid, owner.st_gid)
        for file in files:
            os.chown(Path(folder, file), owner.st_uid, owner.st_gid, follow_symlinks=False)


def _no_room(error: OSError, where: Path) -> HostError:
    why, place = error.strerror or str(error), error.filename or where
    if isinstance(error, shutil.Error):  # of a tree: (source, target, why) for each file
        _, place, why = error.args[0][0]
    return HostError(
        f"cannot copy the database: {why}",
        where=place,
        way_out="free space, or make the folder writable; .labcoat/cache may always be removed",
    )
