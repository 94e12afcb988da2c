"""nginx.conf as a tree of directives that know where they stand in the text.

The tokens carry offsets, which is what an edit in place needs and crossplane does not give; its
parser is the oracle of the tokenizer's properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.stack.edit.patch import line_of

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
