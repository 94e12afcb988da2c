"""Jinja2, sandboxed, with the way back to source lines."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import TemplateSyntaxError, Undefined, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from labcoat.watch.model.secret import placeholder
from labcoat.watch.runbook.report import Position, Report

LONGEST = 1 << 20
_MARK = re.compile("\x02(\\d+)\x03")
# What a shell acts on, what YAML acts on, and our own placeholders' quotes. A comma or a
# colon inside a word, as in an address, is neither's business.
_HOSTILE = re.compile(
    r"""[\x00-\x1f\x7f"'`$|&;<>()\\*?\[\]{}!‹›\u0085\u2028\u2029]|[:,](?=\s|$)|(?:^|\s)[#%@]|^[-~]"""
)
_LOADED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Quoted(str):
    """A text that is safe in a shell: quoted, or a placeholder of a secret."""

    __slots__ = ()


class Hostile(Exception):
    """An expression that yields something a shell or YAML would act on."""


class UnknownFact:
    """Any fact, where no target's facts are at hand: prints ``fact``, holds or does not.

    Rendering once with ``truth`` and once without covers both sides of a simple condition.
    """

    unsafe_callable = alters_data = False  # what the sandbox asks before a call

    def __init__(self, *, truth: bool) -> None:
        self.truth = truth

    def __getitem__(self, name: object) -> UnknownFact:
        return self

    def __getattr__(self, name: str) -> UnknownFact:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: object, **named: object) -> UnknownFact:
        del arguments, named
        return self

    def __bool__(self) -> bool:
        return self.truth

    def __contains__(self, item: object) -> bool:
        return self.truth

    def __eq__(self, other: object) -> bool:
        return self.truth

    def __ne__(self, other: object) -> bool:
        return self.truth

    def __lt__(self, other: object) -> bool:
        return self.truth

    __le__ = __gt__ = __ge__ = __lt__
    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Any:
        return iter((self,) if self.truth else ())

    def __len__(self) -> int:
        return int(self.truth)

    def __str__(self) -> str:
        return "fact"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text, and for each of its lines the line of the source that it comes from."""

    text: str
    lines: tuple[int, ...]

    def source_line(self, line: int) -> int:
        """The source line of a rendered line, both from 1."""
        return self.lines[min(line, len(self.lines)) - 1] if self.lines else 1


@dataclass(frozen=True, slots=True)
class Prepared:
    """A template that can be rendered: with markers, and which source line each line was.

    ``uses_facts``: whether what it prints depends on the target.
    """

    marked: str
    origin: tuple[int, ...]
    uses_facts: bool


class Refused(Exception):
    """A template that cannot be prepared: code, line, message. Told as a finding."""

    def __init__(self, code: str, line: int, message: str) -> None:
        super().__init__(message)
        self.code, self.line, self.message = code, line, message


def quoted(value: object) -> Quoted:
    """The filter ``quote``: one word for a shell."""
    return Quoted(shlex.quote(str(value)))


def checked(value: object) -> object:
    """What an expression yields, refused where it could act. Facts are hostile."""
    if isinstance(value, Undefined | Quoted | UnknownFact):
        return value
    text = _MARK.sub("", str(value))
    found = _HOSTILE.search(text)
    if found is not None:
        raise Hostile(f"the expression yields {found[0]!r}")
    return value


def environment(undefined: type[Undefined] = Undefined) -> ImmutableSandboxedEnvironment:
    """Jinja's defaults, without a loader, in the sandbox."""
    made = ImmutableSandboxedEnvironment(finalize=checked, undefined=undefined)
    made.filters["quote"] = quoted
    return made


@lru_cache(maxsize=512)
def prepare(source: str) -> Prepared:
    """A template read and marked. Raises: Refused."""
    if _MARK.search(source) or "\x02" in source:
        raise Refused("E100", 1, "a control character")
    made = environment()
    try:
        tree = made.parse(source)
        tokens = list(made.lex(source))
        made.compile(tree)
    except TemplateSyntaxError as error:
        message = f"the template cannot be read: {error.message}"
        raise Refused("E103", error.lineno, message) from error
    for node in tree.find_all(_LOADED):
        name = type(node).__name__.lower().replace("fromimport", "import")
        raise Refused("E106", node.lineno, f"{name} has nothing to load from")
    return marked(tokens, uses_facts="facts" in meta.find_undeclared_variables(made.parse(source)))


def marked(tokens: list[tuple[int, str, str]], *, uses_facts: bool) -> Prepared:
    """The template with a marker before the text, and before the newline, of each line of data."""
    pieces: list[str] = []
    origin: list[int] = [1]
    for line, kind, value in tokens:
        for index, piece in enumerate(value.split("\n")):
            mark = f"\x02{line + index}\x03"
            if index:
                pieces.append("\n")
                origin.append(line + index)
            text = piece.lstrip(" ")
            if kind != "data":
                pieces.append(piece)
            elif index < value.count("\n"):
                pieces += [piece[: len(piece) - len(text)], mark, text, mark if text else ""]
            else:
                pieces += [piece[: len(piece) - len(text)], mark if text else "", text]
    return Prepared("".join(pieces), tuple(origin), uses_facts)


@dataclass(slots=True)
class Missing:
    """The facts that were printed though they are missing, with their template lines."""

    seen: list[tuple[int, str]] = field(default_factory=list)


def render(
    prepared: Prepared, facts: Mapping[str, Any] | UnknownFact, report: Report
) -> Rendered | None:
    """The template with a target's facts; None where it fails, which is then reported."""
    missing = Missing()

    class Told(Undefined):
        """Prints nothing, as Jinja's own, but says so."""

        __slots__ = ()

        def __str__(self) -> str:
            missing.seen.append((template_line(sys._getframe(1)), str(self._undefined_name)))  # noqa: SLF001 - where the template stands now
            return ""

    template = compiled(prepared.marked, environment(Told))
    try:
        text = "".join(bounded(template.generate(facts=facts, secret=secret)))
    except Exception as error:  # noqa: BLE001 - a template can raise whatever its expressions do
        place = Position(origin_of(prepared, error_line(error)), 1)
        tell(report, place, error)
        return None
    for line, name in missing.seen:
        report.add("W212", Position(origin_of(prepared, line), 1), f"{name} is missing")
    return stripped(text)


def bounded(pieces: Iterator[str]) -> Iterator[str]:
    """The pieces of a template, while they are not too many: loops within loops have no end.

    Raises: ValueError.
    """
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > LONGEST:
            raise ValueError(f"it prints more than {LONGEST:,} characters")
        yield piece


def compiled(text: str, made: ImmutableSandboxedEnvironment) -> Any:
    """The template, from code that is made once per text."""
    return made.template_class.from_code(made, code_of(text), made.make_globals(None))


@lru_cache(maxsize=512)
def code_of(text: str) -> Any:
    return environment().compile(text, filename="<runbook>")


def secret(name: str) -> Quoted:
    """What a template prints for a secret: its placeholder, filled in at execution."""
    return Quoted(placeholder(name))


def tell(report: Report, place: Position, error: Exception) -> None:
    """Why a template failed, as a finding."""
    if isinstance(error, Hostile):
        report.add("E130", place, str(error))
    elif isinstance(error, UndefinedError):
        report.add("E104", place, f"the template fails: {error.message}")
    else:
        report.add("E104", place, f"the template fails: {error}", "mend the expression")


def template_line(frame: Any) -> int:
    """The template line (of the marked text) that is being rendered."""
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            return int(template.get_corresponding_lineno(frame.f_lineno))
        frame = frame.f_back
    return 1


def error_line(error: BaseException) -> int:
    """The template line at which an exception left the template: Jinja rewrote the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<runbook>", "<template>", "<unknown>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def origin_of(prepared: Prepared, line: int) -> int:
    return prepared.origin[min(max(line, 1), len(prepared.origin)) - 1]


def stripped(text: str) -> Rendered:
    """The text without markers, and the source line of each of its lines."""
    lines: list[int] = []
    for line in text.split("\n"):
        found = _MARK.findall(line)
        lines.append(int(found[0]) if found else (lines[-1] if lines else 1))
    return Rendered(_MARK.sub("", text), tuple(lines))
