"""The crew: read from a baseline, and what it promises of other numbers of workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcoat.lab.baseline.findings import compose
from labcoat.lab.campaign.crew import Crew, crew_of
from labcoat.testing.baseline import gathered, two_routes
from labcoat.testing.campaign import a_knob

WAITING = Crew(server="uwsgi", cores=2, work_s=0.007, wait_s=0.007)


def test_it_is_read_from_the_account_and_the_lone_caller() -> None:
    found = compose(two_routes(Path("/project")), "s", gathered(), at="", elapsed_s=60.0)
    crew = crew_of(found, server="uwsgi")
    generator_s = next(
        part.per_request_s for part in found.waterfall.parts if part.name == "generator"
    )
    layers_s = sum(layer.cpu_per_request_s for layer in found.layers)
    assert crew.work_s == pytest.approx(layers_s + generator_s)
    assert (crew.cores, crew.wait_s) == (found.waterfall.cores, found.ceiling.call_wait_s)


def test_only_the_servers_own_number_counts() -> None:
    assert WAITING.counts(a_knob("uwsgi.processes"))
    assert not WAITING.counts(a_knob("uwsgi.threads"))
    assert not WAITING.counts(a_knob("gunicorn.workers"))


def test_more_workers_promise_more_until_the_cores_are_busy() -> None:
    assert 0 < WAITING.gain(1, 2) < WAITING.gain(1, 4) < WAITING.gain(1, 8) < 3.0
    assert WAITING.gain(8, 16) < 0.01
    assert WAITING.gain(4, 2) < 0 == WAITING.gain(4, 4)
    assert 4 < WAITING.wanted <= 8


def test_threads_count_too() -> None:
    threaded = Crew(server="uwsgi", cores=2, work_s=0.007, wait_s=0.007, threads=4)
    assert threaded.wanted == 2
    assert threaded.gain(1, 2) == pytest.approx(WAITING.gain(4, 8))
