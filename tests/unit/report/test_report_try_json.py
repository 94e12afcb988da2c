"""docs/reference/try-json.md names every key of the document, and no other."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from labcoat.lab.experiment.guard import BROKEN, HELD, NOT_SHOWN
from labcoat.model.finding import SCHEMA, TryFinding
from labcoat.model.stats import Verdict

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "try-json.md"


def held(hint: Any) -> list[type[Any]]:
    """The dataclasses that a field holds."""
    return [
        part
        for part in (hint, *get_args(hint))
        if dataclasses.is_dataclass(part) and isinstance(part, type)
    ]


def nested(kind: type[Any]) -> Iterator[type[Any]]:
    """A dataclass and every dataclass that its fields hold, each as often as it is met."""
    yield kind
    for hint in get_type_hints(kind).values():
        for part in held(hint):
            yield from nested(part)


KINDS = {kind.__name__: kind for kind in nested(TryFinding)}


def sections() -> dict[str, str]:
    """Heading -> the text below it."""
    parts = re.split(r"^## (\w+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_key_is_documented_in_order_and_no_other() -> None:
    documented = {
        name: re.findall(r"^\| `(\w+)` \| \S.* \|$", text, re.MULTILINE)
        for name, text in sections().items()
    }
    fields = {name: [each.name for each in dataclasses.fields(k)] for name, k in KINDS.items()}
    assert set(documented) == set(fields)
    assert documented == fields


def test_a_key_that_holds_a_document_links_to_it() -> None:
    for name, kind in KINDS.items():
        rows = sections()[name].splitlines()
        for key, hint in get_type_hints(kind).items():
            row = next(line for line in rows if line.startswith(f"| `{key}` "))
            assert [k for k in held(hint) if f"(#{k.__name__.lower()})" not in row] == []


def test_every_word_of_an_answer_is_documented() -> None:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| `verdict` "))
    assert re.findall(r"`(\w+)`", row)[1:] == [verdict.value for verdict in Verdict]
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith("| `answer` "))
    assert re.findall(r"`([\w ]+)`", row)[1:] == [HELD, BROKEN, NOT_SHOWN]


def test_the_example_is_of_the_document() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    document = json.loads(example)
    assert document["schema"] == SCHEMA

    def check(part: dict[str, Any], kind: type[Any]) -> None:
        hints = get_type_hints(kind)
        assert set(part) <= set(hints)
        for key, value in part.items():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    (of,) = held(hints[key])
                    check(each, of)

    check(document, TryFinding)
