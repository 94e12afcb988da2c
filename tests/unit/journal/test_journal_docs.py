"""docs/reference/journal.md lists every table and column, with its type, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Double, LargeBinary, String
from sqlalchemy.types import TypeEngine

from labcoat.journal import schema
from labcoat.journal.columns import RECIPES
from labcoat.journal.documents import HARMLESS_HEADERS
from labcoat.journal.trouble import TROUBLES, UNREACHABLE
from labcoat.model.load import Outcome

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "journal.md").read_text()
KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (schema.Utc, "instant"),
    (Boolean, "boolean"),
    (LargeBinary, "bytes"),
    (BigInteger, "whole"),
    (Double, "real"),
    (String, "text"),
)


def kind(column: Column[Any]) -> str:
    return next(word for type_, word in KINDS if isinstance(column.type, type_))


def test_every_table_and_column_is_listed_with_its_type() -> None:
    sections = re.split(r"^### ", PAGE.split("## Raw records")[0], flags=re.MULTILINE)[1:]
    listed = {
        section.split("\n", 1)[0]: re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)
        for section in sections
    }
    assert listed == {
        table.name: [(column.name, kind(column)) for column in table.columns]
        for table in schema.metadata.tables.values()
    }


def test_the_format_of_records_is_told() -> None:
    text = PAGE.split("## Raw records")[1]
    listed = re.findall(r"`(\w+)`", text.split("| `type`")[0])
    assert listed[-len(RECIPES) :] == [recipe.name for recipe in RECIPES]
    for outcome in Outcome:
        told = f"{outcome.value} {outcome.name.replace('_', ' ')}"
        assert told.lower() in " ".join(text.split()).lower()


def test_every_trouble_is_listed() -> None:
    table = PAGE.split("## When it goes wrong")[1]
    for trouble in (*TROUBLES, UNREACHABLE):
        if trouble.codes[:1] != ("SQLITE_CONSTRAINT",):  # a defect, never the user's
            words = trouble.what.removeprefix("the database server ")
            assert words in table, trouble.what


def test_the_harmless_headers_are_listed() -> None:
    listed = set(re.findall(r"`([A-Z][A-Za-z-]+)`", PAGE.split("## Ids and times")[0]))
    assert {name.lower() for name in listed} >= HARMLESS_HEADERS
