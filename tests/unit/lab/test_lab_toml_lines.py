from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from labcoat.lab.study.toml_lines import KeyPath, key_lines, nearest_line

TABLES = """\
# a comment [not.a.table]
name = "x"   # line 2

[app]
wsgi = "shop:app"
env = { A = "a, b = {c}", "B C" = 'x # y', D.E = 1 }
[a.b]
c.d = 1
"quoted key".'and.dots' = true
[[jobs]]
name = "first"
[[jobs]]
name = "second"
[jobs.deep]
x = [1, [2, 3], { y = 4 }]
[[jobs.parts]]
z = 1979-05-27T07:32:00Z
[[jobs.parts]]
z = +inf
"""

MULTILINE = '''\
text = """
key = 1  # not a key
"" quotes "" inside ""\\"""
"""
raw = \'\'\'
[no.table]
\'\'\'
list = [   # comment ]
  1,
  # another
  { a = "]" },
  """
x""",
]
after = 1
'''


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        (TABLES, ("name",), 2),
        (TABLES, ("app",), 4),
        (TABLES, ("app", "wsgi"), 5),
        (TABLES, ("app", "env", "A"), 6),
        (TABLES, ("app", "env", "B C"), 6),
        (TABLES, ("app", "env", "D", "E"), 6),
        (TABLES, ("a",), 7),
        (TABLES, ("a", "b"), 7),
        (TABLES, ("a", "b", "c", "d"), 8),
        (TABLES, ("a", "b", "quoted key", "and.dots"), 9),
        (TABLES, ("jobs",), 10),
        (TABLES, ("jobs", 0), 10),
        (TABLES, ("jobs", 0, "name"), 11),
        (TABLES, ("jobs", 1), 12),
        (TABLES, ("jobs", 1, "name"), 13),
        (TABLES, ("jobs", 1, "deep"), 14),
        (TABLES, ("jobs", 1, "deep", "x", 1, 1), 15),
        (TABLES, ("jobs", 1, "deep", "x", 2, "y"), 15),
        (TABLES, ("jobs", 1, "parts", 0, "z"), 17),
        (TABLES, ("jobs", 1, "parts", 1, "z"), 19),
        (MULTILINE, ("text",), 1),
        (MULTILINE, ("raw",), 5),
        (MULTILINE, ("list",), 8),
        (MULTILINE, ("list", 0), 9),
        (MULTILINE, ("list", 1, "a"), 11),
        (MULTILINE, ("list", 2), 12),
        (MULTILINE, ("after",), 15),
    ],
)
def test_a_key_is_found_on_its_line(text: str, path: KeyPath, line: int) -> None:
    assert key_lines(text)[path] == line
    assert key_lines(text.replace("\n", "\r\n"))[path] == line


@pytest.mark.parametrize("text", [TABLES, MULTILINE, "", "\n\n# only a comment"])
def test_the_paths_are_those_of_the_parser(text: str) -> None:
    assert set(key_lines(text)) == paths_of(tomllib.loads(text))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("app", "wsgi"), (("app", "wsgi"), 5)),
        (("app", "nothing", "below"), (("app",), 4)),
        (("nothing",), ((), None)),
    ],
)
def test_the_nearest_key_stands_for_an_absent_one(
    path: KeyPath, expected: tuple[KeyPath, int | None]
) -> None:
    assert nearest_line(key_lines(TABLES), path) == expected


@pytest.mark.parametrize("text", ["= 1", "a = "])
def test_what_the_parser_would_refuse_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="at offset"):
        key_lines(text)


TEXTS = st.text(alphabet="ab .\"'\\#[]{}=,\n\té", max_size=6)
VALUES = st.recursive(
    st.integers(min_value=-(2**60), max_value=2**60) | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_whatever_is_written_every_path_is_found(tables: dict[str, Any]) -> None:
    text = tomlkit.dumps(tables)
    assert set(key_lines(text)) == paths_of(tomllib.loads(text))


def paths_of(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Every key path of a parsed document."""
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    paths = {(*path, key) for key, _ in children}
    for key, child in children:
        paths |= paths_of(child, (*path, key))
    return paths
