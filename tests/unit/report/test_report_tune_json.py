"""docs/reference/tune-json.md names every key of the document, and no other."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from labcoat.lab.experiment.guard import BROKEN, HELD, NOT_SHOWN
from labcoat.model.baseline import Baseline
from labcoat.model.finding import ExperimentFinding
from labcoat.model.stats import Verdict
from labcoat.model.tune import SCHEMA, TuneFinding
from labcoat.report.tune.campaign import OUTCOMES
from labcoat.report.tune.rest import GUARD_MARKS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "tune-json.md"


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


ELSEWHERE = {
    **{kind.__name__: "try-json.md" for kind in nested(ExperimentFinding)},
    **{kind.__name__: "baseline-json.md" for kind in {*nested(Baseline)} - {*nested(ExperimentFinding)}},
}  # fmt: skip
"""Which other page tells of a document that this one holds."""

KINDS = {k.__name__: k for k in nested(TuneFinding) if k.__name__ not in ELSEWHERE}


def sections() -> dict[str, str]:
    """Heading -> the text below it."""
    parts = re.split(r"^## (\w+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_key_is_documented_in_order_and_no_other() -> None:
    documented = {
        name: re.findall(r"^\| `(\w+)` \| \S.* \|$", text, re.MULTILINE)
        for name, text in sections().items()
    }
    assert documented == {
        name: [each.name for each in dataclasses.fields(kind)] for name, kind in KINDS.items()
    }


def test_a_key_that_holds_a_document_links_to_it() -> None:
    for name, kind in KINDS.items():
        rows = sections()[name].splitlines()
        for key, hint in get_type_hints(kind).items():
            row = next(line for line in rows if line.startswith(f"| `{key}` "))
            for part in held(hint):
                page = ELSEWHERE.get(part.__name__, "")
                assert f"({page}#{part.__name__.lower()})" in row, (name, key)


def row_of(key: str) -> list[str]:
    """The words that the first row of this key names, the key itself left out."""
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{key}` "))
    return re.findall(r"`([\w ]+)`", row)[1:]


def test_every_word_of_an_outcome_is_documented() -> None:
    assert row_of("outcome") == list(OUTCOMES)
    words = next(text for name, text in sections().items() if name == "Considered")
    row = next(line for line in words.splitlines() if line.startswith("| `outcome` "))
    told = re.findall(r"`(\w+)`", row)[1:]
    assert told == [*(verdict.value for verdict in Verdict), "skipped", "undecided"]


def test_every_answer_of_a_guardrail_is_known_to_the_report() -> None:
    assert set(GUARD_MARKS) == {HELD, BROKEN, NOT_SHOWN} - {"not shown"}


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

    check(document, TuneFinding)
