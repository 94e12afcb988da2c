"""Shell text as commands, and command lines as options."""

from __future__ import annotations

import pytest

from labcoat.project.command_line import from_environment, parse
from labcoat.project.dockerfile import instructions
from labcoat.project.grammars import GRANIAN, GUNICORN, UVICORN, UWSGI, Program
from labcoat.project.words import Said, commands_of, expanded, variables_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gunicorn app", [Said(words=("gunicorn", "app"))]),
        ("cd src && exec gunicorn app", [Said(words=("gunicorn", "app"), folder="src")]),
        ("cd /srv; cd /app/x\ngunicorn", [Said(words=("gunicorn",), folder="/app/x", line=1)]),
        ("A=1 B='2 3' x", [Said(words=("x",), env=(("A", "1"), ("B", "2 3")))]),
        ("export A=1\nx", [Said(words=("x",), env=(("A", "1"),), line=1)]),
        ("# x\n\na \\\n  b # c\nd", [Said(words=("a", "b"), line=2), Said(words=("d",), line=4)]),
        ("a 'b;c' \"d && e\" | f", [Said(words=("a", "b;c", "d && e")), Said(words=("f",))]),
        ("a -w $((2 * $(nproc) + 1)) b", [Said(words=("a", "-w", "$((2", "*", "$(nproc)", "+", "1))", "b"))]),
        ("bash -lc 'cd x && y z'", [Said(words=("y", "z"), folder="x")]),
        ("a &", [Said(words=("a",))]),
        ("", []),
    ],
)  # fmt: skip
def test_shell_text_is_taken_apart(text: str, expected: list[Said]) -> None:
    assert list(commands_of(text)) == expected


def test_a_quote_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match="No closing quotation"):
        list(commands_of("gunicorn 'app"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$A", "1"),
        ("x${A}y", "x1y"),
        ("${B:-7}", "7"),
        ("${B-7}", "7"),
        ("$B", "$B"),
        ("$(nproc)", "$(nproc)"),
    ],
)
def test_variables_are_filled_where_they_are_known(word: str, expected: str) -> None:
    assert expanded(word, {"A": "1"}) == expected


def test_names_of_variables() -> None:
    assert variables_of("$A:${B:-2}") == ("A", "B")


@pytest.mark.parametrize(
    ("program", "words", "options", "rest"),
    [
        (GUNICORN, "-w4 --threads=2 -k gevent a:b", {"workers": 4, "threads": 2, "worker_class": "gevent"}, ("a:b",)),
        (GUNICORN, "--preload --access-logfile - a", {"preload_app": True, "accesslog": "-"}, ("a",)),
        (GUNICORN, "--no-sendfile --timeout 1.5", {"sendfile": False, "timeout": 1.5}, ()),
        (GUNICORN, "-D --user www --pid x --reload a", {}, ("a",)),
        (UWSGI, "-M -p 4 --socket /x.sock app.ini", {"master": True, "processes": 4, "socket": "/x.sock"}, ("app.ini",)),
        (GRANIAN, "--no-ws --workers 2 m:a", {"ws": False, "workers": 2}, ("m:a",)),
        (UVICORN, "m:a --proxy-headers --limit-concurrency 9", {"proxy-headers": True, "limit-concurrency": 9}, ("m:a",)),
        (UVICORN, "--workers $N m:a", {}, ("m:a",)),
    ],
)  # fmt: skip
def test_options_have_the_study_s_spelling(
    program: Program, words: str, options: dict[str, object], rest: tuple[str, ...]
) -> None:
    parsed = parse(program, words.split())
    assert dict(parsed.options) == options
    assert parsed.rest == rest


def test_what_a_study_does_not_take_is_told_apart() -> None:
    parsed = parse(GUNICORN, ["--chdir", "/x", "-e", "A=1", "-e", "B=2", "--daemon", "-w", "$N"])
    assert parsed.elsewhere["chdir"] == "/x"
    assert parsed.env == ("A=1", "B=2")
    assert set(parsed.left_out) == {"daemon"}
    assert parsed.unfilled == {"workers": "$N"}


@pytest.mark.parametrize(
    ("program", "environment", "options"),
    [
        (GUNICORN, {"GUNICORN_CMD_ARGS": "--workers 3"}, {"workers": 3}),
        (GUNICORN, {"GUNICORN_CMD_ARGS": "'"}, {}),
        (UWSGI, {"UWSGI_PROCESSES": "3", "UWSGI_MASTER": "1"}, {"processes": 3, "master": True}),
        (UVICORN, {"UVICORN_WORKERS": "3", "OTHER": "x"}, {"workers": 3}),
        (GRANIAN, {"GRANIAN_THREADS": ""}, {}),
    ],
)
def test_variables_are_options_too(
    program: Program, environment: dict[str, str], options: dict[str, object]
) -> None:
    assert dict(from_environment(program, environment).options) == options


def test_instructions_of_a_dockerfile_keep_their_lines() -> None:
    text = "FROM a\n# c\nENV A=1 \\\n  # inside\n  B=2\n\ncmd x\n"
    assert list(instructions(text)) == [
        ("FROM", "a", 1),
        ("ENV", "A=1    B=2", 3),
        ("CMD", "x", 7),
    ]
