"""The files of the example shop: its studies, and the untuned deployment they start from."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from labcoat.lab.study.study_file import read_study

SHOP = Path(__file__).parents[3] / "examples" / "shop"
STUDIES = ("labcoat.toml", "labcoat-gunicorn.toml")


def test_both_studies_load_the_shop_alike_and_their_weights_are_percent() -> None:
    one, other = (read_study(SHOP / study).workload for study in STUDIES)
    assert one == other
    assert sum(request.weight for request in one.requests) == 100


@pytest.mark.parametrize("study", STUDIES)
def test_a_user_owns_at_most_ten_lines_beside_the_requests(study: str) -> None:
    text = (SHOP / study).read_text()
    lines = text[: text.index("requests = [")].splitlines()
    assert len([line for line in lines if line and line[0] not in "#["]) <= 10


def test_gunicorn_is_told_nothing_but_what_it_would_do_anyway() -> None:
    settings = importlib.import_module("gunicorn.config").Config().settings
    written: dict[str, Any] = {}
    exec((SHOP / "deploy" / "gunicorn.conf.py").read_text(), {}, written)
    assert written == {name: settings[name].get() for name in written} | {"bind": written["bind"]}


def test_the_two_nginx_files_differ_in_the_upstream_only() -> None:
    def outside_location(name: str) -> str:
        text = (SHOP / "deploy" / name).read_text()
        return re.sub(r"location / \{.*?\n\t\t\}", "", text, flags=re.DOTALL)

    assert outside_location("nginx.conf") == outside_location("nginx-gunicorn.conf")


def test_uwsgi_keeps_its_own_number_of_processes_and_threads() -> None:
    text = (SHOP / "deploy" / "uwsgi.ini").read_text()
    assert re.findall(r"^(processes|workers|threads|cheaper|listen)\b", text, re.MULTILINE) == []
