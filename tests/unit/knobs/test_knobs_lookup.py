from __future__ import annotations

from dataclasses import replace

import pytest

from labcoat.errors import UsageError
from labcoat.knobs import find, parse_level
from labcoat.model.host import Facts
from labcoat.model.variant import Level

FACTS = Facts(
    hostname="h",
    kernel="6.1",
    machine="x86_64",
    cpu_model="",
    cpus=2,
    cpus_online=2,
    cpu_quota=None,
    ram_bytes=4 * 1024**3,
    virtualised=None,
    governor=None,
    cgroup=2,
    somaxconn=4096,
    nofile=1024,
    port_range=(32768, 60999),
    python="3.11.0",
    is_root=False,
)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("uwsgi.proceses", "did you mean uwsgi.processes?"),
        ("worker_processes", "did you mean nginx.worker_processes?"),
        ("", "there is no knob ''"),
    ],
)
def test_an_unknown_knob_is_told_with_a_guess(name: str, guess: str) -> None:
    with pytest.raises(UsageError, match="there is no knob") as caught:
        find(name)
    assert guess in caught.value.what
    assert "labcoat knobs" in (caught.value.way_out or "")


@pytest.mark.parametrize(
    ("name", "text", "level"),
    [
        ("uwsgi.processes", "4", 4),
        ("nginx.worker_processes", "auto", "auto"),
        ("nginx.gzip", "on", True),
        ("nginx.limit_rate", "64k", "64k"),
        ("postgres.shared_buffers", "512 MB", "512MB"),
    ],
)
def test_a_level_is_parsed(name: str, text: str, level: Level) -> None:
    assert parse_level(find(name), text, FACTS) == level


@pytest.mark.parametrize(
    ("name", "text", "what", "way_out"),
    [
        ("uwsgi.processes", "many", "'many' is no whole number", "write 1 to 16"),
        ("uwsgi.processes", "17", "'17' lies outside", "write 1 to 16"),
        ("nginx.gzip", "perhaps", "neither on nor off", "write on or off"),
        (
            "postgres.shared_buffers",
            "512mb",
            "not written as 5kB, 5MB, 5GB",
            "write 1MB to 1638MB",
        ),
        ("postgres.shared_buffers", "3GB", "lies outside", "write 1MB to 1638MB"),
    ],
)
def test_what_is_no_level_is_told_with_the_domain_here(
    name: str, text: str, what: str, way_out: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_level(find(name), text, FACTS)
    assert what in caught.value.what
    assert caught.value.way_out == way_out
    assert caught.value.where == name


def test_the_domain_follows_the_machine() -> None:
    knob = find("uwsgi.processes")
    assert knob.domain.admits(17, replace(FACTS, cpus=4))
    assert knob.levels(replace(FACTS, cpus=1)) == (1, 2, 3)
