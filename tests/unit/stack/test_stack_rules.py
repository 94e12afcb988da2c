from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labcoat.errors import NotReady, RenderError
from labcoat.model.host import Facts
from labcoat.model.study import App, ComponentSpec, Interface
from labcoat.model.variant import Level, Variant
from labcoat.stack import environment
from labcoat.stack.components import adopt
from labcoat.stack.limits import refuse_impossible
from labcoat.testing.stack import SimulatedStack, tiny_study

FACTS = Facts(
    hostname="h",
    kernel="6",
    machine="x86_64",
    cpu_model="c",
    cpus=2,
    cpus_online=2,
    cpu_quota=None,
    ram_bytes=1 << 33,
    virtualised=None,
    governor=None,
    cgroup=2,
    somaxconn=4096,
    nofile=1024,
    port_range=(32768, 60999),
    python="3.11",
    is_root=False,
)
NGINX = "events {}\nhttp { server { listen 80; location / { proxy_pass http://x:1; } } }\n"


@pytest.mark.parametrize(
    ("stack", "levels", "what"),
    [
        (("uwsgi",), {"uwsgi.listen": 5000}, "uwsgi.listen = 5000 is over net.core.somaxconn = 4096"),
        (("uwsgi",), {"uwsgi.listen": 4096}, None),
        (("gunicorn",), {"gunicorn.backlog": 5000}, "gunicorn.backlog = 5000 is over"),
        (("nginx", "gunicorn"), {"nginx.worker_connections": 1024}, "not under the file limit of 1024"),
        (("nginx", "gunicorn"), {"nginx.worker_connections": 1024, "nginx.worker_rlimit_nofile": 4096}, None),
        (("nginx", "gunicorn"), {"nginx.listen.backlog": 8192}, "nginx.listen.backlog = 8192 is over"),
        (("gunicorn", "postgres"), {"gunicorn.workers": 98}, "needs 98 connections or more"),
        (("gunicorn", "postgres"), {"gunicorn.workers": 97}, None),
        (("gunicorn", "postgres"), {"gunicorn.workers": 20, "app.pool": 5}, "needs 100 connections"),
        (("gunicorn", "postgres"), {"gunicorn.workers": 20, "app.pool": 5, "postgres.max_connections": 200}, None),
        (("gunicorn",), {"gunicorn.workers": 500}, None),
        (("gunicorn", "pgbouncer", "postgres"), {"gunicorn.workers": 100}, None),
        (("gunicorn", "pgbouncer", "postgres"), {"gunicorn.workers": 101}, "pgbouncer.max_client_conn leaves 100"),
        (("gunicorn",), {"gunicorn.backlog": "many"}, None),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_a_start(
    tmp_path: Path, stack: tuple[str, ...], levels: dict[str, Level], what: str | None
) -> None:
    (tmp_path / "nginx.conf").write_text(NGINX)
    specs = tuple(
        ComponentSpec(name=name, file=tmp_path / "nginx.conf" if name == "nginx" else None)
        for name in stack
    )
    study = tiny_study(tmp_path, specs)
    components, app = adopt(study), replace(study.app, pool="POOL")
    variant = Variant.of(levels)
    if what is None:
        refuse_impossible(components, variant, FACTS, app)
    else:
        with pytest.raises(RenderError, match=what.replace(".", r"\.")):
            refuse_impossible(components, variant, FACTS, app)


def test_the_pool_that_the_environment_says_counts_too(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="uwsgi"), ComponentSpec(name="postgres")))
    components, variant = adopt(study), Variant.of({"uwsgi.processes": 20})
    app = replace(study.app, env=(("POOL", "8"),))
    refuse_impossible(components, variant, FACTS, app)  # nobody said that it is a pool
    with pytest.raises(RenderError, match="with a pool of 8 in each needs 160 connections"):
        refuse_impossible(components, variant, FACTS, replace(app, pool="POOL"))
    pool = Variant.of({"app.pool": 98})
    with pytest.raises(RenderError, match=r"uwsgi\.processes = 1 with a pool of 98 in each"):
        refuse_impossible(components, pool, FACTS, replace(app, pool="POOL"))
    with pytest.raises(RenderError, match="names no variable"):
        refuse_impossible(components, Variant.of({"app.pool": 2}), FACTS, app)


def test_every_impossible_level_is_told_at_once(tmp_path: Path) -> None:
    specs = (ComponentSpec(name="uwsgi"), ComponentSpec(name="postgres"))
    study = tiny_study(tmp_path, specs)
    variant = Variant.of({"uwsgi.listen": 9999, "uwsgi.processes": 500})
    with pytest.raises(RenderError) as caught:
        refuse_impossible(adopt(study), variant, FACTS, study.app)
    assert len(caught.value.log) == 2


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("nginx",), "needs an app server"),
        (("gunicorn", "uwsgi"), "at most one of each"),
        (("postgres", "gunicorn"), "web server, app server, companions, database"),
        (("apache", "gunicorn"), "no component 'apache'"),
        ((), "needs an app server"),
    ],
)
def test_a_stack_that_cannot_stand_is_refused(
    tmp_path: Path, names: tuple[str, ...], what: str
) -> None:
    study = tiny_study(tmp_path, tuple(ComponentSpec(name=name) for name in names))
    with pytest.raises(RenderError, match=what):
        adopt(study)


def test_components_come_front_to_back_and_know_what_is_behind(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(NGINX)
    specs = (
        ComponentSpec(name="nginx", file=tmp_path / "nginx.conf"),
        ComponentSpec(name="gunicorn"),
        ComponentSpec(name="postgres"),
    )
    components = adopt(tiny_study(tmp_path, specs))
    assert list(components) == ["nginx", "gunicorn", "postgres"]
    upstream = components["nginx"].origin_upstream()
    assert upstream is not None
    assert upstream.port == 1


def an_app(**env: str) -> App:
    return App(
        interface=Interface.WSGI,
        target="a:b",
        directory=Path("/srv"),
        python=Path("/venv/bin/python"),
        env=tuple(env.items()),
    )


def test_placeholders_are_filled() -> None:
    filled = environment.filled(
        an_app(URL="{database.url}?x={y}", JSON='{"a": 1}', PLAIN="p"), {"database.url": "db"}
    )
    assert filled == {"URL": "db?x={y}", "JSON": '{"a": 1}', "PLAIN": "p"}


def test_a_placeholder_that_nothing_fills_is_told_without_its_value() -> None:
    with pytest.raises(RenderError) as caught:
        environment.filled(an_app(URL="hush{database.url}"), {})
    assert "{database.url}" in caught.value.what
    assert "env URL" in (caught.value.where or "")
    assert "hush" not in str(caught.value)


def test_little_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    env = environment.base(an_app(), Path("/box"))
    assert "AWS_SECRET_ACCESS_KEY" not in env
    assert "PYTHONHASHSEED" not in env
    assert env["HOME"] == env["TMPDIR"] == "/box"
    assert env["PATH"].startswith("/venv/bin:")
    assert env["PYTHONDONTWRITEBYTECODE"] == "1"


def test_secrets_are_struck_out_of_errors() -> None:
    error = NotReady("x", log=["key is hunter22 and hunter2", "url postgresql://x"])
    environment.mask(error, an_app(KEY="hunter22", OTHER="hunter2", URL="{database.url}", N="1"))
    assert error.log == ("key is *** and ***", "url postgresql://x")


def test_the_simulated_stack_costs_what_its_levels_say(tmp_path: Path) -> None:
    study = tiny_study(tmp_path, (ComponentSpec(name="uwsgi"),))
    factors = {("uwsgi.processes", 2): 0.5}
    with SimulatedStack(study=study, host=None, cpu_s=0.01, factors=factors) as rig:  # type: ignore[arg-type]
        plain = rig.boot("a")
        faster = rig.boot("b", Variant.of({"uwsgi.processes": 2}))
        for standing in (plain, faster):
            rig.serve(standing.target, 100)
            standing.check()
        spent = [sum(c.cpu_s for c in s.counters().values()) for s in (plain, faster)]
        assert spent == pytest.approx([1.0, 0.5])
        rig.stop(faster)
        assert list(rig.standing) == [plain.target.url]
    assert rig.standing == {}
