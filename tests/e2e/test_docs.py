"""Every ``console`` block of the tutorial and the how-tos is executed, in order, in one shell per page.

Lines that begin with ``$ `` are commands, the lines below what they print on standard output; ``...`` stands for
anything, also several lines. A command without lines below may print what it likes. The
commands start where the examples lie. Exit code 4 (measured, but not to be trusted on this
machine) is an answer too; it may come without what was expected.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *(
        page
        for page in sorted((ROOT / "docs" / "how-to").glob("*.md"))
        if BLOCK.search(page.read_text())
    ),
]
MARK = "--- end of command"


@dataclass(frozen=True)
class Step:
    command: str
    expected: str


def steps_of(text: str) -> list[Step]:
    steps: list[Step] = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            while command.endswith("\\"):
                more, _, expected = expected.partition("\n")
                command += "\n" + more.removeprefix("> ")
            steps.append(Step(command, expected.strip("\n")))
    return steps


@dataclass(frozen=True)
class Outcome:
    code: int
    printed: str


def matches(expected: str, printed: str) -> bool:
    """Whether a text is what was expected, ``...`` standing for anything."""
    pattern = re.escape(expected).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, printed.strip("\n"), re.DOTALL) is not None


def perform(steps: list[Step], folder: Path, timeout_s: float) -> list[Outcome]:
    """Do the commands in one bash; ends what they left in the background."""
    script = "".join(
        f"{step.command}\ncode=$?; echo '{MARK}' $code; ((code == 0 || code == 4)) || exit $code\n"
        for step in steps
    )
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    errors = folder / "stderr.txt"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            ["bash", "-u", "-o", "pipefail", "-c", script],
            cwd=folder,
            env={**os.environ, "PATH": path, "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as shell,
    ):
        try:
            printed, _ = shell.communicate(timeout=timeout_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
    assert shell.returncode == 0, printed + errors.read_text()
    *parts, _ = re.split(rf"^{MARK} (\d+)\n", printed, flags=re.MULTILINE)
    return [Outcome(int(code), text) for text, code in zip(parts[::2], parts[1::2], strict=True)]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_works_as_written(page: Path, tmp_path: Path) -> None:
    steps = steps_of(page.read_text())
    assert steps, "a page without a command"
    shutil.copytree(
        ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".labcoat")
    )
    for step, outcome in zip(steps, perform(steps, tmp_path, 1000), strict=True):
        if step.expected and (outcome.code == 0 or outcome.printed):
            assert matches(step.expected, outcome.printed), f"$ {step.command}\n{outcome.printed}"


def test_steps_are_taken_from_console_blocks_only() -> None:
    text = "```console\n$ echo a \\\n> b\na b\n$ true\n```\n```text\n$ no\n```\n"
    assert steps_of(text) == [Step("echo a \\\nb", "a b"), Step("true", "")]


@pytest.mark.parametrize(
    ("expected", "printed", "answer"),
    [
        ("a ... c", "a b\nb c\n", True),
        ("a ... c", "a c", False),
        ("a.c", "abc", False),
        ("a", "a\nb", False),
    ],
)
def test_dots_stand_for_anything(expected: str, printed: str, *, answer: bool) -> None:
    assert matches(expected, printed) is answer


def test_what_each_command_prints_is_told_apart(tmp_path: Path) -> None:
    steps = [Step("x=1; echo one", ""), Step("echo $x; (exit 4)", ""), Step("true", "")]
    assert perform(steps, tmp_path, 60) == [
        Outcome(0, "one\n"),
        Outcome(4, "1\n"),
        Outcome(0, ""),
    ]


def test_a_command_that_fails_fails_the_page(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        perform([Step("false", ""), Step("true", "")], tmp_path, 60)
