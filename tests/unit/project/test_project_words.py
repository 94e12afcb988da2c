from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PROSE = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "changelog.d/*.md")
    for path in ROOT.glob(pattern)
    if path.name not in {"glossary.md", "0001-words.md"}  # they say which words are not used
)

# In names: as a whole word of the name.
BANNED_IN_NAMES = {"best", "significant", "score", "scores", "util", "utils", "manager", "helper"}
BANNED_IN_NAMES |= {"helpers"}
# In prose: "context manager" is Python's own word; "best" in a proper name would be too.
BANNED_IN_PROSE = re.compile(
    r"\b(?:best|significant|significantly|scores?|utils?|helpers?|(?<!context )managers?"
    r"|(?:a|the|each|every|per|one|this|another) runs?(?= |\.|,))\b",
    re.IGNORECASE,
)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|^ {4}.*$", re.MULTILINE | re.DOTALL)


def defined_names(tree: ast.AST) -> Iterator[str]:
    """The names that a module gives to things of its own."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


def words(name: str) -> list[str]:
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower().split("_")


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(ROOT / "src")) for p in SOURCES])
def test_no_banned_word_in_a_name(path: Path) -> None:
    named = {*defined_names(ast.parse(path.read_text())), path.stem}
    if "load" not in path.parts:  # there it is asyncio's word for bytes off the wire
        assert "data" not in named
    assert {name for name in named if set(words(name)) & BANNED_IN_NAMES} == set()


@pytest.mark.parametrize("path", PROSE, ids=[str(p.relative_to(ROOT)) for p in PROSE])
def test_no_banned_word_in_prose(path: Path) -> None:
    text = CODE.sub("", path.read_text())
    assert [match[0] for match in BANNED_IN_PROSE.finditer(text)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The best run was a significant one.", ["best", "significant"]),
        ("each run of it", ["each run"]),
        ("a context manager, a manager", ["manager"]),
        ("helpful; `best`; run it; he runs", []),
    ],
)
def test_the_search_for_words_finds_them(text: str, found: list[str]) -> None:
    assert [match[0] for match in BANNED_IN_PROSE.finditer(CODE.sub("", text))] == found


def test_the_search_for_names_finds_them() -> None:
    tree = ast.parse("class TaskManager: pass\ndef f(best_arm): data = 1")
    assert set(defined_names(tree)) == {"TaskManager", "f", "best_arm", "data"}
    assert words("TaskManager") == ["task", "manager"]
