from __future__ import annotations

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

import labcoat
from labcoat.cli import exit_codes
from labcoat.cli.door import answer
from labcoat.cli.exit_codes import ExitCode
from labcoat.cli.options import json_option, print_document
from labcoat.cli.rows import COMMANDS, CommandRow
from labcoat.cli.watch.rows import COMMANDS as WATCH_COMMANDS
from labcoat.errors import Died, LabcoatError, UsageError

Rows = tuple[CommandRow, ...]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def rows_of() -> Iterator[Callable[[Callable[[], None]], Rows]]:
    """Rows with one command, ``do``, whose body is the function given."""
    name = "labcoat_a_command_of_tests"

    def build(body: Callable[[], None]) -> Rows:
        @click.command("do")
        @json_option
        def command(*, as_json: bool) -> None:
            body()

        module = types.ModuleType(name)
        module.__dict__["command"] = command
        sys.modules[name] = module
        return (CommandRow("do", name, "Do it."), CommandRow("gone", "labcoat.cli.gone", "Gone."))

    yield build
    sys.modules.pop(name, None)


def fail_with(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


ENDINGS = [
    (LabcoatError("no room"), 1, "error: no room\n"),
    (
        Died("nginx ended", where="experiment 4", way_out="read the log", log=["a", "b"]),
        1,
        "error: nginx ended\n  a\n  b\n  where    experiment 4\n  way out  read the log\n",
    ),
    (
        UsageError("1 mistake", where="labcoat.toml"),
        2,
        "error: 1 mistake\n  where    labcoat.toml\n",
    ),
    (click.exceptions.Exit(3), 3, ""),
    (click.exceptions.Exit(4), 4, ""),
    (
        KeyboardInterrupt(),
        130,
        "error: interrupted; everything that labcoat started was taken down\n",
    ),
    (
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full"),
        1,
        "error: No space left on device\n  where    /full\n"
        "  way out  free space there, or point TMPDIR or LABCOAT_SANDBOXES at another disk\n",
    ),
    (
        KeyError("x"),
        1,
        "error: a defect in labcoat: KeyError: 'x'\n"
        "  way out  LABCOAT_DEBUG=1 shows the traceback; please report it\n",
    ),
]


@pytest.mark.parametrize(("error", "code", "message"), ENDINGS)
def test_every_ending_has_its_exit_code_and_message(
    rows_of: Callable[[Callable[[], None]], Rows],
    capsys: Capture,
    error: BaseException,
    code: int,
    message: str,
) -> None:
    assert answer(["do"], rows=rows_of(fail_with(error))) == code
    assert capsys.readouterr() == ("", message)


def test_finished_is_0(rows_of: Callable[[Callable[[], None]], Rows], capsys: Capture) -> None:
    assert answer(["do"], rows=rows_of(lambda: click.echo("done"))) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_with_json_a_failure_is_the_one_document(
    rows_of: Callable[[Callable[[], None]], Rows], capsys: Capture
) -> None:
    error = UsageError("wrong", where="here", way_out="there", log=["line 1"])
    assert answer(["do", "--json"], rows=rows_of(fail_with(error))) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "error": {
            "kind": "UsageError",
            "what": "wrong",
            "where": "here",
            "way_out": "there",
            "log": ["line 1"],
            "exit_code": 2,
        }
    }
    assert printed.err.startswith("error: wrong\n")


def test_a_failure_after_the_document_prints_no_second_one(
    rows_of: Callable[[Callable[[], None]], Rows], capsys: Capture
) -> None:
    def body() -> None:
        print_document({"a": 1})
        raise LabcoatError("late")

    assert answer(["do", "--json"], rows=rows_of(body)) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"a": 1}
    assert printed.err == "error: late\n"


def test_a_document_holds_no_number_that_json_cannot_say(
    rows_of: Callable[[Callable[[], None]], Rows], capsys: Capture
) -> None:
    rows = rows_of(lambda: print_document({"a": float("nan")}))
    assert answer(["do", "--json"], rows=rows) == 1
    assert "a defect in labcoat: ValueError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "what", "where"),
    [
        (["dooo"], "there is no command 'dooo'; did you mean \"do\"?", "labcoat"),
        (["xyz"], "there is no command 'xyz'", "labcoat"),
        (["--nothing"], "No such option '--nothing'.", "labcoat"),
        (["do", "--nothing"], "No such option '--nothing'.", "labcoat do"),
        (["do", "extra"], "Got unexpected extra argument (extra)", "labcoat do"),
    ],
)
def test_wrong_arguments_are_usage_errors_in_three_parts(
    rows_of: Callable[[Callable[[], None]], Rows],
    capsys: Capture,
    argv: list[str],
    what: str,
    where: str,
) -> None:
    assert answer(argv, rows=rows_of(lambda: None)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {what.rstrip('.')}"), printed.err
    assert f"\n  where    {where}\n  way out  {where} --help\n" in printed.err


def test_no_command_shows_the_help_as_a_usage_error(capsys: Capture) -> None:
    assert answer([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Usage: labcoat" in printed.err


def test_a_command_that_cannot_be_imported_leaves_the_help_alone(
    rows_of: Callable[[Callable[[], None]], Rows], capsys: Capture
) -> None:
    rows = rows_of(lambda: None)
    assert answer(["--help"], rows=rows) == 0
    assert "gone  Gone." in capsys.readouterr().out
    assert answer(["gone"], rows=rows) == 1
    assert "a defect in labcoat: ModuleNotFoundError" in capsys.readouterr().err


def test_version(capsys: Capture) -> None:
    assert answer(["--version"]) == 0
    assert capsys.readouterr().out == f"labcoat {labcoat.__version__}\n"


def test_every_row_has_its_command() -> None:
    for row in (*COMMANDS, *WATCH_COMMANDS):
        command = importlib.import_module(row.module).command
        assert isinstance(command, click.Command)


def test_every_exit_code_has_a_meaning() -> None:
    assert list(exit_codes.MEANINGS) == list(ExitCode)


HEAVY = {
    "numpy", "scipy", "sqlalchemy", "plotly", "libcst", "crossplane", "rich", "pydantic",
    "asyncio", "jinja2", "psutil", "psycopg", "uvloop",
}  # fmt: skip


def test_the_help_imports_click_and_little_else() -> None:
    script = (
        "import sys; from labcoat.cli.door import answer; answer(['--help']); print(*sys.modules)"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    modules = set(printed.splitlines()[-1].split())
    assert "click" in modules
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert {name for name in modules if name.startswith("labcoat.cli.")} == {
        "labcoat.cli.door", "labcoat.cli.exit_codes", "labcoat.cli.lazy", "labcoat.cli.options",
        "labcoat.cli.rows",
    }  # fmt: skip


WORKING = """
import os, pathlib, signal, sys, time, types, click
from labcoat.cli import door
from labcoat.cli.rows import CommandRow

@click.command("work")
def command():
    try:
        print("up", flush=True)
        time.sleep(60)
    finally:
        print("taking down", flush=True)
        time.sleep(0.3)
        print("down", flush=True)

sys.modules["work"] = types.ModuleType("work")
sys.modules["work"].command = command
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)  # whatever nohup or a background job left ignored
door.interrupt_on_signals()
sys.exit(door.answer(["work"], rows=(CommandRow("work", "work", ""),)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_unwind_once_and_exit_130(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.stdout.readline() == "taking down\n"
        process.send_signal(number)  # the impatient second one changes nothing
        rest, said = process.communicate(timeout=30)
    assert rest == "down\n"
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.endswith("error: interrupted; everything that labcoat started was taken down\n")


@pytest.mark.slow
def test_a_signal_that_was_ignored_stays_ignored() -> None:
    script = textwrap.dedent("""
        import os, signal
        from labcoat.cli.door import interrupt_on_signals
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        interrupt_on_signals()
        os.kill(os.getpid(), signal.SIGHUP)
        print("still here")
    """)
    completed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert completed.stdout == "still here\n"


CHATTY = """
import sys, types, click
from labcoat.cli import door
from labcoat.cli.rows import CommandRow

@click.command("talk")
def command():
    for _ in range(100_000):
        print("a line of an answer")

sys.modules["talk"] = types.ModuleType("talk")
sys.modules["talk"].command = command
sys.exit(door.answer(["talk"], rows=(CommandRow("talk", "talk", ""),)))
"""


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_scandal() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHATTY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert said == ""
    assert process.returncode == 1


@pytest.mark.slow
def test_an_answer_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        completed = subprocess.run(
            [sys.executable, "-c", CHATTY],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert completed.returncode == 1
    assert completed.stderr.startswith("error: No space left on device\n")
    assert "Traceback" not in completed.stderr


def test_debug_shows_the_traceback(
    rows_of: Callable[[Callable[[], None]], Rows],
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LABCOAT_DEBUG", "1")
    assert answer(["do"], rows=rows_of(fail_with(KeyError("x")))) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
