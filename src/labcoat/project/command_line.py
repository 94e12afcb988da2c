"""What the command line of an app server means for a study, option by option."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.project.grammars import GUNICORN, UVICORN, Program
from labcoat.stack.edit import command

CONCURRENCY = "WEB_CONCURRENCY"
ARGUMENTS = "GUNICORN_CMD_ARGS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """Options by the study's spelling; what it says otherwise; and what has to be told.

    ``unfilled``: setting -> a value with a variable that nothing sets. ``rest``: other words.
    """

    options: Mapping[str, Level] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    unfilled: Mapping[str, str] = field(default_factory=dict)
    env: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()

    def over(self, weaker: Parsed) -> Parsed:
        """Both, where this one wins."""
        return Parsed(
            options={**weaker.options, **self.options},
            elsewhere={**weaker.elsewhere, **self.elsewhere},
            left_out={**weaker.left_out, **self.left_out},
            unfilled={**weaker.unfilled, **self.unfilled},
            env=(*weaker.env, *self.env),
            rest=self.rest,
        )


def parse(program: Program, words: Sequence[str]) -> Parsed:
    """The options of a command line; none of a text that is not one."""
    text = shlex.join((program.name, *words))
    try:
        line = command.parse(text, program.grammar, where=program.name)
    except RenderError:
        return Parsed()
    said = line.settings({})
    options, elsewhere, left_out = {}, {}, {}
    for name, level in said.items():
        last = level[-1] if isinstance(level, list) else level
        if name in program.left_out:
            left_out[name] = program.left_out[name]
        elif name in program.elsewhere:
            elsewhere[name] = str(last)
        else:
            options[name] = last
    unfilled = {one.setting: one.value or "" for one in line.unfilled({})}
    env = [said[name] for name in ("env", "raw_env") if name in said]
    return Parsed(
        options=options,
        elsewhere=elsewhere,
        left_out=left_out,
        unfilled={name: value for name, value in unfilled.items() if name not in said},
        env=tuple(one for several in env if isinstance(several, list) for one in several),
        rest=tuple(word.text for word in line.rest),
    )


def concurrency(program: Program, env: Mapping[str, str]) -> Parsed:
    """``WEB_CONCURRENCY``, the default of ``workers`` for Gunicorn and Uvicorn."""
    said = env.get(CONCURRENCY, "")
    is_read = program in (GUNICORN, UVICORN) and said.isdecimal()
    return Parsed(options={"workers": int(said)} if is_read else {})


def from_environment(program: Program, env: Mapping[str, str]) -> Parsed:
    """What the server reads from variables: ``GUNICORN_CMD_ARGS``, ``UWSGI_PROCESSES``."""
    if program is GUNICORN:
        try:
            return parse(program, shlex.split(env.get(ARGUMENTS, "")))
        except ValueError:
            return Parsed()
    words: list[str] = []
    for name, value in env.items():
        if name.startswith(program.prefix) and value:
            option = f"--{name.removeprefix(program.prefix).lower().replace('_', '-')}"
            is_flag = program.grammar.flag(option) is not None
            words += [option] if is_flag and value in {"1", "true"} else []
            words += [] if is_flag else [f"{option}={value}"]
    return parse(program, words)
