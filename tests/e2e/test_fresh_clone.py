"""A fresh clone on a bare machine: only what the README says, nothing of ours on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "git", "make", "cksum", "sed", "mktemp", "rm", "dirname", "env", "cat")
REGISTRY = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")


def bare_machine(folder: Path, *, python: str | None) -> dict[str, str]:
    """An environment whose PATH holds bash, git, make, a few small tools, and python3 or none."""
    path = folder / "bin"
    path.mkdir(parents=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"this machine has no {tool}"
        (path / tool).symlink_to(found)
    if python is not None:
        (path / "python3").symlink_to(python)
    passed = {name: os.environ[name] for name in (*REGISTRY, *PROXIES) if name in os.environ}
    return {**passed, "PATH": str(path), "HOME": str(folder / "home"), "LANG": "C.UTF-8"}


def copy_of_checkout(folder: Path) -> Path:
    """What a clone would hold: the files that are not ignored."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if listed.returncode != 0:  # a checkout that was copied without its history
        ignored = shutil.ignore_patterns(".venv", ".labcoat", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, folder, ignore=ignored)
        return folder
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def make(target: str, *, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", target], cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=600
    )


@pytest.mark.timeout(900)
def test_a_bare_machine_sets_itself_up(tmp_path: Path) -> None:
    python = os.path.realpath(Path(sys.base_prefix) / "bin" / "python3")
    env = bare_machine(tmp_path / "machine", python=python)
    clone = copy_of_checkout(tmp_path / "a clone")  # a blank in the path is the user's right
    first = make("setup", cwd=clone, env=env)
    assert first.returncode == 0, first.stdout + first.stderr
    helped = subprocess.run(
        [clone / ".venv/bin/python", "-m", "labcoat", "--version"],
        env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert helped.stdout.startswith("labcoat ")
    again = make("setup", cwd=clone, env=env)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_without_python_the_message_says_what_to_do(tmp_path: Path) -> None:
    env = bare_machine(tmp_path / "machine", python=None)
    clone = copy_of_checkout(tmp_path / "clone")
    failed = make("setup", cwd=clone, env=env)
    assert failed.returncode != 0
    assert "error: there is no Python >= 3.11 here" in failed.stderr
    assert "way out  install one, or name it: make PYTHON=/path/to/python3.11" in failed.stderr
