r"""Command lines, wherever a user keeps the one that starts a server.

Read as a shell reads them (quotes, ``\`` at the end of a line) or as a list of JSON strings
(``CMD [...]`` of a Dockerfile, ``command: [...]`` of Compose); never run by a shell. A level is
put where the option in force stands, word for word; one that is not there goes behind the last
option. Everything around it keeps its bytes.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.patch import Patch, apply, line_of

# How the line begins that starts a program, by the name of the file.
_STARTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r".*\.service"), r"ExecStart[ \t]*=[ \t]*[@:+!|-]*"),
    (re.compile(r"(?i)(?:docker|container)file.*|.*\.(?:docker|container)file"),
     r"(?:CMD|ENTRYPOINT|cmd|entrypoint)[ \t]+"),
    (re.compile(r".*\.ya?ml"), r"[ \t]*(?:-[ \t]+)?(?:command|entrypoint):[ \t]*"),
    (re.compile(r"Procfile.*"), r"[\w-]+:[ \t]*"),
)  # fmt: skip
_SCRIPT = r"[ \t]*"
# What may stand before the program in a script; a file that only mentions it starts nothing.
_LEADS = frozenset(
    {
        "&&", "--", "-c", "-m", "bash", "ddtrace-run", "dumb-init", "env", "exec", "newrelic-admin",
        "nohup", "opentelemetry-instrument", "pipenv", "poetry", "python", "python3", "run",
        "run-program", "sh", "tini", "uv",
    }
)  # fmt: skip
_LOGICAL_LINE = re.compile(r"(?:\\\r?\n|[^\n])+")
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::?-(?P<default>[^}]*))?\}|(?P<bare>\w+))")
_STOPS = frozenset("\r\n;|&<>()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """How a program spells its options.

    ``flags``: option without a value -> (setting, its level). ``names``: option -> setting, for
    those that are not spelled alike. ``lists``: settings that may be given again and again.
    ``letters``: whether a value may stick to a short option (``-w4``).
    ``spelling``: the setting that an unknown ``--option`` means.
    """

    program: str
    flags: Mapping[str, tuple[str, Level]]
    names: Mapping[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    underscores: bool = False
    toggles: bool = False

    def setting(self, option: str) -> str:
        """The setting that an option with a value means."""
        name = self.names.get(option) or option.lstrip("-")
        return name.replace("-", "_") if self.underscores else name

    def flag(self, option: str) -> tuple[str, Level] | None:
        """(setting, level) of an option without a value; None if it takes one."""
        if option in self.flags:
            return self.flags[option]
        if self.toggles and option.startswith("--no-"):
            return option.removeprefix("--no-"), False
        return None

    def words(self, setting: str, level: Level) -> tuple[str, ...]:
        """The words for a level; none where only leaving the option out says it."""
        known = [name for name, meant in self.flags.items() if meant == (setting, level)]
        if known:
            return (max(known, key=len),)
        if isinstance(level, bool):
            return (f"--no-{setting}",) if self.toggles and not level else ()
        names = [name for name, meant in self.names.items() if meant == setting]
        option = max(names, key=len) if names else "--" + setting.replace("_", "-")
        return option, str(level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word, quotes off. ``start``/``end``: its span with its quotes."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a command line, with the words that say it.

    ``value``: None for a flag. ``at``: how many characters of the last word stand before the
    value (``--workers=`` or ``-w``); 0 where the value is a word of its own.
    """

    setting: str
    value: str | None
    level: Level
    words: tuple[Word, ...]
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line inside of a text. ``place``: ``file:line``, or the key of labcoat.toml.

    ``path``: the file that holds it, None where labcoat.toml does. ``rest``: words that are no
    options, the program left out.
    """

    text: str
    place: str
    path: Path | None
    grammar: Grammar
    program: Word
    options: tuple[Option, ...]
    rest: tuple[Word, ...]
    is_json: bool = False

    def said(self, setting: str) -> Option | None:
        """The option in force, the last one."""
        return next((one for one in reversed(self.options) if one.setting == setting), None)

    def settings(self, env: Mapping[str, str]) -> dict[str, Level | list[str]]:
        """What the line says, each setting once, variables of ``env`` filled.

        A value that cannot be filled is left out; ``unfilled`` names it.
        """
        found: dict[str, Level | list[str]] = {}
        for option in self.options:
            level: Level = option.level
            if option.value is not None:
                text = filled(option.value, env)
                if text is None:
                    continue
                level = level_of(text)
                if option.setting in self.grammar.lists:
                    earlier = found.get(option.setting)
                    found[option.setting] = [*(earlier if isinstance(earlier, list) else ()), text]
                    continue
            found[option.setting] = level
        return found

    def unfilled(self, env: Mapping[str, str]) -> tuple[Option, ...]:
        """Options whose value names a variable that ``env`` does not hold."""
        return tuple(
            one for one in self.options if one.value is not None and filled(one.value, env) is None
        )

    def assigned(self, levels: Mapping[str, Level], env: Mapping[str, str]) -> str:
        """The text with these levels in force."""
        patches: list[Patch] = []
        missing: list[str] = []
        for setting, level in levels.items():
            option = self.said(setting)
            if option is not None and _same(self.settings(env).get(setting), level):
                continue
            words = self.grammar.words(setting, level)
            if option is None:
                missing += words
            elif option.value is None or len(words) != 2:
                patches += self._replaced(option, words)
            else:
                patches.append(self._valued(option, words[1]))
        if missing:
            after = self.options[-1].words[-1] if self.options else self.program
            text = "".join(self._lead() + self._quoted(word) for word in missing)
            patches.append(Patch(after.end, after.end, text))
        return apply(self.text, patches)

    def _valued(self, option: Option, level: str) -> Patch:
        word = option.words[-1]
        kept = word.text[: option.at]
        return Patch(word.start, word.end, self._quoted(kept + level))

    def _replaced(self, option: Option, words: tuple[str, ...]) -> list[Patch]:
        """An option by others; by none, it goes with what parts it from the word before."""
        first, last = option.words[0], option.words[-1]
        if words:
            text = self._lead().join(self._quoted(word) for word in words)
            return [Patch(first.start, last.end, text)]
        before = max(
            word.end
            for word in (self.program, *self.rest, *(w for o in self.options for w in o.words))
            if word.end <= first.start
        )
        return [Patch(before, last.end, "")]

    def _lead(self) -> str:
        return ", " if self.is_json else " "

    def _quoted(self, word: str) -> str:
        return json.dumps(word) if self.is_json else shlex.quote(word)


def is_command_file(path: Path) -> bool:
    """Whether a file of this name holds a command line, rather than settings."""
    return path.suffix not in {
        ".cfg",
        ".conf",
        ".ini",
        ".js",
        ".json",
        ".py",
        ".toml",
        ".xml",
    } and (path.suffix not in {".yml", ".yaml"} or "compose" in path.name)


def parse(line: str, grammar: Grammar, *, where: str) -> Command:
    """A command line by itself. Raises: RenderError if it does not start the program."""
    found = _program(grammar.program).search(line)
    if found is None:
        raise RenderError(
            f"the command does not start {grammar.program}",
            where=where,
            way_out=f'write it as you start it: command = "{grammar.program} ..."',
        )
    return _read(line, found, len(line), grammar, place=where, path=None)


def find(text: str, grammar: Grammar, *, path: Path) -> Command:
    """The one command line of a file that starts the program. Raises: RenderError."""
    start = next((start for name, start in _STARTS if name.fullmatch(path.name)), _SCRIPT)
    found: list[Command] = []
    for line in _LOGICAL_LINE.finditer(text):
        lead = re.match(start, line[0])
        if lead is None or line[0].lstrip().startswith("#"):
            continue
        match = _program(grammar.program).search(text, line.start() + lead.end(), line.end())
        if match is None:
            continue
        before = text[line.start() + lead.end() : match.start()]
        if start is _SCRIPT and not _is_lead(before):
            continue
        place = f"{path}:{line_of(text, match.start())}"
        end = _closing(text, line.start() + lead.end(), match, line.end())
        found.append(_read(text, match, end, grammar, place=place, path=path))
    if len(found) == 1:
        return found[0]
    if not found:
        raise RenderError(
            f"no line of the file starts {grammar.program}",
            where=path,
            way_out=(
                f"name the file that holds the whole command on one line, or write it into "
                f'labcoat.toml: {grammar.program} = {{ command = "{grammar.program} ..." }}'
            ),
        )
    raise RenderError(
        f"several lines of the file start {grammar.program}",
        where=path,
        log=[each.place for each in found],
        way_out=f"write the one to measure into labcoat.toml: {grammar.program} = "
        '{ command = "..." }',
    )


def filled(text: str, env: Mapping[str, str]) -> str | None:
    """A word with ``$NAME`` and ``${NAME:-default}`` filled; None if one is nowhere."""
    lacking = "$(" in text

    def value(found: re.Match[str]) -> str:
        nonlocal lacking
        name = found["braced"] or found["bare"]
        given = env.get(name, found["default"])
        lacking = lacking or given is None
        return given or ""

    said = _VARIABLE.sub(value, text)
    return None if lacking else said


def level_of(text: str) -> Level:
    """A word as a level: a whole number, a number, or what it says."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _same(said: object, level: Level) -> bool:
    return type(said) is type(level) and said == level


def _program(name: str) -> re.Pattern[str]:
    """The program as a word: by name, by path, or as ``python -m`` has it."""
    return re.compile(rf"(?<![\w./$~{{}}-])(?:[\w.~${{}}@%-]*/)*{name}(?:\.__main__)?(?![\w./:=-])")


def _is_lead(before: str) -> bool:
    """Whether what stands before a program in a script leads up to starting it."""
    last = re.split(r"&&|\|\||;", before)[-1]
    words = [word.strip("\"'\\") for word in last.split()]
    return all(re.match(r"\w+=|$", w) or w.rpartition("/")[2] in _LEADS for w in words)


def _closing(text: str, start: int, program: re.Match[str], end: int) -> int:
    """Where the string ends in which a command stands, as in ``sh -c "..."``; else ``end``."""
    opened = ""
    position, at = start, program.start()
    while position < at:
        character = text[position]
        if character == "\\":
            position += 1
        elif opened:
            opened = "" if character == opened else opened
        elif character in "\"'":
            opened = character
        position += 1
    if not opened or text.startswith(opened, program.end()):  # the program alone is quoted
        return end
    closing = re.compile(rf"(?<!\\){opened}").search(text, at, end)
    return closing.start() if closing is not None else end


def _read(
    text: str,
    found: re.Match[str],
    end: int,
    grammar: Grammar,
    *,
    place: str,
    path: Path | None,
) -> Command:
    start = found.start()
    is_json = text[start - 1 : start] == '"' and text[found.end() : found.end() + 1] == '"'
    program = Word(text=found[0], start=start - is_json, end=found.end() + is_json)
    words = list((_json_words if is_json else _shell_words)(text, program.end, end))
    options, rest = _options(words, grammar)
    return Command(
        text=text,
        place=place,
        path=path,
        grammar=grammar,
        program=program,
        options=options,
        rest=rest,
        is_json=is_json,
    )


def _options(words: list[Word], grammar: Grammar) -> tuple[tuple[Option, ...], tuple[Word, ...]]:
    options: list[Option] = []
    rest: list[Word] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if not word.text.startswith("-") or word.text in {"-", "--"}:
            rest.append(word)
            continue
        name, equals, value = word.text.partition("=")
        is_long = name.startswith("--")
        flag = grammar.flag(name) if not equals else None
        if flag is not None:
            options.append(Option(setting=flag[0], value=None, level=flag[1], words=(word,)))
        elif is_long and equals:
            setting = grammar.setting(name)
            options.append(
                Option(
                    setting=setting,
                    value=value,
                    level=level_of(value),
                    words=(word,),
                    at=len(name) + 1,
                )
            )
        elif not is_long and len(word.text) > 2:
            letter, value = word.text[:2], word.text[2:]
            setting = grammar.setting(letter)
            options.append(
                Option(setting=setting, value=value, level=level_of(value), words=(word,), at=2)
            )
        elif queue:
            given = queue.pop(0)
            options.append(
                Option(
                    setting=grammar.setting(name),
                    value=given.text,
                    level=level_of(given.text),
                    words=(word, given),
                )
            )
        else:
            options.append(
                Option(setting=grammar.setting(name), value=None, level=True, words=(word,))
            )
    return tuple(options), tuple(rest)


def _json_words(text: str, start: int, end: int) -> Iterator[Word]:
    pattern = re.compile(r'[\s,]*("(?:[^"\\\n]|\\.)*")')
    position = start
    while (found := pattern.match(text, position, end)) is not None:
        yield Word(text=str(json.loads(found[1])), start=found.start(1), end=found.end(1))
        position = found.end()


def _shell_words(text: str, start: int, end: int) -> Iterator[Word]:
    continued = re.compile(r"(?:[ \t]|\\\r?\n)*")
    position = start
    while True:
        blank = continued.match(text, position, end)
        position = blank.end() if blank is not None else position
        if position >= end or text[position] in _STOPS or text[position] == "#":
            return
        if re.compile(r"\d+[<>]").match(text, position, end):
            return
        word = _shell_word(text, position, end)
        yield word
        position = word.end


def _shell_word(text: str, start: int, end: int) -> Word:
    """One word as a shell cuts it; variables in it stay as they are written."""
    said: list[str] = []
    position, quote = start, ""
    while position < end:
        character = text[position]
        if text.startswith("$(", position) and quote != "'":
            closing = text.find(")", position, end)
            said.append(text[position : closing if closing >= 0 else end])
            position = closing if closing >= 0 else end - 1
            character = text[position]
        elif not quote and (character in " \t" or character in _STOPS):
            break
        if character == "\\" and quote != "'" and position + 1 < end:
            if text[position + 1] in "\r\n":
                break
            position += 1
            said.append(text[position])
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote = character
        else:
            said.append(character)
        position += 1
    return Word(text="".join(said), start=start, end=position)
