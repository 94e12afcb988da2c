"""Where a journal is, and that its password is never told."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import JournalError
from labcoat.journal.address import Address

URL = "postgresql://labcoat:p%40ss%2Fword@db.example:5432/team"


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        (Path(".labcoat/journal.db"), ".labcoat/journal.db"),
        ("journal.db", "journal.db"),
        (URL, "postgresql://labcoat:***@db.example:5432/team"),
        ("postgres://labcoat@db/team", "postgresql://labcoat@db/team"),
        ("postgresql+psycopg://u:x@db/team", "postgresql://u:***@db/team"),
        ("postgresql://db/team?password=hunter2", "postgresql://db/team?password=%2A%2A%2A"),
    ],
)
def test_an_address_prints_without_its_password(where: Path | str, shown: str) -> None:
    address = Address.of(where)
    assert str(address) == shown
    for secret in ("p@ss/word", "p%40ss%2Fword", "hunter2"):
        assert secret not in repr(address)


@pytest.mark.parametrize(
    "where",
    [
        "mysql://root:hunter2@db/x",
        "sqlite:///journal.db",
        "postgresql://u:hunter2@db:port/x",
        "://hunter2",
    ],
)
def test_other_urls_are_refused_without_their_password(where: str) -> None:
    with pytest.raises(JournalError) as caught:
        Address.of(where)
    assert caught.value.way_out is not None
    assert "postgresql://" in caught.value.way_out
    assert "hunter2" not in str(caught.value)


def test_every_spelling_of_the_password_is_masked() -> None:
    text = "auth as p@ss/word failed: password=p%40ss%2Fword"
    assert Address.of(URL).mask(text) == "auth as *** failed: password=***"
    by_query = Address.of("postgresql://db/team?password=hunter2")
    assert by_query.mask("hunter2!") == "***!"
    assert Address.of("journal.db").mask("journal.db") == "journal.db"
