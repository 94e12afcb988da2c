"""App servers adopted from the line that starts them, and handed back there."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec, Interface
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.base import Component, Wiring
from labcoat.stack.edits import edited
from labcoat.stack.servers.gunicorn import Gunicorn
from labcoat.stack.servers.uvicorn import Uvicorn
from labcoat.stack.servers.uwsgi import Uwsgi
from labcoat.testing.stack import tiny_study

CONF = "import os\n\nworkers = 2 * int(os.environ.get('CORES', 2))\ntimeout = 20  # s\n"


def app(folder: Path, **env: str) -> App:
    return App(
        interface=Interface.WSGI, target="shop:app", directory=folder,
        python=Path("/usr/bin/python3"), env=tuple(env.items()),
    )  # fmt: skip


def wiring(folder: Path, component: Component) -> Wiring:
    return Wiring(
        directory=Path("/box/app"),
        listen=Endpoint(speaks=Speaks.HTTP, port=9001),
        upstream=None,
        binary=(f"/usr/bin/{component.name}",),
        app=app(folder),
        spare=tuple(Endpoint(speaks=e.speaks, path=Path("/box/x")) for e in component.spare()),
    )


def test_gunicorns_line_wins_over_its_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(CONF)
    procfile = tmp_path / "Procfile"
    procfile.write_text("web: gunicorn shop:app --threads 3 -b 0.0.0.0:$PORT\n")
    component = Gunicorn.adopt(
        ComponentSpec(name="gunicorn", file=procfile),
        app(tmp_path, GUNICORN_CMD_ARGS="--threads 9 --keep-alive 7", WEB_CONCURRENCY="5"),
    )
    said = {name: component.origin_level(name) for name in ("threads", "keepalive", "timeout")}
    assert said == {"threads": 3, "keepalive": 7, "timeout": 20}
    assert component.origin_level("workers") is None  # computed
    rendered = component.render(Variant.of({"gunicorn.timeout": 33}), wiring(tmp_path, component))
    text = rendered.files["gunicorn.conf.py"]
    for line in ("threads = 3", "keepalive = 7", "timeout = 33  # s", "bind = '127.0.0.1:9001'"):
        assert line in text
    assert rendered.unset == ("GUNICORN_CMD_ARGS",)

    levels = {"gunicorn.threads": 4, "gunicorn.timeout": 5, "gunicorn.keepalive": 6}
    handed = component.edited(Variant.of(levels))
    after = {file.path.name: file.after for file in handed.files}
    assert after == {
        "Procfile": "web: gunicorn shop:app --threads 4 -b 0.0.0.0:$PORT\n",
        "gunicorn.conf.py": CONF.replace("timeout = 20", "timeout = 5"),
    }
    assert handed.by_hand == (
        "gunicorn: --keep-alive 6 in GUNICORN_CMD_ARGS of its environment, and in [app] env",
    )


def test_a_computed_level_gives_way_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(CONF)
    spec = ComponentSpec(name="gunicorn", command="gunicorn -c gunicorn.conf.py shop:app")
    (file,) = Gunicorn.adopt(spec, app(tmp_path)).edited(Variant.of({"gunicorn.workers": 3})).files
    assert file.after == CONF.replace("2 * int(os.environ.get('CORES', 2))", "3")


def test_a_command_of_labcoat_toml_is_edited_there(tmp_path: Path) -> None:
    line = "uvicorn tiny:app --host 0.0.0.0 --workers 2"
    text = f'[stack]  # ours\nuvicorn = {{ command = "{line}" }} # live\n'
    (tmp_path / "labcoat.toml").write_text(text)
    study = tiny_study(
        tmp_path, (ComponentSpec(name="uvicorn", command=line),), interface=Interface.ASGI
    )
    assert edited(study, ORIGIN).changed == ()
    edits = edited(study, Variant.of({"uvicorn.workers": 4, "uvicorn.backlog": 64}))
    (file,) = edits.changed
    assert file.after == text.replace("--workers 2", "--workers 4 --backlog 64")
    assert edits.by_hand == ()


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("gunicorn -c nowhere.py shop:app", "there is no file nowhere.py"),
        ("gunicorn --reload shop:app", "reload = True is refused"),
        ("gunicorn -w $CORES shop:app", "nothing fills \\$CORES of -w"),
        ("gunicorn -w $(nproc) shop:app", "nothing fills"),
    ],
)
def test_a_line_that_cannot_be_measured_is_told(command: str, what: str, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=what) as caught:
        Gunicorn.adopt(ComponentSpec(name="gunicorn", command=command), app(tmp_path))
    assert caught.value.where == "[stack] gunicorn command"


def test_uwsgis_line_is_laid_over_the_file_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "uwsgi.yaml").write_text("uwsgi:\n  processes: 2\n  threads: 2\n")
    docker = tmp_path / "Dockerfile"
    docker.write_text(
        'FROM x\nCMD ["uwsgi", "--yaml", "uwsgi.yaml", "--http", ":8000", "-p", "3"]\n'
    )
    component = Uwsgi.adopt(ComponentSpec(name="uwsgi", file=docker), app(tmp_path))
    assert (component.origin_level("processes"), component.origin_level("threads")) == ("3", "2")
    text = component.render(ORIGIN, wiring(tmp_path, component)).files["uwsgi.ini"]
    assert "http = 127.0.0.1:9001" in text
    handed = component.edited(Variant.of({"uwsgi.processes": 4, "uwsgi.threads": 5}))
    assert {file.path.name: file.after for file in handed.files} == {
        "Dockerfile": docker.read_text().replace('"3"', '"4"'),
        "uwsgi.yaml": "uwsgi:\n  processes: 2\n  threads: 5\n",
    }


def test_what_stands_before_the_program_is_told(tmp_path: Path) -> None:
    spec = ComponentSpec(name="uvicorn", command="LOG=x uvicorn other:app --port 80")
    asgi = App(
        interface=Interface.ASGI, target="shop:app", directory=tmp_path, python=Path("/usr/bin/py")
    )
    component = Uvicorn.adopt(spec, asgi)
    rewired = component.render(ORIGIN, wiring(tmp_path, component)).rewired
    assert rewired == (
        "[stack] uvicorn command: listens on 127.0.0.1:9001 (was 127.0.0.1:80)",
        "[stack] uvicorn command: other:app -> shop:app, as [app] says",
        "[stack] uvicorn command: LOG before the program is not taken over: [app] env says it",
    )
