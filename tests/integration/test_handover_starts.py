"""Edited files, started as they are by the real programs: the levels are in force."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.journal import Journal
from labcoat.lab.handover.applying import apply
from labcoat.lab.handover.digests import digests_of
from labcoat.lab.handover.tuned import Tuned
from labcoat.model.study import ComponentSpec, Interface, Study
from labcoat.model.variant import Level, Variant
from labcoat.stack import probe
from labcoat.stack.postgres import dsn
from labcoat.stack.rig import Rig
from labcoat.stack.standing import Standing
from labcoat.testing.stack import tiny_study

DEPLOY = Path(__file__).parents[2] / "examples" / "shop" / "deploy"
SAYS = """\
import gc, json
AT_IMPORT = gc.isenabled()
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [json.dumps({
        "at_import": AT_IMPORT, "enabled": gc.isenabled(), "frozen": gc.get_freeze_count() > 0,
        "threshold": gc.get_threshold()[0],
    }).encode()]
"""


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox.open(LocalHost(), base=tmp_path / "b") as opened:
        yield opened


def applied(study: Study, levels: dict[str, Level]) -> tuple[str, ...]:
    """Put levels into the study's files; what is left to do by hand."""
    folder = study.root / ".labcoat"
    folder.mkdir(exist_ok=True)
    with Journal.open(folder / "journal.db") as journal:
        tuned = Tuned(
            study_id=journal.begin_study(study).id, at="", outcome="improved", sentence="",
            variant=Variant.of(levels), digests=digests_of(study), by_hand=(),
        )  # fmt: skip
        found = apply(study, journal, tuned)
        assert found.is_new
        return found.by_hand


def awaited(read: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + 20
    while (seen := read()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert seen == wanted


def shown(standing: Standing, setting: str) -> str:
    layer = next(layer for layer in standing.layers if layer.name == "postgres")
    with psycopg.connect(dsn(layer.wiring.listen)) as connection:
        row = connection.execute(f"show {setting}").fetchone()
        assert row is not None
        return str(row[0])


def test_the_shops_files_start_with_the_levels_in_force(tmp_path: Path, sandbox: Sandbox) -> None:
    specs = []
    for name, file in (
        ("nginx", "nginx.conf"),
        ("uwsgi", "uwsgi.ini"),
        ("postgres", "postgresql.conf"),
    ):
        text = (DEPLOY / file).read_text().replace("shop:app", "tiny:app")
        (tmp_path / file).write_text(text)
        specs.append(ComponentSpec(name=name, file=tmp_path / file))
    study = tiny_study(tmp_path, tuple(specs))
    by_hand = applied(
        study,
        {
            "nginx.worker_processes": 3, "nginx.listen.backlog": 600, "nginx.gzip_comp_level": 2,
            "nginx.access_log.buffer": "64k flush=1s", "uwsgi.processes": 3, "uwsgi.threads": 2,
            "uwsgi.disable-logging": True, "postgres.max_connections": 33, "postgres.jit": False,
        },
    )  # fmt: skip
    assert by_hand == ()
    with Rig(sandbox.host, sandbox, study) as rig:
        standing = rig.boot("a")
        assert shown(standing, "max_connections") == "33"
        assert shown(standing, "jit") == "off"
        explained = standing.explain()["uwsgi"]
        assert (explained["processes"], explained["slots"]) == (3.0, 6.0)
        # Its master, three workers.
        awaited(lambda: standing.counters()["nginx"].processes, 4)


@pytest.mark.parametrize("preload", [True, False])
def test_gunicorns_file_does_what_the_sandbox_did_for_the_collector(
    tmp_path: Path, sandbox: Sandbox, *, preload: bool
) -> None:
    """The workers of the edited file say of their collector what those of the variant say."""
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(f"workers = 1\npreload_app = {preload}\n")
    study = tiny_study(tmp_path, (ComponentSpec(name="gunicorn", file=file),), source=SAYS)
    levels: dict[str, Level] = {
        "python.gc.freeze": True, "python.gc.threshold": 50_000, "gunicorn.workers": 2,
    }  # fmt: skip

    def asked(rig: Rig, variant: Variant) -> dict[str, Any]:
        standing = rig.boot("a", variant)
        awaited(lambda: standing.explain()["gunicorn"]["processes"], 2.0)
        answer = probe.get(standing.layers[0].wiring.listen, "/", timeout_s=5.0)
        assert answer is not None
        rig.stop(standing)
        said: dict[str, Any] = json.loads(answer.body)
        return said

    with Rig(sandbox.host, sandbox, study) as rig:
        of_variant = asked(rig, Variant.of(levels))
    assert applied(study, levels) == ()
    with Rig(sandbox.host, sandbox, study) as rig:
        of_file = asked(rig, Variant())
    assert of_file == of_variant
    assert of_file == {
        "at_import": not preload, "enabled": True, "frozen": True, "threshold": 50_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("server", "interface"), [("granian", Interface.WSGI), ("uvicorn", Interface.ASGI)]
)
def test_options_of_the_study_file_start(
    tmp_path: Path, sandbox: Sandbox, server: str, interface: Interface
) -> None:
    (tmp_path / "labcoat.toml").write_text(f"[stack]\n{server} = true\n")
    study = tiny_study(tmp_path, (ComponentSpec(name=server),), interface=interface)
    (words,) = applied(study, {f"{server}.workers": 2})
    assert words.startswith(f"{server}: --workers 2 on its command line")
    import tomllib  # noqa: PLC0415 - the file as anybody reads it

    table = tomllib.loads((tmp_path / "labcoat.toml").read_text())["stack"][server]
    spec = ComponentSpec(name=server, options=tuple(table["options"].items()))
    with Rig(sandbox.host, sandbox, replace(study, components=(spec,))) as rig:
        assert rig.boot("a").explain()[server] == {"processes": 2.0}
