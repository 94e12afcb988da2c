"""The user's own files with a variant in force, nothing rewired."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcoat.errors import RenderError
from labcoat.model.study import ComponentSpec, Study
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack.edit import toml
from labcoat.stack.edits import edited
from labcoat.stack.runtime import collector_lines
from labcoat.testing.stack import tiny_study

FILE = Path("labcoat.toml")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("[stack]\ngranian = true  # ours\n", "[stack]\ngranian = {options = {workers = 4}}  # ours\n"),
        ("[stack]\ngranian = {}\n", "[stack]\ngranian = {options = {workers = 4}}\n"),
        ("[stack]\ngranian = { options = { workers = 1 } } # c\n", "[stack]\ngranian = { options = { workers = 4 } } # c\n"),
        ("[stack.granian]\noptions = { workers = 1, http = '1' }\n", "[stack.granian]\noptions = { workers = 4, http = '1' }\n"),
        ("[stack.granian.options]\nworkers = 1 # n\n[app]\n", "[stack.granian.options]\nworkers = 4 # n\n[app]\n"),
        ("stack = { granian = true }", "stack = { granian = {options = {workers = 4}} }"),
        ("stack.granian.options.workers = 1\n", "stack.granian.options.workers = 4\n"),
        ("\ufeff[stack]\r\ngranian = true\r\n", "\ufeff[stack]\r\ngranian = {options = {workers = 4}}\r\n"),
        ("[stack.granian.options]\r\nhttp = '1'\r\n", "[stack.granian.options]\r\nhttp = '1'\r\nworkers = 4\r\n"),
    ],
)  # fmt: skip
def test_options_are_set_wherever_the_table_stands(text: str, after: str) -> None:
    assert toml.assign(text, "granian", {"workers": 4}, path=FILE) == after
    assert toml.assign(after, "granian", {"workers": 4}, path=FILE) == after
    assert toml.assign(text, "granian", {}, path=FILE) == text


def test_an_option_keeps_the_spelling_that_it_has() -> None:
    text = "[stack]\ngranian = { options = { blocking_threads = 1 } }\n"
    after = toml.assign(text, "granian", {"blocking-threads": 2}, path=FILE)
    assert after == text.replace("= 1", "= 2")


@pytest.mark.parametrize("text", ["[stack]\nnginx = 'x'\n", "[stack]\ngranian = 4\n", "[stack", ""])
def test_a_file_that_cannot_be_edited_says_so(text: str) -> None:
    with pytest.raises(RenderError, match="cannot be edited") as caught:
        toml.assign(text, "granian", {"workers": 4}, path=FILE)
    assert "[stack.granian.options]" in (caught.value.way_out or "")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True),
        st.one_of(st.booleans(), st.integers(-9, 9999), st.text(max_size=9)),
        max_size=4,
    ),
    st.sampled_from(["granian = true", "granian = { options = { a = 1 } }", "granian = {}"]),
)
def test_only_the_options_change(levels: dict[str, Level], line: str) -> None:
    text = f"# top\n[stack] # c\n{line} # d\nnginx = 'x'\n\n[app]\nwsgi = 'a:b'\n"
    after = tomllib.loads(toml.assign(text, "granian", levels, path=FILE))
    before = tomllib.loads(text)
    given_ = before["stack"]["granian"]
    options = {} if given_ is True else given_.get("options", {})
    if levels:
        before["stack"]["granian"] = {"options": {**options, **levels}}
    assert after == before


Stack = Callable[..., Study]


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A study of one server with a file, options, both or neither, and its labcoat.toml."""

    def of(name: str, text: str | None = None, **options: Level) -> Study:
        names = {"uwsgi": "uwsgi.ini", "gunicorn": "gunicorn.conf.py"}
        file = None
        if text is not None:
            file = tmp_path / names[name]
            file.write_bytes(text.encode())
        spec = ComponentSpec(name=name, file=file, options=tuple(options.items()))
        study = tiny_study(tmp_path, (spec,))
        said = ", ".join(f"{key} = {str(level).lower()}" for key, level in options.items())
        inner = ([f'file = "{file.name}"'] if file else []) + [f"options = {{ {said} }}"]
        study.file.write_text(f"[stack]\n{name} = {{ {', '.join(inner)} }}\n")
        return study

    return of


def after(study: Study, levels: Mapping[str, Level]) -> dict[str, str]:
    return {file.path.name: file.after for file in edited(study, Variant.of(levels)).changed}


def test_a_level_goes_where_the_one_in_force_is_said(stack: Stack) -> None:
    study = stack("uwsgi", "[uwsgi]\nprocesses = 1\nmaster = true\n", workers=2)
    found = edited(study, Variant.of({"uwsgi.processes": 4, "uwsgi.master": False}))
    assert {file.path.name: file.after for file in found.changed} == {
        "uwsgi.ini": "[uwsgi]\nprocesses = 1\nmaster = false\n",
        "labcoat.toml": '[stack]\nuwsgi = { file = "uwsgi.ini", options = { workers = 4 } }\n',
    }
    assert found.by_hand == ("uwsgi: the line workers = 4 below [uwsgi] in its ini file",)


def test_a_level_that_is_in_force_already_changes_nothing(stack: Stack) -> None:
    study = stack("uwsgi", "[uwsgi]\nworkers = 4\nmaster = yes\n", threads=2)
    levels = {"uwsgi.processes": 4, "uwsgi.master": True, "uwsgi.threads": 2}
    found = edited(study, Variant.of(levels))
    assert (found.changed, found.by_hand) == ((), ())
    assert [file.path.name for file in found.files] == ["uwsgi.ini", "labcoat.toml"]


@pytest.mark.parametrize(
    ("server", "levels", "words"),
    [
        ("granian", {"granian.workers": 4}, "granian: --workers 4 on its command line, where you start it"),
        ("granian", {"granian.respawn-failed-workers": True}, "granian: --respawn-failed-workers on its"),
        ("gunicorn", {"gunicorn.worker_class": "gthread"}, "gunicorn: the line worker_class = 'gthread' in"),
        ("uwsgi", {"uwsgi.master": True}, "uwsgi: the line master = true below [uwsgi]"),
        ("uwsgi", {"python.PYTHONMALLOC": "malloc"}, "PYTHONMALLOC=malloc in the environment that uwsgi"),
        ("uwsgi", {"python.PYTHONUNBUFFERED": False}, "no PYTHONUNBUFFERED in the environment that uwsgi"),
        ("uwsgi", {"python.gc.threshold": 9}, "gc.set_threshold(9) at the top of the module tiny"),
        ("uwsgi", {"python.gc.freeze": True}, "@uwsgidecorators.postfork"),
        ("gunicorn", {"python.gc.freeze": True}, "os.register_at_fork("),
        ("uwsgi", {"app.pool": 5}, "app.pool = 5: where the app sets it"),
    ],
)  # fmt: skip
def test_what_no_file_of_the_users_holds_is_said(
    stack: Stack, server: str, levels: dict[str, Level], words: str
) -> None:
    (said,) = edited(stack(server), Variant.of(levels)).by_hand
    assert words in said


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("[app]\nwsgi = 'a:b'\n", "[app]\nwsgi = 'a:b'\nenv = {POOL = \"4\"}\n"),
        ("[app]\nenv = { KEY = 'k', POOL = '8' } # c\n", "[app]\nenv = { KEY = 'k', POOL = \"4\" } # c\n"),
        ("[app.env]\nKEY = 'k' # c\n", "[app.env]\nKEY = 'k' # c\nPOOL = \"4\"\n"),
    ],
)  # fmt: skip
def test_the_pool_is_set_in_the_apps_environment(tmp_path: Path, text: str, after: str) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="uwsgi"),))
    study = replace(study, app=replace(study.app, pool="POOL"))
    study.file.write_text(text)
    found = edited(study, Variant.of({"app.pool": 4}))
    assert [file.after for file in found.changed] == [after]
    assert found.by_hand == (
        "app.pool: POOL=4 in the environment that uwsgi is started with (systemd:"
        " Environment=POOL=4; a container: ENV POOL=4)",
    )


def test_a_pool_that_cannot_be_edited_in_is_said(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="uwsgi"),))
    study = replace(study, app=replace(study.app, pool="POOL"))
    study.file.write_text("app = 1\n")
    found = edited(study, Variant.of({"app.pool": 4}))
    assert found.changed == ()
    assert found.by_hand[-1] == 'labcoat.toml: POOL = "4" in env under [app]'


def test_without_a_study_file_options_are_words(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="granian"),))
    found = edited(study, Variant.of({"granian.http": "1"}))
    assert found.files == ()
    assert found.by_hand[-1] == 'labcoat.toml: http = "1" under [stack.granian.options]'
    study.file.write_text("[stack]\nother = true\n")
    assert edited(study, Variant.of({"granian.http": "1"})).by_hand == found.by_hand


@pytest.mark.parametrize(
    ("knob", "what"),
    [("nginx.gzip", "no nginx in this stack"), ("niginx.gzip", "no niginx that labcoat knows")],
)
def test_a_level_of_nothing_is_refused(stack: Stack, knob: str, what: str) -> None:
    with pytest.raises(RenderError, match=what) as caught:
        edited(stack("uwsgi"), Variant.of({knob: 1}))
    assert caught.value.way_out


NGINX = "events {}\nhttp {\n  include conf.d/*.conf;\n  server { listen 80; location / { proxy_pass http://127.0.0.1:1; } }\n}\n"


def including(folder: Path, *names: str) -> Study:
    (folder / "nginx.conf").write_text(NGINX)
    (folder / "conf.d").mkdir()
    for name in names:
        (folder / "conf.d" / name).write_text("gzip off; # 1\n")
    spec = ComponentSpec(name="nginx", file=folder / "nginx.conf")
    study = tiny_study(folder, (spec, ComponentSpec(name="gunicorn")))
    study.file.write_text("[stack]\ngunicorn = true\n")
    return study


def test_an_included_file_is_edited_where_the_directive_stands(tmp_path: Path) -> None:
    study = including(tmp_path, "a.conf", "b.conf")
    found = edited(study, Variant.of({"nginx.gzip": True, "nginx.sendfile": True}))
    texts = {file.path.name: file.after for file in found.changed}
    assert texts.pop("nginx.conf").splitlines()[3:] == [
        *NGINX.splitlines()[3:4],
        "  sendfile on;",
        "}",
    ]
    assert texts == {"a.conf": "gzip on; # 1\n", "b.conf": "gzip on; # 1\n"}
    names = ["nginx.conf", "a.conf", "b.conf", "labcoat.toml"]
    assert [file.path.name for file in found.files] == names


def test_a_link_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    study = including(tmp_path, "a.conf")
    (tmp_path / "conf.d" / "b.conf").symlink_to("a.conf")
    found = edited(study, Variant.of({"nginx.gzip": True}))
    assert [file.path for file in found.changed] == [tmp_path / "conf.d" / "a.conf"]


GUNICORN = "import os\nworkers = 1\n"
THRESHOLD: dict[str, Level] = {"gc.threshold": 50_000}
FREEZE: dict[str, Level] = {"gc.freeze": True}


def test_gunicorns_file_holds_the_collectors_levels(stack: Stack) -> None:
    study = stack("gunicorn", GUNICORN)
    found = edited(study, Variant.of({"python.gc.freeze": True, "python.gc.threshold": 7}))
    assert found.by_hand == ()
    (text,) = (file.after for file in found.changed)
    assert text.startswith(f"{GUNICORN}\nimport gc\ngc.set_threshold(7)\ngc.disable()")
    assert text.count("import os\n") == 1
    ast.parse(text)
    assert found.by_hand == ()


@pytest.mark.parametrize("text", ["", "workers = 1", "import gc\nimport os\n", "a = 1\r\n"])
@pytest.mark.parametrize("levels", [THRESHOLD, FREEZE, {**THRESHOLD, **FREEZE}])
def test_the_collectors_lines_are_written_once(text: str, levels: dict[str, Level]) -> None:
    once, held = collector_lines(text, levels)
    assert held == tuple(levels)
    assert once.startswith(text)
    ast.parse(once)
    assert collector_lines(once, levels) == (once, held)
    assert once.count("\n") == once.count("\r\n") or "\r\n" not in text


def test_the_collectors_lines_change_with_their_level() -> None:
    text = "gc.set_threshold(1)\n"
    assert collector_lines(text, {"gc.threshold": 2})[0] == "gc.set_threshold(2)\n"
    with_freeze = collector_lines("", FREEZE)[0]
    assert "register_at_fork" not in collector_lines(with_freeze, {"gc.freeze": False})[0]
    assert collector_lines("x = 1\n", {"gc.freeze": False}) == ("x = 1\n", ("gc.freeze",))


def test_nothing_changes_for_the_origin(stack: Stack) -> None:
    study = stack("gunicorn", "\ufeffworkers = 1\r\n# no newline", threads=1)
    found = edited(study, ORIGIN)
    assert found.changed == ()
    assert [file.after.encode() for file in found.files] == [
        file.path.read_bytes() for file in found.files
    ]


def test_levels_of_two_sources_are_in_force_after_they_are_adopted_anew(stack: Stack) -> None:
    from labcoat.stack.components import adopt  # noqa: PLC0415 - beside its only user

    study = stack("uwsgi", "[uwsgi]\nmaster = true\n", threads=1)
    levels: dict[str, Any] = {"uwsgi.processes": 4, "uwsgi.threads": 3}
    for file in edited(study, Variant.of(levels)).changed:
        file.path.write_text(file.after)
    (spec,) = study.components
    again = replace(study, components=(replace(spec, options=(("threads", 3),)),))
    component = adopt(again)["uwsgi"]
    assert component.origin_level("processes") == "4"
    assert component.origin_level("threads") == "3"


def test_an_edit_that_says_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[stack]\ngranian = true\n"
    for says in (
        ["other", "[stack]\ngranian = { options = { workers = 4 } }\n"],
        [text, "[stack]\ngranian = { options = { workers = 5 } }\n"],
    ):
        monkeypatch.setattr("tomlkit.dumps", lambda _, says=list(says): says.pop(0))
        with pytest.raises(RenderError, match="cannot be edited"):
            toml.assign(text, "granian", {"workers": 4}, path=FILE)


def test_a_file_in_two_places_that_would_differ_is_refused(tmp_path: Path) -> None:
    study = including(tmp_path, "a.conf")
    (tmp_path / "conf.d" / "a.conf").write_text("server { listen 81; }\n")
    (tmp_path / "conf.d" / "b.conf").symlink_to("a.conf")
    with pytest.raises(RenderError, match="serves two places") as caught:
        edited(study, Variant.of({"nginx.listen.backlog": 64}))
    assert caught.value.way_out
