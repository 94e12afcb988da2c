"""The origin's digest: what both arms are made from, and nothing else."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from labcoat.errors import HostError
from labcoat.lab.trial.origin import origin_digest
from labcoat.model.study import ComponentSpec, Study
from labcoat.stack.base import Component
from labcoat.stack.binaries import Located
from labcoat.stack.components import adopt
from labcoat.stack.rig import Rig
from labcoat.testing.stack import tiny_study

UWSGI = "[uwsgi]\nmaster = true\nprocesses = 1\n"


@dataclass(slots=True)
class FoundRig:
    """As much of a rig as a digest needs: adopted files, and programs that are found."""

    components: dict[str, Component]
    version: str = "2.0.28"
    build: str = ""

    def located(self, name: str) -> Located:
        return Located(
            name=name, argv=(name,), version=self.version, source="fake", build=self.build
        )


@pytest.fixture
def study(tmp_path: Path) -> Study:
    app = tmp_path / "app"
    app.mkdir()
    (app / "uwsgi.ini").write_text(UWSGI)
    (app / "page.html").write_text("hello")
    spec = ComponentSpec(name="uwsgi", file=app / "uwsgi.ini")
    return tiny_study(app, (spec,), env={"SECRET_KEY": "hush"})


def digest(study: Study, **program: str) -> str:
    rig = FoundRig(dict(adopt(study)), **program)
    return origin_digest(study, cast("Rig", rig))


def test_unchanged_it_is_the_same(study: Study) -> None:
    assert digest(study) == digest(study)


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return change


@pytest.mark.parametrize(
    "change",
    [
        write("uwsgi.ini", UWSGI.replace("1", "2")),
        write("tiny.py", "app = None\n"),
        write("page.html", "bye"),
        write("more.py", ""),
        write("package/deep.py", "x = 1\n"),
        lambda folder: (folder / "page.html").unlink(),
        lambda folder: (folder / "page.html").rename(folder / "other.html"),
    ],
)
def test_another_file_is_another_origin(study: Study, change: Callable[[Path], None]) -> None:
    before = digest(study)
    change(study.app.directory)
    assert digest(study) != before


@pytest.mark.parametrize(
    "change",
    [
        write("notes.md", "x"),
        write("app.log", "x"),
        write(".git/config.py", "x"),
        write("__pycache__/tiny.py", "x"),
        write(".labcoat/cache.json", "x"),
        # An editor's lock on a source that is being edited.
        lambda folder: (folder / ".#tiny.py").symlink_to("somebody@somewhere.1234"),
    ],
)
def test_what_is_not_served_changes_nothing(study: Study, change: Callable[[Path], None]) -> None:
    before = digest(study)
    change(study.app.directory)
    assert digest(study) == before


def test_environment_and_programs_belong_to_it(study: Study) -> None:
    before = digest(study)
    for env in ((("SECRET_KEY", "louder"),), (("OTHER", "hush"),), ()):
        assert digest(replace(study, app=replace(study.app, env=env))) != before
    assert digest(study, version="2.0.29") != before
    assert digest(study, build="--with-pcre") != before


def test_it_is_keyed_so_that_no_secret_can_be_guessed_from_it(study: Study) -> None:
    key = study.root / ".labcoat" / "key"
    before = digest(study)
    assert "hush" not in before
    made = key.read_bytes()
    assert len(made) == 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    digest(study)
    assert key.read_bytes() == made
    assert [path.name for path in key.parent.iterdir()] == ["key"]
    key.unlink()
    assert digest(study) != before
    assert key.read_bytes() != made


def test_sources_that_cannot_be_read_are_an_error(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = study.app.directory / "page.html"

    def read_bytes(path: Path) -> bytes:
        if path == page:
            raise PermissionError(13, "Permission denied", str(path))
        return b""

    digest(study)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(HostError, match="cannot read the app's sources") as caught:
        digest(study)
    assert str(caught.value.where) == str(page)
    assert caught.value.way_out


def test_a_key_that_cannot_be_kept_is_an_error(study: Study) -> None:
    (study.root / ".labcoat").write_text("in the way")
    with pytest.raises(HostError, match="cannot keep the project's key") as caught:
        digest(study)
    assert caught.value.way_out
