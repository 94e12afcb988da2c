from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit import ini, postgres, python
from labcoat.stack.edit.patch import Patch, apply

PATH = Path("/deploy/file")

INI = """\
; ours
[uwsgi]
module = shop:app
  processes   =  2
env = A=1
env = B=%(module)
master
[other]
processes = 9
"""

CONF = """\
# a comment = not a setting
max_connections = 100\t\t# keep me
shared_buffers = 128MB
listen_addresses = 'a, b'
Work_Mem 4MB
shared_buffers = '256MB'
include_dir = 'conf.d'
"""

PY = """\
import multiprocessing

workers = multiprocessing.cpu_count() * 2 + 1  # the rule
bind = "127.0.0.1:8000"
timeout: int = 30
if workers > 4:
    threads = 2
keepalive = 2
keepalive = 5
"""


@pytest.mark.parametrize(
    ("levels", "before", "after"),
    [
        ({"processes": 4}, "processes   =  2", "processes   =  4"),
        ({"workers": 4}, "processes   =  2", "processes   =  4"),
        ({"master": False}, "master\n", "master = false\n"),
        ({"threads": 2}, "master\n", "master\nthreads = 2\n"),
        ({"disable-logging": True}, "master\n", "master\ndisable-logging = true\n"),
        ({"processes": 2, "master": True}, "", ""),
    ],
)
def test_uwsgi(levels: dict[str, Level], before: str, after: str) -> None:
    edited = ini.assign(INI, levels, path=PATH)
    assert edited == INI.replace(before, after, 1)
    assert ini.assign(edited, levels, path=PATH) == edited


def test_uwsgi_reads_what_is_in_force() -> None:
    assert ini.read(INI, "workers", path=PATH) == "2"
    assert ini.read(INI, "env", path=PATH) == "B=%(module)"
    assert ini.read(INI, "listen", path=PATH) is None


def test_uwsgi_without_its_section_is_told() -> None:
    with pytest.raises(RenderError, match=r"no \[uwsgi\] section"):
        ini.settings("[other]\na = 1\n", path=PATH)


def test_uwsgi_section_that_is_not_closed_is_told_with_its_line() -> None:
    with pytest.raises(RenderError) as caught:
        ini.settings("[uwsgi]\na = 1\n[oth\n", path=PATH)
    assert caught.value.where == f"{PATH}:3"


@pytest.mark.parametrize(
    ("levels", "before", "after"),
    [
        ({"max_connections": 200}, "= 100", "= 200"),
        ({"shared_buffers": "1GB"}, "'256MB'", "1GB"),
        ({"listen_addresses": "*"}, "'a, b'", "'*'"),
        ({"work_mem": "16MB"}, "Work_Mem 4MB", "Work_Mem 16MB"),
        ({"jit": False}, "'conf.d'\n", "'conf.d'\njit = off\n"),
        ({"max_connections": 100, "shared_buffers": "256MB"}, "", ""),
    ],
)
def test_postgres(levels: dict[str, Level], before: str, after: str) -> None:
    edited = postgres.assign(CONF, levels, path=PATH)
    assert edited == CONF.replace(before, after, 1)
    assert postgres.assign(edited, levels, path=PATH) == edited


def test_postgres_reads_the_last_one() -> None:
    assert postgres.read(CONF, "shared_buffers", path=PATH) == "256MB"
    assert postgres.read(CONF, "listen_addresses", path=PATH) == "a, b"
    assert postgres.read(CONF, "jit", path=PATH) is None


@pytest.mark.parametrize("line", ["= 3", "a = 'open", "a b c", "shared_buffers ="])
def test_postgres_line_that_is_no_setting_is_told(line: str) -> None:
    with pytest.raises(RenderError) as caught:
        postgres.settings(f"# first\n{line}\n", path=PATH)
    assert caught.value.where == f"{PATH}:2"


@pytest.mark.parametrize(
    ("levels", "before", "after"),
    [
        ({"bind": "unix:/x"}, '"127.0.0.1:8000"', "'unix:/x'"),
        ({"workers": 4}, "multiprocessing.cpu_count() * 2 + 1", "4"),
        ({"timeout": 60}, "int = 30", "int = 60"),
        ({"keepalive": 75}, "keepalive = 5", "keepalive = 75"),
        ({"threads": 8}, "keepalive = 5\n", "keepalive = 5\nthreads = 8\n"),
        ({"preload_app": True}, "keepalive = 5\n", "keepalive = 5\npreload_app = True\n"),
        ({"keepalive": 5, "timeout": 30}, "", ""),
    ],
)
def test_gunicorn(levels: dict[str, Level], before: str, after: str) -> None:
    edited = python.assign(PY, levels, path=PATH)
    assert edited == PY.replace(before, after, 1)
    assert python.assign(edited, levels, path=PATH) == edited


@pytest.mark.parametrize(
    "odd", ["a = 1\x0c\n", "a = 'x\u2028y'\n", "a = 'x\x0by\x85'\n", "a = 1\r\n"]
)
def test_gunicorn_lines_end_where_pythons_do(odd: str) -> None:
    text = f"{odd}workers = 1\nb = 2\n"
    after = python.assign(text, {"workers": 4}, path=PATH)
    assert after == text.replace("= 1\nb", "= 4\nb")


def test_gunicorn_reads_only_what_is_literal() -> None:
    assert python.read(PY, "keepalive", path=PATH) == 5
    assert python.read(PY, "workers", path=PATH) is None
    assert python.read(PY, "nothing", path=PATH) is None


def test_gunicorn_file_that_is_no_python_is_told_with_its_line() -> None:
    with pytest.raises(RenderError) as caught:
        python.parse("workers = 1\nbind = = 2\n", path=PATH)
    assert caught.value.where == f"{PATH}:2"


def test_a_true_is_not_a_one() -> None:
    assert (
        python.assign("reuse_port = 1\n", {"reuse_port": True}, path=PATH) == "reuse_port = True\n"
    )


KEYS = st.sampled_from(["alpha", "beta", "gamma"])
LINE = st.one_of(
    st.tuples(KEYS, st.integers(0, 99)).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    st.sampled_from(["", "# note", "   ", "\t# alpha = 7"]),
)
TEXTS = st.tuples(st.lists(LINE, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans()).map(
    lambda drawn: drawn[1].join(drawn[0]) + (drawn[1] if drawn[2] else "")
)


@given(TEXTS, KEYS, st.integers(0, 99), st.integers(0, 99))
def test_postgres_undo_gives_back_every_byte(text: str, key: str, one: int, other: int) -> None:
    start = postgres.assign(text, {key: one}, path=PATH)
    changed = postgres.assign(start, {key: other}, path=PATH)
    assert postgres.read(changed, key, path=PATH) == str(other)
    assert postgres.assign(changed, {key: one}, path=PATH) == start
    assert changed.count("#") == text.count("#")


@given(TEXTS, KEYS, st.integers(0, 99), st.integers(0, 99))
def test_uwsgi_undo_gives_back_every_byte(text: str, key: str, one: int, other: int) -> None:
    start = ini.assign(f"[uwsgi]\n{text}", {key: one}, path=PATH)
    changed = ini.assign(start, {key: other}, path=PATH)
    assert ini.read(changed, key, path=PATH) == str(other)
    assert ini.assign(changed, {key: one}, path=PATH) == start


@given(st.lists(st.tuples(KEYS, st.integers(0, 99)), max_size=5), KEYS, st.integers(0, 99))
def test_gunicorn_levels_are_in_force_when_the_module_has_run(
    lines: list[tuple[str, int]], key: str, level: int
) -> None:
    text = "".join(f"{name} = {value}  # ünï\n" for name, value in lines)
    edited = python.assign(text, {key: level}, path=PATH)
    names: dict[str, object] = {}
    exec(compile(ast.parse(edited), "x", "exec"), names)
    assert names[key] == level
    for name, value in dict(lines).items():
        assert name == key or names[name] == value


def test_overlapping_patches_are_a_defect() -> None:
    with pytest.raises(ValueError, match="overlap"):
        apply("abc", [Patch(0, 2, "x"), Patch(1, 3, "y")])
