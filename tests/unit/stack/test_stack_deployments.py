"""Files in the style of real deployments: adopted, handed back, and changed by one line."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack.base import Component, Wiring
from labcoat.stack.nginx import Nginx
from labcoat.stack.postgres import Postgres
from labcoat.stack.servers.gunicorn import Gunicorn
from labcoat.stack.servers.uwsgi import Uwsgi

DEPLOYMENTS = Path(__file__).parent / "deployments"
KINDS: dict[str, tuple[type[Component], str, Level, Level]] = {
    "nginx": (Nginx, "worker_processes", 617, 618),
    "uwsgi": (Uwsgi, "processes", 617, 618),
    "gunicorn": (Gunicorn, "workers", 617, 618),
    "postgres": (Postgres, "shared_buffers", "617MB", "618MB"),
}
FILES = [path for kind in KINDS for path in sorted((DEPLOYMENTS / kind).iterdir())]
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "tabs, no last newline": lambda text: text.replace("    ", "\t").rstrip("\n"),
}
HTTP = Endpoint(speaks=Speaks.HTTP, port=9001)


def adopted(path: Path, kind: type[Component]) -> Component:
    spec = ComponentSpec(name=kind.name, file=path)
    return kind.adopt(spec, app(path.parent))


def app(folder: Path) -> App:
    return App(
        interface=Interface.WSGI,
        target="shop:app",
        directory=folder,
        python=Path("/usr/bin/python3"),
    )


def wiring(component: Component, folder: Path) -> Wiring:
    said = component.origin_endpoints()
    speaks = said[0].speaks if said else component.speaks[0]
    listen = {
        Speaks.POSTGRES: Endpoint(speaks=Speaks.POSTGRES, path=Path("/box/d/.s.PGSQL.5432")),
    }.get(speaks, Endpoint(speaks=speaks, port=9001))
    upstream = component.origin_upstream()
    return Wiring(
        directory=Path("/box/app"),
        listen=listen,
        upstream=None
        if upstream is None
        else Endpoint(speaks=upstream.speaks, path=Path("/box/s/app")),
        binary=(f"/usr/bin/{component.name}",),
        app=app(folder),
        user="root",
        spare=tuple(
            Endpoint(speaks=each.speaks, port=9100 + n) for n, each in enumerate(component.spare())
        ),
    )


def written(path: Path, form: str, folder: Path) -> Path:
    file = folder / path.name.partition("-")[2]
    file.write_bytes(FORMS[form](path.read_text(encoding="utf-8")).encode())
    return file


def test_there_are_enough_of_each() -> None:
    for kind in KINDS:
        assert len([f for f in FILES if f.parent.name == kind]) * len(FORMS) >= 30


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_empty_diff_leaves_every_byte_and_a_knob_changes_its_line_alone(
    path: Path, form: str, tmp_path: Path
) -> None:
    kind, knob, level, other = KINDS[path.parent.name]
    file = written(path, form, tmp_path)
    before = file.read_bytes()
    component = adopted(file, kind)

    unchanged = component.edited(ORIGIN)
    assert [each.after.encode() for each in unchanged.files] == [before]
    assert (unchanged.options, unchanged.command, unchanged.by_hand) == ({}, None, ())

    (edit,) = component.edited(Variant.of({f"{kind.name}.{knob}": level})).files
    lines = changed_lines(before.decode(), edit.after)
    assert len(lines) <= 2 or "multiline" in path.name  # one value, on several lines
    assert sum(sign == "+" for sign, _ in lines) == 1
    assert all(str(level) in text for sign, text in lines if sign == "+")
    assert newlines(edit.after) == newlines(before.decode()) or "\n" not in before.decode().strip()

    file.write_bytes(edit.after.encode())
    again = adopted(file, kind)
    assert [e.after for e in again.edited(Variant.of({f"{kind.name}.{knob}": level})).files] == [
        edit.after
    ]
    (moved,) = again.edited(Variant.of({f"{kind.name}.{knob}": other})).files
    assert moved.after == edit.after.replace(str(level), str(other))


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    """(sign, text) of each line that differs; a multi-line value counts as one."""
    rows = difflib.ndiff(before.split("\n"), after.split("\n"))
    changed = [(row[0], row[2:]) for row in rows if row[0] in "+-" and row[2:].strip()]
    # A last line without newline that gets one behind it says the same as before.
    added = [text.rstrip("\r") for sign, text in changed if sign == "+"]
    kept = [c for c in changed if not (c[0] == "-" and c[1].rstrip("\r") in added)]
    return [c for c in kept if not (c[0] == "+" and ("-", c[1].rstrip("\r")) in changed)]


def newlines(text: str) -> set[bool]:
    """Which ends of lines there are."""
    return {line.endswith("\r") for line in text.split("\n")[:-1]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_is_rewired_into_the_sandbox_and_nothing_outside_is_left(
    path: Path, tmp_path: Path
) -> None:
    kind, knob, level, _ = KINDS[path.parent.name]
    component = adopted(written(path, "as it is", tmp_path), kind)
    rendered = component.render(
        Variant.of({f"{kind.name}.{knob}": level}), wiring(component, tmp_path)
    )
    text = "\n".join((*rendered.files.values(), " ".join(rendered.argv)))
    assert str(level) in text
    assert rendered.rewired
    live = "\n".join(
        line
        for line in text.splitlines()
        if not line.lstrip().startswith(("#", ";", "<!--"))
        and kind is not Postgres  # which is overruled on its command line
    )
    for outside in ("/var/log/", "/var/run/", "/run/", "0.0.0.0:", "letsencrypt"):
        assert outside not in live.replace("/box/", ""), (outside, live)


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("nginx/nginx.conf", "events {}\nhttp {\n  server {\n", "nginx.conf"),
        ("uwsgi/uwsgi.ini", "[uwsgi]\nmaster = true\n[broken\n", "uwsgi.ini:3"),
        ("uwsgi/uwsgi.yaml", "uwsgi:\n  master: true\n  what is this\n", "uwsgi.yaml:3"),
        ("uwsgi/uwsgi.xml", "<uwsgi>\n<master>\n</uwsgi>\n", "uwsgi.xml:3"),
        ("uwsgi/uwsgi.json", '{"uwsgi": {\n"master": true,\n}}\n', "uwsgi.json:3"),
        ("uwsgi/empty.json", "[]\n", "empty.json"),
        ("gunicorn/gunicorn.conf.py", "workers = 2\nbind = (\n", "gunicorn.conf.py:"),
        ("postgres/postgresql.conf", "port = 5432\n= 3\n", "postgresql.conf:2"),
    ],
)
def test_a_broken_file_is_told_with_its_line(
    name: str, text: str, where: str, tmp_path: Path
) -> None:
    kind = KINDS[name.partition("/")[0]][0]
    file = tmp_path / Path(name).name
    file.write_text(text)
    with pytest.raises(RenderError) as caught:
        adopted(file, kind).render(ORIGIN, wiring(adopted(file, kind), tmp_path))
    assert where in (caught.value.where or "")
    assert caught.value.way_out


def test_a_level_of_postgres_is_changed_in_the_included_file_that_says_it(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    main = tmp_path / "postgresql.conf"
    main.write_text("shared_buffers = 64MB\nwork_mem = 1MB\ninclude_dir = 'conf.d'\nport = 5433\n")
    tuned = tmp_path / "conf.d" / "10-tuned.conf"
    tuned.write_text(
        "shared_buffers = 96MB\t# ours\nlogging_collector = on\ninclude '../last.conf'"
    )
    (tmp_path / "last.conf").write_text("jit = off\n")
    (tmp_path / "conf.d" / "notes.txt").write_text("not = read\n")
    component = adopted(main, Postgres)
    assert component.origin_level("shared_buffers") == "96MB"
    levels: dict[str, Level] = {
        "postgres.shared_buffers": "1GB",
        "postgres.work_mem": "4MB",
        "postgres.jit": True,
    }
    after = {file.path.name: file.after for file in component.edited(Variant.of(levels)).files}
    assert after == {
        "postgresql.conf": main.read_text().replace("1MB", "4MB"),
        "10-tuned.conf": tuned.read_text().replace("96MB", "1GB"),
        "last.conf": "jit = on\n",
    }
    rendered = component.render(Variant.of(levels), wiring(component, tmp_path))
    argv = " ".join(rendered.argv)
    assert "-c shared_buffers=1GB" in argv
    assert "-c jit=on" in argv
    assert "-c log_directory=/box/app/log" in argv  # the included file turns the collector on
    assert "work_mem = 4MB" in rendered.files["postgresql.conf"]


def test_a_postgresql_conf_that_includes_itself_is_told(tmp_path: Path) -> None:
    file = tmp_path / "postgresql.conf"
    file.write_text("port = 5433\ninclude 'postgresql.conf'\n")
    with pytest.raises(RenderError, match="includes itself") as caught:
        adopted(file, Postgres)
    assert (caught.value.where or "").endswith("postgresql.conf:2")
