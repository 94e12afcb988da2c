"""nginx.conf as a tree of directives that know where they stand in the text.

The tokens carry offsets, which is what an edit in place needs and crossplane does not give;
crossplane's table says in which block a directive may stand, and its parser is the oracle of
the tokenizer's properties.

A knob is spelled ``directive`` or ``directive.parameter``:

* ``gzip_comp_level``: set where the file sets it at its widest level; exceptions further in
  remain the user's. Set nowhere: added to the widest block that may hold it.
* ``listen.backlog``, ``access_log.buffer``: a parameter of every such directive (``on``/``off`` for
  flags such as ``listen.reuseport``; once per address for ``listen``). The level ``64k flush=1s``
  of ``access_log.buffer`` sets both, since a flush without a buffer is refused.
* ``upstream.keepalive``: a directive of the upstream blocks that set it, else of the first one.
* ``proxy_set_header.Connection``: a directive told apart by its first argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossplane.analyzer import CONTEXTS, DIRECTIVES

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.patch import Patch, apply, line_of, newline_of, spelled

KEYED = frozenset({"add_header", "proxy_set_header", "uwsgi_param"})
PARAMETERED = frozenset({"access_log", "listen"})
# Parameters that mean nothing without another one: they are set with it, and go with it.
RIDERS: Mapping[str, tuple[str, ...]] = {"buffer": ("flush",)}
BLOCKS: Mapping[str, tuple[str, ...]] = {
    "main": (),
    "events": ("events",),
    "http": ("http",),
    "upstream": ("http", "upstream"),
    "server": ("http", "server"),
}

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<comment>\#[^\n]*)|(?P<mark>[;{}])
    |(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<word>(?:\$\{[^}]*\}|\\.|[^\s;{}"'\\]|(?<=\S)["'])(?:\$\{[^}]*\}|\\.|[^\s;{}\\])*)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word with its place. ``raw`` is as written, ``text`` without its quotes."""

    raw: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A directive and, for a block, what it holds.

    ``path``: the file that it stands in. ``start``..``end`` spans it all, with the ``;`` or
    ``}``. ``body`` is the offsets just after ``{`` and of ``}``; None for a simple directive.
    """

    path: Path
    name: str
    args: tuple[Word, ...]
    start: int
    end: int
    line: int
    body: tuple[int, int] | None = None
    children: tuple[Directive, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments without quotes."""
        return tuple(word.text for word in self.args)


Found = tuple[tuple[str, ...], Directive]


def parse(text: str, *, path: Path) -> tuple[Directive, ...]:
    """The tree of a file. Raises: RenderError with file and line."""
    tokens = list(_tokens(text, path))
    directives, rest = _block(text, tokens, 0, path)
    if rest < len(tokens):
        raise _broken('unexpected "}"', text, tokens[rest][1].start, path)
    return directives


def walk(tree: Sequence[Directive], context: tuple[str, ...] = ()) -> Iterator[Found]:
    """Every directive with the names of the blocks around it, in order of appearance."""
    for directive in tree:
        yield context, directive
        yield from walk(directive.children, (*context, directive.name))


def assign(
    text: str, levels: Mapping[str, Level], *, path: Path, context: tuple[str, ...] = ()
) -> str:
    """The text with these levels. ``context``: the blocks around an included file.

    Raises: RenderError if the text does not parse, or has no place for a directive.
    """
    for knob, level in levels.items():
        found = list(walk(parse(text, path=path), context))
        text = apply(text, (patch for _, patch in edits({path: text}, found, knob, level, path)))
    return text


def read(text: str, knob: str, *, path: Path, context: tuple[str, ...] = ()) -> str | None:
    """The level at its widest place, as written; None if the text does not set it."""
    return level_in(list(walk(parse(text, path=path), context)), knob)


def level_in(found: Sequence[Found], knob: str) -> str | None:
    """The level of a knob at its widest place, as written; None if it is not set."""
    name, _, parameter = knob.partition(".")
    sites = _sites(found, knob)
    if not sites:
        return None
    words = tuple(word.raw for word in sites[0].args)
    if name in PARAMETERED and parameter:
        values = (_parameter(site, parameter) for site in sites)
        return next((value for value in values if value is not None), None)
    return " ".join(words[1:] if name in KEYED and parameter else words)


def edits(
    texts: Mapping[Path, str], found: Sequence[Found], knob: str, level: Level, root: Path
) -> Iterator[tuple[Path, Patch]]:
    """Patches, each with the file it is for, that give a knob its level; none if it has it.

    ``found`` may span several files; ``root`` is the one that main-level lines are added to.
    Raises: RenderError if there is no place for the directive.
    """
    name, _, parameter = knob.partition(".")
    sites = _sites(found, knob)
    if sites:
        yield from _changes(sites, knob, level)
    elif not (name in PARAMETERED and parameter and level is False):
        yield _insertion(texts, knob, level, found, root)


def _changes(sites: Sequence[Directive], knob: str, level: Level) -> Iterator[tuple[Path, Patch]]:
    name, _, parameter = knob.partition(".")
    if name in PARAMETERED and parameter:
        addresses: set[str] = set()
        for site in sites:
            if name == "listen" and site.words[0] in addresses:
                continue
            addresses.add(site.words[0])
            yield from ((site.path, p) for p in _parameter_change(site, parameter, level))
        return
    wanted = spelled(level)
    for site in sites:
        args = site.args[1:] if name in KEYED and parameter else site.args
        if not args:
            yield site.path, Patch(site.end - 1, site.end - 1, f" {wanted}")
        elif " ".join(word.raw for word in args) != wanted:
            yield site.path, Patch(args[0].start, args[-1].end, wanted)


def _sites(found: Sequence[Found], knob: str) -> list[Directive]:
    """The directives that a knob changes: the widest level at which they occur.

    What is set in a location is an exception of the user's, not the level of the stack.
    """
    name, _, parameter = knob.partition(".")
    if name == "upstream":
        return [d for context, d in found if context[-1:] == (name,) and d.name == parameter]
    hits = [(context, d) for context, d in found if d.name == name and d.body is None]
    if name in PARAMETERED and parameter:
        return [d for _, d in hits if d.words and d.words[0] != "off"]
    if name in KEYED and parameter:
        hits = [(c, d) for c, d in hits if d.words and d.words[0].lower() == parameter.lower()]
    elif home_of(name) == BLOCKS["http"]:
        hits = [(context, d) for context, d in hits if "location" not in context]
    shallowest = min((len(context) for context, _ in hits), default=0)
    return [d for context, d in hits if len(context) == shallowest]


def _parameter(site: Directive, parameter: str) -> str | None:
    said = {word.partition("=")[0]: word for word in site.words[1:]}
    if parameter not in said:
        return None
    value = said[parameter].partition("=")[2] or "on"
    return " ".join((value, *(said[rider] for rider in RIDERS.get(parameter, ()) if rider in said)))


def _parameter_change(site: Directive, parameter: str, level: Level) -> Iterator[Patch]:
    """Patches that give the parameter its level; ``64k flush=1s`` sets its rider too."""
    said = {word.text.partition("=")[0]: word for word in site.args[1:]}
    if level is False:
        for name in (parameter, *RIDERS.get(parameter, ())):
            if name in said:
                yield Patch(_before(site, said[name]), said[name].end, "")
        return
    first, *further = (parameter,) if level is True else f"{parameter}={spelled(level)}".split()
    added = ""
    for wanted in (first, *further):
        word = said.get(wanted.partition("=")[0])
        if word is None:
            added += f" {wanted}"
        elif word.text != wanted:
            yield Patch(word.start, word.end, wanted)
    if added:
        last = site.args[-1]
        # buffer= needs a format before it: the default one, spelled out.
        format_first = " combined" if site.name == "access_log" and len(site.args) == 1 else ""
        yield Patch(last.end, last.end, f"{format_first}{added}")


def _before(site: Directive, word: Word) -> int:
    index = site.args.index(word)
    return site.args[index - 1].end


def _insertion(
    texts: Mapping[Path, str], knob: str, level: Level, found: Sequence[Found], root: Path
) -> tuple[Path, Patch]:
    """A patch that writes the directive where there was none."""
    name, _, parameter = knob.partition(".")
    line = f"{name} {spelled(level)};"
    if name in PARAMETERED and parameter:
        raise _nowhere(knob, root, f"write a {name} directive first")
    if name == "upstream":
        line, wanted = f"{parameter} {spelled(level)};", BLOCKS["upstream"]
    elif name in KEYED and parameter:
        line, wanted = f"{name} {parameter} {spelled(level)};", home_of(name)
    else:
        wanted = home_of(name)
    if not wanted:
        own = [item for item in found if item[1].path == root]
        return root, _at_top(texts[root], line, own)
    for context, block in found:
        if (*context, block.name) == wanted and block.body is not None:
            return block.path, inside(texts[block.path], block, line)
    raise _nowhere(knob, root, f"write a {wanted[-1]} block first")


def home_of(name: str) -> tuple[str, ...]:
    """The widest block that may hold a directive, after crossplane's table; http if unknown."""
    for candidate in BLOCKS.values():
        mask = CONTEXTS.get(candidate, 0)
        if any(mask & usage for usage in DIRECTIVES.get(name, ())):
            return candidate
    return BLOCKS["http"]


def inside(text: str, block: Directive, line: str) -> Patch:
    """A patch that adds a directive at the end of a block, indented like its neighbours."""
    if block.body is None:
        raise ValueError("a simple directive holds nothing")
    after = block.children[-1].end if block.children else block.body[0]
    if "\n" not in text[block.body[0] : block.body[1]]:
        return Patch(after, after, f" {line}" if block.children else f" {line} ")
    stop = text.find("\n", after)
    tail = text[after:stop].strip()
    if tail and not tail.startswith("#"):
        return Patch(after, after, f" {line}")
    newline = newline_of(text)
    return Patch(stop + 1, stop + 1, f"{_indent(text, block)}{line}{newline}")


def _indent(text: str, block: Directive) -> str:
    first = block.children[0].start if block.children else block.start
    begin = text.rfind("\n", 0, first) + 1
    lead = text[begin:first]
    own = lead if not lead.strip() else ""
    return own if block.children else own + "    "


def _at_top(text: str, line: str, found: Sequence[Found]) -> Patch:
    first = next((d for context, d in found if not context), None)
    at = text.rfind("\n", 0, first.start) + 1 if first is not None else 0
    return Patch(at, at, line + newline_of(text))


def _nowhere(knob: str, path: Path, way_out: str) -> RenderError:
    return RenderError(f"no place for nginx.{knob}", where=path, way_out=way_out)


def _broken(what: str, text: str, offset: int, path: Path) -> RenderError:
    return RenderError(
        f"nginx.conf does not parse: {what}",
        where=f"{path}:{line_of(text, offset)}",
        way_out="mend the line; nginx -t names the same one",
    )


def _tokens(text: str, path: Path) -> Iterator[tuple[str, Word]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or not match[0]:
            raise _broken("a quote is not closed", text, position, path)
        position = match.end()
        kind = match.lastgroup or ""
        if kind in {"space", "comment"}:
            continue
        raw = match[0]
        bare = re.sub(r"\\(.)", r"\1", raw[1:-1]) if kind == "quoted" else raw
        yield kind, Word(raw=raw, text=bare, start=match.start(), end=match.end())


def _block(
    text: str, tokens: list[tuple[str, Word]], index: int, path: Path
) -> tuple[tuple[Directive, ...], int]:
    """Directives from ``index`` up to the ``}`` that ends the block, or the end of the text."""
    directives: list[Directive] = []
    words: list[Word] = []
    while index < len(tokens):
        kind, token = tokens[index]
        if kind != "mark":
            words.append(token)
        elif token.raw == "}":
            break
        else:
            if not words:
                raise _broken(f'unexpected "{token.raw}"', text, token.start, path)
            directive, index = _directive(text, tokens, index, words, path)
            directives.append(directive)
            words = []
        index += 1
    if words:
        raise _broken('a ";" is missing', text, words[-1].start, path)
    return tuple(directives), index


def _directive(
    text: str, tokens: list[tuple[str, Word]], index: int, words: list[Word], path: Path
) -> tuple[Directive, int]:
    mark = tokens[index][1]
    children: tuple[Directive, ...] = ()
    body: tuple[int, int] | None = None
    end = mark.end
    if mark.raw == "{":
        if words[0].text.endswith("_by_lua_block"):
            raise _broken("Lua blocks cannot be read", text, words[0].start, path)
        children, index = _block(text, tokens, index + 1, path)
        if index >= len(tokens):
            raise _broken(f'"{words[0].text}" is not closed by "}}"', text, words[0].start, path)
        close = tokens[index][1]
        body, end = (mark.end, close.start), close.end
    return (
        Directive(
            path=path,
            name=words[0].text,
            args=tuple(words[1:]),
            start=words[0].start,
            end=end,
            line=line_of(text, words[0].start),
            body=body,
            children=children,
        ),
        index,
    )
