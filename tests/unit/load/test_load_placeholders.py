"""Placeholders: what parses, what is refused, what is drawn."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

from labcoat.errors import LabcoatError, LoadError, UsageError
from labcoat.load.placeholders import Choice, Uuid, WholeNumber, draw, is_literal, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("/plain", ("/plain",)),
        ("{{literal}}", ("{literal}",)),
        ("/a/{1..500}/b", ("/a/", WholeNumber(1, 500), "/b")),
        ("{-5..5}", (WholeNumber(-5, 5),)),
        ("{7..7}", (WholeNumber(7, 7),)),
        ("{uuid}{a|b|c}", (Uuid(), Choice(("a", "b", "c")))),
        ("{a|}", (Choice(("a", "")),)),
        ('{{"id": {1..2}}}', ('{"id": ', WholeNumber(1, 2), "}")),
    ],
)
def test_parse(text: str, expected: tuple[object, ...]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "error_class", "message"),
    [
        ("{", UsageError, "a brace without its partner at column 1"),
        ("/a}", UsageError, "a brace without its partner at column 3"),
        ("{5..1}", UsageError, "the range {5..1} is empty"),
        ("{nonsense}", UsageError, "no such placeholder: {nonsense}"),
        ("{}", UsageError, "no such placeholder: {}"),
        ('{"id": 1}', UsageError, 'no such placeholder: {"id": 1}'),
        ("{file:missing.txt}", LoadError, "a file of the workload cannot be read"),
        ("{file:empty.txt}", LoadError, "a file of the workload is empty"),
    ],
)
def test_refused(tmp_path: Path, text: str, error_class: type[LabcoatError], message: str) -> None:
    (tmp_path / "empty.txt").write_text("\n  \n")
    with pytest.raises(error_class) as refused:
        parse(text, base_dir=str(tmp_path))
    assert message in refused.value.what
    assert refused.value.where
    assert refused.value.way_out


def test_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("one\n\n two \nthree")
    assert parse("{file:ids.txt}", base_dir=str(tmp_path)) == (Choice(("one", "two", "three")),)


def test_drawn_texts() -> None:
    text = parse("/{1..3}/{a|b}/{uuid}")
    first, again = (draw(text, np.random.default_rng(4), 200) for _ in range(2))
    assert first == again
    numbers, words, ids = zip(*(value[1:].split("/") for value in first), strict=True)
    assert set(numbers) == {"1", "2", "3"}
    assert set(words) == {"a", "b"}
    assert len({uuid.UUID(each) for each in ids}) == 200
    assert {uuid.UUID(each).version for each in ids} == {4}


def test_nothing_to_draw() -> None:
    rng = np.random.default_rng(1)
    assert draw(parse(""), rng, 2) == ["", ""]
    assert draw(parse("x"), rng, 2) == ["x", "x"]
    assert is_literal(parse("/x{{}}"))
    assert not is_literal(parse("/x{1..2}"))
