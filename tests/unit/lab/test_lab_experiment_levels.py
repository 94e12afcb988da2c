"""Which levels may be asked about, of what is no component: the app's pool, and the server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.errors import UsageError
from labcoat.host.local import LocalHost
from labcoat.host.sandbox import Sandbox
from labcoat.knobs import find
from labcoat.lab.experiment.levels import asked_level, lacking, present
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import ORIGIN, Variant
from labcoat.stack.app_pool import obstacle
from labcoat.stack.components import adopt
from labcoat.stack.rig import Rig
from labcoat.stack.syslog import sends
from labcoat.testing.stack import tiny_study

POOL = find("app.pool")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox.open(LocalHost(), base=tmp_path / "b") as sandbox:
        yield sandbox


def rig_of(sandbox: Sandbox, folder: Path, ini: str = "", **app: object) -> Rig:
    (folder / "uwsgi.ini").write_text(f"[uwsgi]\n{ini}")
    study = tiny_study(folder, (ComponentSpec(name="uwsgi", file=folder / "uwsgi.ini"),))
    changed: App = replace(study.app, **app)  # type: ignore[arg-type]
    return Rig(sandbox.host, sandbox, replace(study, app=changed))


def test_the_pool_is_what_the_environment_says(sandbox: Sandbox, tmp_path: Path) -> None:
    rig = rig_of(sandbox, tmp_path, pool="POOL", env=(("POOL", "8"),))
    facts = sandbox.host.facts()
    assert present(rig, POOL) == (8, True)
    assert lacking(rig, POOL) is None
    assert asked_level(rig, POOL, "4", facts) == 4
    with pytest.raises(UsageError, match="is 8 already"):
        asked_level(rig, POOL, "8", facts)
    assert present(rig_of(sandbox, tmp_path, pool="POOL"), POOL) == (None, False)


@pytest.mark.parametrize(
    ("ini", "pool", "env", "why"),
    [
        ("", None, (), r"does not say which environment variable .*pool = \"NAME\" under \[app\]"),
        ("", "POOL", (("POOL", "many"),), "POOL is no whole number in"),
        ("env = POOL=4\n", "POOL", (), "uwsgi.ini names POOL itself"),
    ],
)
def test_a_pool_that_cannot_be_set_is_told_why(
    sandbox: Sandbox,
    tmp_path: Path,
    ini: str,
    pool: str | None,
    env: tuple[tuple[str, str], ...],
    why: str,
) -> None:
    rig = rig_of(sandbox, tmp_path, ini, pool=pool, env=env)
    with pytest.raises(UsageError, match=why) as caught:
        asked_level(rig, POOL, "4", sandbox.host.facts())
    assert caught.value.where == str(rig.study.file)
    assert caught.value.way_out
    for value in ("many", "4"):
        assert value not in (lacking(rig, POOL) or ""), "values may be secrets"


def test_another_variable_of_a_like_name_is_no_obstacle(sandbox: Sandbox, tmp_path: Path) -> None:
    rig = rig_of(sandbox, tmp_path, "env = MY_POOL=4\nenv = POOLS=4\n", pool="POOL")
    assert lacking(rig, POOL) is None


def test_a_command_line_that_sets_the_pool_is_an_obstacle(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="uwsgi", command="uwsgi --env POOL=4"),))
    study = replace(study, app=replace(study.app, pool="POOL"))
    assert "command line of uwsgi names POOL" in (obstacle(study, {}) or "")


def test_a_logger_on_the_command_line_sends_lines(tmp_path: Path) -> None:
    spec = ComponentSpec(name="uwsgi", command="uwsgi --master -w tiny:app")
    study = tiny_study(tmp_path, (spec,))
    component = adopt(study)["uwsgi"]
    assert not sends(component, spec, ORIGIN)
    variant = Variant.of({"uwsgi.req-logger": "rsyslog:127.0.0.1:514,shop"})
    assert sends(component, spec, variant)
    sent = replace(spec, command="uwsgi --master --req-logger rsyslog:h:514 -w tiny:app")
    assert sends(adopt(replace(study, components=(sent,)))["uwsgi"], sent, ORIGIN)


SERVER = find("stack.server")


def test_the_server_is_the_one_that_the_study_names(sandbox: Sandbox, tmp_path: Path) -> None:
    rig, facts = rig_of(sandbox, tmp_path), sandbox.host.facts()
    assert present(rig, SERVER) == ("uwsgi", True)
    assert asked_level(rig, SERVER, "gunicorn", facts) == "gunicorn"
    with pytest.raises(UsageError, match="is uwsgi already"):
        asked_level(rig, SERVER, "uwsgi", facts)


def test_a_server_that_the_user_does_not_have_is_told(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labcoat's own copies are not what would be deployed."""
    (tmp_path / "python").symlink_to(Path(sys.executable).resolve())
    monkeypatch.setenv("PATH", "/nowhere")
    rig = rig_of(sandbox, tmp_path, python=tmp_path / "python")
    with pytest.raises(UsageError, match="installed for labcoat alone") as caught:
        asked_level(rig, SERVER, "granian", sandbox.host.facts())
    assert caught.value.where == str(rig.study.file)
