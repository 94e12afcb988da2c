"""Patches, as ``git apply`` and ``patch -p1`` themselves take them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from labcoat.lab.handover import unified
from labcoat.lab.handover.digests import digests_of
from labcoat.lab.handover.patch import hand_over, tuned_files
from labcoat.lab.study.study_file import read_study
from labcoat.model.variant import Level, Variant

SHOP = Path(__file__).parents[2] / "examples" / "shop"
PROGRAMS = {
    "git": ("git", "apply", "-"),
    "patch": ("patch", "-p1", "--no-backup-if-mismatch", "--fuzz=0"),
}
UWSGI: dict[str, Level] = {
    "nginx.worker_processes": 2, "nginx.access_log.buffer": "64k flush=1s",
    "nginx.listen.backlog": 1024, "uwsgi.processes": 4, "uwsgi.disable-logging": True,
    "postgres.shared_buffers": "256MB", "postgres.jit": False, "python.gc.freeze": True,
}  # fmt: skip
GUNICORN: dict[str, Level] = {
    "gunicorn.workers": 4, "gunicorn.worker_class": "gthread", "gunicorn.threads": 2,
    "nginx.upstream.keepalive": 8, "python.gc.freeze": True, "python.gc.threshold": 50_000,
}  # fmt: skip


def apply(program: str, patch: str, folder: Path) -> None:
    completed = subprocess.run(
        PROGRAMS[program], cwd=folder, input=patch.encode(), capture_output=True, check=False
    )
    assert completed.returncode == 0, (completed.stdout, completed.stderr)


@pytest.fixture(params=["", "repository", "folder"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The shop in no repository, as one, and in a folder of one."""
    folder = tmp_path / "own shop" / "deploy"
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("static", ".labcoat"))
    top = {"repository": folder, "folder": tmp_path}.get(request.param)
    if top is not None:
        subprocess.run(["git", "init", "--quiet", top], check=True)
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("file", "levels"), [("labcoat.toml", UWSGI), ("labcoat-gunicorn.toml", GUNICORN)]
)
def test_the_patch_makes_of_the_shops_files_what_apply_would(
    shop: Path, file: str, levels: dict[str, Level], program: str
) -> None:
    if file == "labcoat-gunicorn.toml":
        levels = {name: level for name, level in levels.items() if "upstream" not in name}
    study = read_study(shop / file)
    tuned = tuned_files(study, Variant.of(levels), digests_of(study))
    assert len(tuned.files) == (3 if file == "labcoat.toml" else 1)
    apply(program, tuned.patch, shop)
    assert [each.path.read_bytes() for each in tuned.files] == [each.after for each in tuned.files]
    assert not list(shop.rglob("*.orig"))
    again, patch = hand_over(study, Variant.of(levels), digests_of(study))
    assert (again.files, again.diff) == ((), "")
    assert all(line.startswith("# by hand: ") for line in patch.splitlines())


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("name", ["plain.conf", "a b.conf", "ünï.conf", 'q"uote\\.conf', "-x"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one\ntwo", "one\ntwo\nthree"),
        ("one\ntwo\n", "one\ntwo"),
        ("one\r\ntwo\r\n", "one\r\n2\r\nthree\r\n"),
        ("one\r\ntwo", "1\r\ntwo\r\nthree\r\n"),
        ("a\x0cb\u2028c\rd\n\n\n", "a\x0cb\u2028c\re\n\n\nf\n"),
        ("--- a\n+++ b\n", "--- a\n+++ c\n@@ 1\n"),
    ],
)
def test_awkward_files_and_names(
    tmp_path: Path, program: str, name: str, before: str, after: str
) -> None:
    file = tmp_path / name
    file.write_bytes(before.encode())
    apply(program, unified.patch(name, before, after), tmp_path)
    assert file.read_bytes() == after.encode()
