"""Seeding: what fills a database, step by step: files of SQL, archives of pg_dump, commands.

Files go in through ``psql`` and ``pg_restore`` of the same installation as Postgres. Roles that
a dump grants to or gives tables to are made first, without a login: a sandbox has one user.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from labcoat.errors import StackError
from labcoat.host.base import Host
from labcoat.host.sandbox import Sandbox
from labcoat.model.stack import Endpoint
from labcoat.model.study import App, Seed
from labcoat.stack import environment
from labcoat.stack.binaries import Located
from labcoat.stack.postgres import dsn, placeholders

TIMEOUT_S = 1800.0
PLAIN = (".sql", ".sql.gz")
_CHUNK = 1 << 20
_ROLE = re.compile(
    rb'^(?:ALTER [^;]* OWNER TO|(?:GRANT|REVOKE) [^;]* (?:TO|FROM)) ("(?:[^"]|"")+"|\w+)\s*;',
    re.MULTILINE | re.IGNORECASE,
)
_BUILT_IN = frozenset({"public", "current_user", "session_user", "current_role"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeding:
    """The steps of one study, taken against a database that stands and is empty."""

    host: Host
    sandbox: Sandbox
    located: Located
    app: App

    def fill(self, listen: Endpoint, beside: Mapping[str, str]) -> None:
        """Every step, in order. ``beside``: what further placeholders mean.

        Raises: StackError with the last words of the one that failed.
        """
        values = {**beside, **placeholders(listen), "python": str(self.app.python)}
        folder = self.sandbox.directory("seed")
        env = {**environment.base(self.app, folder), **environment.filled(self.app, values)}
        for step in self.app.seed:
            if isinstance(step, Path):
                argv = self._loading(step, listen, folder)
            else:
                argv = [environment.fill(word, values, where="[app] seed") for word in step]
            completed = self.host.run(argv, timeout_s=TIMEOUT_S, cwd=self.app.directory, env=env)
            if completed.status != 0:
                error = StackError(
                    f"the seed ended with status {completed.status}",
                    where=f"[app] seed: {spelled(step)} in {self.app.directory}",
                    log=completed.tail(),
                    way_out="run it by hand against an empty database and mend what it says",
                )
                environment.mask(error, self.app)
                raise error

    def _loading(self, file: Path, listen: Endpoint, folder: Path) -> list[str]:
        """The command that loads a file, once the roles that it names are there."""
        is_plain = file.name.lower().endswith(PLAIN)
        program = self.located.folder / ("psql" if is_plain else "pg_restore")
        if not program.is_file():
            raise StackError(
                f"{program.name} is missing, which loads {file.name}",
                where=program,
                way_out="install the client programs of the same Postgres (postgresql-client)",
            )
        try:
            if file.name.lower().endswith(".gz"):
                plain = folder / file.stem
                with gzip.open(file) as source, plain.open("wb") as target:
                    shutil.copyfileobj(source, target, _CHUNK)
                file = plain
            if is_plain:
                make_roles(listen, roles_in(file.read_bytes()))
        except OSError as error:
            raise StackError(
                f"the seed cannot be read: {error}", where=file, way_out="mend or replace the file"
            ) from error
        if is_plain:
            return [str(program), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn(listen),
                    "-f", str(file)]  # fmt: skip
        return [str(program), "--no-owner", "--no-acl", "--exit-on-error", "-d", dsn(listen),
                str(file)]  # fmt: skip


def spelled(step: Seed) -> str:
    """A step as messages name it; commands as written, placeholders open."""
    return str(step) if isinstance(step, Path) else " ".join(step)


def roles_in(text: bytes) -> tuple[str, ...]:
    """Roles that a dump in SQL gives something to."""
    found = dict.fromkeys(match[1].decode(errors="replace") for match in _ROLE.finditer(text))
    plain = (name[1:-1].replace('""', '"') if name.startswith('"') else name for name in found)
    return tuple(name for name in plain if name.lower() not in _BUILT_IN)


def make_roles(listen: Endpoint, names: tuple[str, ...]) -> None:
    """Roles that are not there yet. Raises: StackError."""
    if not names:
        return
    try:
        with psycopg.connect(dsn(listen), autocommit=True) as connection:
            known = {row[0] for row in connection.execute("select rolname from pg_roles")}
            for name in names:
                if name not in known:
                    connection.execute(sql.SQL("create role {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise StackError(
            f"a role of the dump cannot be made: {error}",
            where=listen.address,
            way_out="take it out of the dump: pg_dump --no-owner --no-acl",
        ) from error


def digest_parts(app: App) -> Iterator[bytes]:
    """What the steps are made of: their words, and the content of every file that they name."""
    for step in app.seed:
        yield spelled(step).encode()
        if isinstance(step, Path):
            yield from _contents(step)
        else:
            yield from (
                part for word in step for part in _contents(app.directory / word, deep=False)
            )


def _contents(path: Path, *, deep: bool = True) -> Iterator[bytes]:
    """Digests of a file, or of the files right below a folder (an archive of pg_dump)."""
    files = sorted(path.iterdir()) if deep and path.is_dir() else [path]
    for each in files:
        if each.is_file():
            with each.open("rb") as file:
                yield hashlib.file_digest(file, "sha256").digest()
