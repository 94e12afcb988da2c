"""The digest of what both arms are made from: what changes it, and what must not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from labcoat.lab.trial.origin import origin_digest
from labcoat.model.study import Study
from labcoat.model.workload import RequestTemplate, Workload
from labcoat.stack.rig import Rig
from labcoat.testing.baseline import two_routes

RIG = cast("Rig", SimpleNamespace(components={}))


def asking(root: Path, **changed: object) -> Study:
    """A study of one request; its header and its body are not in the journal."""
    given = {"headers": (("Authorization", "one"),), "body": "item=1", **changed}
    request = RequestTemplate(path="/{file:ids.lst}", name="buy", **given)  # type: ignore[arg-type]
    workload = Workload(requests=(request,), base_dir=str(root / "load"))
    return replace(two_routes(root), workload=workload)


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    file = tmp_path / "load" / "ids.lst"
    file.parent.mkdir()
    file.write_text("1\n2\n")
    return file


@pytest.mark.parametrize("changed", [{"body": "item=2"}, {"headers": (("Authorization", "two"),)}])
def test_other_requests_of_the_same_size_are_another_origin(
    tmp_path: Path, ids: Path, changed: dict[str, object]
) -> None:
    first = origin_digest(asking(tmp_path), RIG)
    assert origin_digest(asking(tmp_path), RIG) == first
    assert origin_digest(asking(tmp_path, **changed), RIG) != first


def test_the_lines_of_a_workloads_file_belong_to_it(tmp_path: Path, ids: Path) -> None:
    first = origin_digest(asking(tmp_path), RIG)
    ids.write_text("1\n3\n")
    assert origin_digest(asking(tmp_path), RIG) != first
