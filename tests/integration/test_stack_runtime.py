from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labcoat.errors import RenderError
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.model.study import ComponentSpec, Interface
from labcoat.model.variant import ORIGIN, Level, Variant
from labcoat.stack import probe
from labcoat.stack.rig import Rig
from labcoat.testing.stack import tiny_study

SAYS = """\
import gc, json, os, subprocess, sys
CHILD = "import gc; print(gc.isenabled(), gc.get_threshold()[0])"
AT_IMPORT = gc.isenabled()
def said():
    return json.dumps({
        "at_import": AT_IMPORT, "enabled": gc.isenabled(), "frozen": gc.get_freeze_count() > 0,
        "threshold": gc.get_threshold()[0], "debug": __debug__, "env": dict(os.environ),
        "chained": "chained_by_the_app" in sys.modules,
        "child": subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True).stdout.split(),
    }).encode()
"""
WSGI = (
    SAYS
    + """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [said()]
"""
)
ASGI = (
    SAYS
    + """\
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said()})
"""
)
SERVERS: Mapping[str, tuple[Interface, dict[str, Level]]] = {
    "uwsgi": (Interface.WSGI, {"master": True, "processes": 2}),
    "gunicorn": (Interface.WSGI, {"preload_app": True, "workers": 2}),
    "granian": (Interface.WSGI, {}),
    "uvicorn": (Interface.ASGI, {"workers": 2}),
}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox.open(LocalHost(), base=tmp_path / "b") as opened:
        yield opened


def rig_of(folder: Path, sandbox: Sandbox, server: str, env: Mapping[str, str]) -> Rig:
    interface, options = SERVERS[server]
    spec = ComponentSpec(name=server, options=tuple(options.items()))
    source = WSGI if interface is Interface.WSGI else ASGI
    study = tiny_study(folder, (spec,), interface=interface, source=source, env=env)
    return Rig(sandbox.host, sandbox, study)


def asked(rig: Rig, variant: Variant) -> dict[str, Any]:
    standing = rig.boot("a", variant)
    answer = probe.get(standing.layers[0].wiring.listen, "/", timeout_s=5.0)
    assert answer is not None
    said: dict[str, Any] = json.loads(answer.body)
    rig.stop(standing)
    return said


@pytest.mark.parametrize("server", list(SERVERS))
def test_levels_of_the_runtime_reach_the_interpreter(
    tmp_path: Path, sandbox: Sandbox, server: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(
        "import sys, types\nsys.modules['chained_by_the_app'] = types.ModuleType('chained')\n"
    )
    levels: dict[str, Level] = {
        "python.PYTHONMALLOC": "malloc",
        "python.MALLOC_ARENA_MAX": 2,
        "python.PYTHONOPTIMIZE": 1,
        "python.gc.threshold": 50_000,
    }
    with rig_of(tmp_path, sandbox, server, {"PYTHONPATH": str(own), "KEY": "1"}) as rig:
        said = asked(rig, Variant.of(levels))
    assert (
        said["env"].items()
        >= {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "2", "KEY": "1"}.items()
    )
    assert (said["threshold"], said["debug"], said["chained"]) == (50_000, False, True)
    assert said["child"] == ["True", "50000"]
    assert (said["enabled"], said["frozen"]) == (True, False)


@pytest.mark.parametrize("server", ["uwsgi", "gunicorn"])
@pytest.mark.parametrize("apart", [{}, {"uwsgi.lazy-apps": True, "uwsgi.threads": 2}])
def test_the_recipe_for_a_server_that_forks(
    tmp_path: Path, sandbox: Sandbox, server: str, apart: dict[str, Level]
) -> None:
    if server == "gunicorn" and apart:
        apart = {"gunicorn.threads": 2}
    with rig_of(tmp_path, sandbox, server, {}) as rig:
        said = asked(rig, Variant.of({**apart, "python.gc.freeze": True}))
        assert (said["at_import"], said["enabled"], said["frozen"]) == (False, True, True)
        assert said["child"] == ["True", "700"]
        assert not [name for name in said["env"] if name.startswith("LABCOAT")]
        for variant in (ORIGIN, Variant.of({"python.gc.freeze": False})):
            said = asked(rig, variant)
            assert (said["at_import"], said["frozen"]) == (True, False)


@pytest.mark.parametrize(
    ("server", "levels", "what"),
    [
        ("uvicorn", {"python.gc.freeze": True}, "never loads the app before it forks"),
        ("gunicorn", {"python.gc.generations": 2}, "no setting of the runtime"),
        ("gunicorn", {"uwsgi.processes": 2}, "there is no uwsgi in this stack"),
    ],
)
def test_a_level_that_reaches_nothing_is_refused(
    tmp_path: Path, sandbox: Sandbox, server: str, levels: dict[str, Level], what: str
) -> None:
    with (
        rig_of(tmp_path, sandbox, server, {}) as rig,
        pytest.raises(RenderError, match=what) as caught,
    ):
        rig.boot("a", Variant.of(levels))
    assert caught.value.where
    assert caught.value.way_out
    assert sandbox.processes == []


@pytest.mark.parametrize(
    ("server", "levels", "counters"),
    [
        ("gunicorn", {"gunicorn.threads": 3}, {"processes": 2.0, "slots": 6.0}),
        ("gunicorn", {"gunicorn.worker_class": "gevent"}, {"processes": 2.0}),
        ("granian", {"granian.workers": 2}, {"processes": 2.0}),
        ("uvicorn", {"uvicorn.workers": 3}, {"processes": 3.0}),
    ],
)  # fmt: skip
def test_counters_are_those_of_the_variant_that_stands(
    tmp_path: Path,
    sandbox: Sandbox,
    server: str,
    levels: dict[str, Level],
    counters: dict[str, float],
) -> None:
    with rig_of(tmp_path, sandbox, server, {}) as rig:
        standing = rig.boot("a", Variant.of(levels))
        # Gunicorn's are counted off its tree, and the first worker serves before the last is born.
        deadline = time.monotonic() + 20
        while standing.explain()[server] != counters and time.monotonic() < deadline:
            time.sleep(0.1)
        assert standing.explain()[server] == counters


def test_the_pool_reaches_the_app_over_what_the_study_says(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    study = rig_of(tmp_path, sandbox, "uwsgi", {"POOL": "8", "KEY": "k"}).study
    with Rig(sandbox.host, sandbox, replace(study, app=replace(study.app, pool="POOL"))) as rig:
        for variant, size in ((ORIGIN, "8"), (Variant.of({"app.pool": 3}), "3")):
            env = asked(rig, variant)["env"]
            assert (env["POOL"], env["KEY"]) == (size, "k")
