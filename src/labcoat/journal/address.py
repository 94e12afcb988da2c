"""Where a journal is: a file, or a database that a team shares; never its password."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from labcoat.errors import JournalError

MASK = "***"
POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
WAY_OUT = "name a file (.labcoat/journal.db) or postgresql://user:password@host:5432/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a journal is. ``path`` is None for a database server. Prints masked."""

    url: URL
    path: Path | None = None

    @classmethod
    def of(cls, where: Path | str) -> Address:
        """The address that a person wrote. Raises: JournalError."""
        text = str(where)
        if isinstance(where, Path) or "://" not in text:
            return cls(url=URL.create("sqlite", database=text), path=Path(text))
        scheme, _, rest = text.partition("://")
        if scheme not in POSTGRES:
            raise JournalError(
                f"labcoat keeps no journal in {scheme!r}",
                where=f"{scheme}://{MASK}",
                way_out=WAY_OUT,
            )
        try:
            url = make_url(f"postgresql+psycopg://{rest}")
        except (ArgumentError, ValueError) as error:
            raise JournalError(
                "the journal's URL cannot be understood",
                where=f"{scheme}://{MASK}",
                way_out=WAY_OUT,
            ) from error
        return cls(url=url)

    def __str__(self) -> str:
        """The path, or the URL with every password masked."""
        if self.path is not None:
            return str(self.path)
        shown = self.url.set(drivername="postgresql")
        if "password" in shown.query:
            shown = shown.update_query_dict({"password": MASK})
        return shown.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def mask(self, text: str) -> str:
        """The text with this address' passwords, in every spelling, masked."""
        for secret in self._secrets():
            text = text.replace(secret, MASK)
        return text

    def _secrets(self) -> list[str]:
        given = [str(self.url.password)] if self.url.password is not None else []
        query = self.url.query.get("password", ())
        given += [query] if isinstance(query, str) else list(query)
        spelled = {form for secret in given for form in (secret, quote(secret, safe=""))}
        return sorted((form for form in spelled if form), key=len, reverse=True)
