"""docs/reference/baseline-json.md names every key of the document, and no other."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from labcoat.model.baseline import SCHEMA, Baseline

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "baseline-json.md"


def nested(kind: type[Any]) -> Iterator[type[Any]]:
    """A dataclass and every dataclass that its fields hold, each as often as it is met."""
    yield kind
    for hint in get_type_hints(kind).values():
        for part in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(part) and isinstance(part, type):
                yield from nested(part)


KINDS = {kind.__name__: kind for kind in nested(Baseline)}


def tables() -> dict[str, list[str]]:
    """Heading -> the keys of the table below it, in order."""
    parts = re.split(r"^## (\w+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {
        name: re.findall(r"^\| `(\w+)` \| \S.* \|$", text, re.MULTILINE)
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_key_is_documented_in_order_and_no_other() -> None:
    actual = {name: [each.name for each in dataclasses.fields(k)] for name, k in KINDS.items()}
    assert tables() == actual


def test_a_key_that_holds_a_document_links_to_it() -> None:
    text = PAGE.read_text()
    for name, kind in KINDS.items():
        for key, hint in get_type_hints(kind).items():
            held = [p.__name__ for p in (hint, *get_args(hint)) if dataclasses.is_dataclass(p)]  # type: ignore[union-attr]
            section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
            row = next(line for line in section.splitlines() if line.startswith(f"| `{key}` "))
            assert [each for each in held if f"(#{each.lower()})" not in row] == []


def test_the_example_is_of_the_document() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    document = json.loads(example)
    assert document["schema"] == SCHEMA

    def check(part: dict[str, Any], kind: type[Any]) -> None:
        hints = get_type_hints(kind)
        assert set(part) <= set(hints)
        for key, value in part.items():
            if isinstance(value, dict):
                check(value, hints[key])

    check(document, Baseline)
