"""What every row of the catalogue owes.

``KnobContract`` holds for rows as they stand: nothing is started. ``ORIGINS`` are files of users
that have a place for every knob; the levels are written into them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Protocol

import pytest

from labcoat.knobs import find, parse_level
from labcoat.model.domain import spelled
from labcoat.model.host import Facts
from labcoat.model.knob import Knob
from labcoat.model.study import App, Interface
from labcoat.model.variant import Level, Variant
from labcoat.stack.app_pool import with_pool
from labcoat.stack.edit import composites, ini, nginx, postgres, python
from labcoat.stack.edit.nginx import KEYED, PARAMETERED
from labcoat.stack.runtime import Runtime
from labcoat.stack.servers.options import as_argv
from labcoat.stack.swap import carried, wanted

SMALL = Facts(
    hostname="small",
    kernel="6.1.0",
    machine="x86_64",
    cpu_model="",
    cpus=1,
    cpus_online=1,
    cpu_quota=None,
    ram_bytes=512 * 1024**2,
    virtualised=None,
    governor=None,
    cgroup=2,
    somaxconn=128,
    nofile=1024,
    port_range=(32768, 60999),
    python="3.11.0",
    is_root=False,
)
LARGE = replace(SMALL, hostname="large", cpus=64, ram_bytes=256 * 1024**3, somaxconn=65535)
MACHINES = (SMALL, replace(SMALL, cpus=2, ram_bytes=4 * 1024**3, somaxconn=4096), LARGE)
"""Machines on which every row must make sense."""

NGINX = """\
worker_processes 3;
events {
    worker_connections 99;
}
http {
    access_log /var/log/nginx/access.log;
    upstream app {
        server 127.0.0.1:8000;
    }
    server {
        listen 127.0.0.1:8080;
        location / {
            return 200 "BODY";
        }
        location /app {
            proxy_pass http://app;
        }
    }
}
""".replace("BODY", "labcoat " * 500)

ORIGINS: Mapping[str, str] = {
    "nginx": NGINX,
    "uwsgi": "[uwsgi]\nmaster = true\n",
    "gunicorn": "bind = '127.0.0.1:8000'\n",
    "postgres": "listen_addresses = ''\n",
}


class Language(Protocol):
    """What the modules of ``labcoat.stack.edit`` have in common."""

    def assign(self, text: str, levels: Mapping[str, Level], *, path: Path) -> str:
        """The text with these levels in force."""

    def read(self, text: str, directive: str, *, path: Path) -> Level | None:
        """The level in force."""


LANGUAGES: Mapping[str, Language] = {
    "nginx": nginx,
    "uwsgi": ini,
    "gunicorn": python,
    "postgres": postgres,
}
SPELLINGS: Mapping[str, str] = {
    "uwsgi": r"[a-z0-9]+(-[a-z0-9]+)*",
    "gunicorn": r"[a-z]+(_[a-z]+)*",
    "postgres": r"[a-z]+(_[a-z]+)*",
    "granian": r"[a-z0-9]+(-[a-z0-9]+)*",
    "uvicorn": r"[a-z0-9]+(-[a-z0-9]+)*",
    "python": r"[A-Z][A-Z_]*|gc\.[a-z]+",
    "app": r"pool",
    "stack": r"server",
}


def written(knob: Knob, level: Level, text: str | None = None) -> str:
    """A user's file with the level in force."""
    origin = ORIGINS[knob.component] if text is None else text
    return LANGUAGES[knob.component].assign(origin, {knob.directive: level}, path=Path("file"))


def in_force(knob: Knob, text: str) -> Level | None:
    """The level that a user's file gives the knob."""
    return LANGUAGES[knob.component].read(text, knob.directive, path=Path("file"))


def same(one: Level | None, other: Level | None) -> bool:
    """Whether two spellings are one level: files hold words, rows hold values."""
    words = [
        {"true": "on", "false": "off"}.get(spelled(level), spelled(level)) for level in (one, other)
    ]
    return words[0] == words[1]


def _leaves(knob: Knob, level: Level) -> list[str]:
    """The words by which the lines that a level may change are known."""
    table = {"nginx": composites.NGINX, "uwsgi": composites.INI}.get(knob.component, {})
    composite = table.get(knob.directive)
    names = [knob.directive] if composite is None else [n for n, _ in composite.parts(level)]
    return [re.split(r"[. ]", name.removeprefix("upstream."))[0] for name in names]


class KnobContract:
    """Subclass it as ``Test...`` and give ``knobs``; pytest collects the rest, row by row."""

    knobs: ClassVar[tuple[Knob, ...]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each test, once per row."""
        if "knob" in metafunc.fixturenames:
            metafunc.parametrize("knob", self.knobs, ids=[knob.name for knob in self.knobs])

    def test_names_are_unique(self) -> None:
        names = [knob.name for knob in self.knobs]
        assert len(names) == len(set(names))

    def test_the_name_is_the_components_own(self, knob: Knob) -> None:
        if knob.component == "nginx":
            name, _, parameter = knob.directive.partition(".")
            assert re.fullmatch(r"[a-z0-9_]+", name)
            dotted = {*KEYED, *PARAMETERED, "upstream"}
            assert not parameter or name in dotted or knob.directive in composites.NGINX
        else:
            assert re.fullmatch(SPELLINGS[knob.component], knob.directive)

    def test_sentences_are_sentences_and_a_source_is_named(self, knob: Knob) -> None:
        for text in (knob.why, knob.condition.text, knob.trap):
            assert re.fullmatch(r"\S.*[^.]\.", text), text
        assert knob.source
        assert all(text and not text.endswith(".") for text in knob.constraints)

    def test_the_condition_names_a_counter_if_it_can_be_asked(self, knob: Knob) -> None:
        condition = knob.condition
        assert (condition.counter is None) == (condition.holds is None)
        if condition.counter is not None and condition.holds is not None:
            assert condition.counter.startswith(f"{knob.component}.")
            assert condition.holds({}) is True, "what is not told excludes nothing"

    def test_it_says_what_it_acts_on_and_how_likely_it_helps(self, knob: Knob) -> None:
        assert knob.relieves
        assert len(set(knob.relieves)) == len(knob.relieves)
        assert 0 < knob.prior <= 1

    @pytest.mark.parametrize("facts", MACHINES, ids=[facts.hostname for facts in MACHINES])
    def test_levels_worth_trying_are_few(self, knob: Knob, facts: Facts) -> None:
        assert len(knob.levels(facts)) <= 3

    def test_levels_follow_the_cpus_that_may_be_used(self, knob: Knob) -> None:
        inside = replace(LARGE, cpus=2, cpu_quota=1.5)
        elsewhere = replace(inside, cpus_online=2, cpu_quota=None)
        assert knob.levels(inside) == knob.levels(elsewhere)
        assert knob.domain.ends(inside) == knob.domain.ends(elsewhere)

    @pytest.mark.parametrize("facts", MACHINES, ids=[facts.hostname for facts in MACHINES])
    def test_levels_and_ends_are_legal_wherever_it_stands(self, knob: Knob, facts: Facts) -> None:
        levels, ends = knob.levels(facts), knob.domain.ends(facts)
        for level in (*levels, *ends):
            assert knob.domain.admits(level, facts), level
            assert parse_level(knob, spelled(level), facts) == level
        assert len(set(levels)) == len(levels)
        assert ends
        assert knob.domain.describe(facts)
        assert knob.domain.describe()

    def test_the_default_is_legal_and_told_by_version(self, knob: Knob) -> None:
        versions = [since for since, _ in knob.default]
        assert versions[0] == ""
        assert all(re.fullmatch(r"\d+(\.\d+)*", since) for since in versions[1:])
        for _, level in knob.default:
            assert level is None or knob.domain.admits(level, LARGE)
        assert knob.default_for("0.0.1") == knob.default[0][1]
        assert knob.default_for("999") == knob.default[-1][1]

    def test_it_is_found(self, knob: Knob) -> None:
        assert find(knob.name, self.knobs) is knob

    def test_the_level_is_rendered_and_only_its_line(self, knob: Knob) -> None:
        if knob.component == "python":
            return self._reaches_the_interpreter(knob)
        if knob.component == "app":
            return self._reaches_the_app(knob)
        if knob.component == "stack":
            return self._reaches_the_stack(knob)
        if knob.component not in LANGUAGES:
            return self._reaches_the_command_line(knob)
        for level in knob.domain.ends(SMALL):
            text = written(knob, level)
            if knob.component == "nginx" and level is False and knob.directive.startswith("listen"):
                assert text == ORIGINS["nginx"]
                continue
            assert same(in_force(knob, text), level)
            assert written(knob, level, text) == text
            origin = ORIGINS[knob.component].splitlines()
            changed = [line for line in difflib.ndiff(origin, text.splitlines()) if line[0] in "+-"]
            assert changed
            leaves = _leaves(knob, level)
            assert all(any(leaf in line for leaf in leaves) for line in changed), changed
            assert len(changed) <= 2 * len(leaves)
        return None

    def _reaches_the_app(self, knob: Knob) -> None:
        app = App(interface=Interface.WSGI, target="a:b", directory=Path(), python=Path())
        app = replace(app, env=(("POOL", "3"), ("KEY", "k")), pool="POOL")
        for level in knob.domain.ends(SMALL):
            env = dict(with_pool(app, Variant.of({knob.name: level})).env)
            assert env == {"POOL": str(level), "KEY": "k"}

    def _reaches_the_stack(self, knob: Knob) -> None:
        for level in knob.domain.ends(SMALL):
            assert wanted(Variant.of({knob.name: level})) == level
            assert carried(str(level)), "nothing is known of it"

    def _reaches_the_command_line(self, knob: Knob) -> None:
        low, *_, high = knob.domain.ends(LARGE)
        words = [as_argv({knob.directive: level}) for level in (low, high)]
        assert words[0] != words[1]
        for level, (option, *value) in zip((low, high), words, strict=True):
            assert option == f"--{'no-' if level is False else ''}{knob.directive}"
            assert value == ([] if isinstance(level, bool) else [str(level)])

    def _reaches_the_interpreter(self, knob: Knob) -> None:
        low, *_, high = knob.domain.ends(SMALL)
        for server in ("gunicorn", "uwsgi"):
            assert Runtime.of({knob.directive: low}, server=server) != Runtime.of(
                {knob.directive: high}, server=server
            )
