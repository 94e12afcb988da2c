"""Levels written into nginx.conf, and read from it.

crossplane's table says in which block a directive may stand.

A knob is spelled ``directive`` or ``directive.parameter``:

* ``gzip_comp_level``: set where the file sets it at its widest level; exceptions further in
  remain the user's. Set nowhere: added to the widest block that may hold it.
* ``listen.backlog``, ``access_log.buffer``: a parameter of every such directive (``on``/``off`` for
  flags such as ``listen.reuseport``; once per address for ``listen``). The level ``64k flush=1s``
  of ``access_log.buffer`` sets both, since a flush without a buffer is refused.
* ``access_log.syslog``: the address of a syslog daemon, in place of the file of every log. Its
  format and condition stay; buffering goes, since nginx refuses both together.
* ``upstream.keepalive``: a directive of the upstream blocks that set it, else of the first one.
* ``proxy_set_header.Connection``: a directive told apart by its first argument. A block that says
  one ``proxy_set_header`` inherits none, so it is written where the others of each pass stand.
* ``location.static``, ``uwsgi_cache.valid`` and the like: composites, several directives as one
  level; see ``labcoat.stack.edit.composites``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from crossplane.analyzer import CONTEXTS, DIRECTIVES

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit.composites import NGINX as COMPOSITES
from labcoat.stack.edit.nginx_tree import Directive, Found, Word, parse, walk
from labcoat.stack.edit.patch import Patch, apply, newline_of, spelled

KEYED = frozenset({"add_header", "proxy_set_header", "uwsgi_param"})
PARAMETERED = frozenset({"access_log", "listen"})
# Parameters that mean nothing without another one: they are set with it, and go with it.
SYSLOG = "syslog:server="
TAG = ",tag=nginx"
# What a log has that is a file, and one that is sent has not.
OF_FILES = frozenset({"buffer", "flush", "gzip"})
RIDERS: Mapping[str, tuple[str, ...]] = {"buffer": ("flush",)}
BLOCKS: Mapping[str, tuple[str, ...]] = {
    "main": (),
    "events": ("events",),
    "http": ("http",),
    "upstream": ("http", "upstream"),
    "server": ("http", "server"),
}


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
    if knob in COMPOSITES:
        return COMPOSITES[knob].level(lambda part: _level(found, part))
    return _level(found, knob)


def _level(found: Sequence[Found], knob: str) -> str | None:
    name, _, parameter = knob.partition(".")
    if " " in knob:
        block = _block_named(found, knob)
        return None if block is None else _body(block)
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
    composite = COMPOSITES.get(knob)
    if composite is None:
        yield from _edits(texts, found, knob, level, root)
        return
    for part, wanted in composite.parts(level):
        said = _level(found, part)
        if part in composite.own and said not in (None, spelled(wanted)):
            raise _nowhere(knob, root, f"take your own {part} out first")
        yield from _edits(texts, found, part, wanted, root)


def _edits(
    texts: Mapping[Path, str], found: Sequence[Found], knob: str, level: Level, root: Path
) -> Iterator[tuple[Path, Patch]]:
    if " " in knob:
        yield from _block_edit(texts, found, knob, spelled(level), root)
        return
    name, _, parameter = knob.partition(".")
    sites = _sites(found, knob)
    if name == "proxy_set_header" and parameter:
        heads, holders = _headers(found, parameter)
        line = f"{name} {parameter} {spelled(level)};"
        yield from ((block.path, inside(texts[block.path], block, line)) for block in holders)
        if heads or holders:
            yield from _changes(heads, knob, level)
            return
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
    if (site.name, parameter) == ("access_log", "syslog"):
        address = site.words[0].removeprefix(SYSLOG).partition(",")[0]
        return address if site.words[0].startswith(SYSLOG) else None
    said = {word.partition("=")[0]: word for word in site.words[1:]}
    if parameter not in said:
        return None
    value = said[parameter].partition("=")[2] or "on"
    return " ".join((value, *(said[rider] for rider in RIDERS.get(parameter, ()) if rider in said)))


def _parameter_change(site: Directive, parameter: str, level: Level) -> Iterator[Patch]:
    """Patches that give the parameter its level; ``64k flush=1s`` sets its rider too."""
    if (site.name, parameter) == ("access_log", "syslog"):
        yield from _sent(site, level)
        return
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


def _sent(site: Directive, level: Level) -> Iterator[Patch]:
    """Patches that send a log to this address."""
    if _parameter(site, "syslog") == level:
        return
    yield Patch(site.args[0].start, site.args[0].end, f"{SYSLOG}{level}{TAG}")
    for word in site.args[1:]:
        if word.text.partition("=")[0] in OF_FILES:
            yield Patch(_before(site, word), word.end, "")


def _before(site: Directive, word: Word) -> int:
    index = site.args.index(word)
    return site.args[index - 1].end


def _headers(found: Sequence[Found], header: str) -> tuple[list[Directive], list[Directive]]:
    """Where ``proxy_set_header`` of a header stands, and the blocks that lack it.

    For each pass: the innermost block around it that sets any header. Raises: RenderError for
    a Connection header that is computed: a fixed one would break WebSockets.
    """
    every = [d for _, d in found]
    said: dict[int, Directive] = {}
    lacking: dict[int, Directive] = {}
    for door in (d for d in every if d.name == "proxy_pass"):
        around = [b for b in every if b.path == door.path and _holds(b, door)]
        headers = ([c for c in b.children if c.name == "proxy_set_header"] for b in around[::-1])
        own = next((each for each in headers if each), [])
        hits = [d for d in own if d.words and d.words[0].lower() == header.lower()]
        is_fragile = header.lower() == "connection"
        if is_fragile and any("$" in word for d in hits for word in d.words[1:]):
            raise RenderError(
                f"no place for nginx.proxy_set_header.{header}: it is computed",
                where=f"{hits[0].path}:{hits[0].line}",
                way_out="leave the knob out, or set it in the upstream that needs it",
            )
        said |= {id(d): d for d in hits}
        if own and not hits:
            block = next(b for b in around[::-1] if own[0] in b.children)
            lacking[id(block)] = block
    return list(said.values()), list(lacking.values())


def _holds(block: Directive, inner: Directive) -> bool:
    return block.body is not None and block.body[0] <= inner.start and inner.end <= block.body[1]


def _block_named(found: Sequence[Found], head: str) -> Directive | None:
    """The block with this name and these arguments."""
    blocks = (d for _, d in found if d.body is not None)
    return next((d for d in blocks if " ".join((d.name, *d.words)) == head), None)


def _body(block: Directive) -> str:
    lines = (" ".join((c.name, *(word.raw for word in c.args))) for c in block.children)
    return "{ " + " ".join(f"{line};" for line in lines) + " }"


def _block_edit(
    texts: Mapping[Path, str], found: Sequence[Found], head: str, body: str, root: Path
) -> Iterator[tuple[Path, Patch]]:
    """A patch that writes a block; none if it is there. A block of the user's own is left alone."""
    present = _block_named(found, head)
    if present is not None:
        if _body(present) == body:
            return
        raise _nowhere(head, root, f"the file has a block {head!r} of its own")
    wanted = home_of(head.partition(" ")[0])
    blocks = [d for context, d in found if (*context, d.name) == wanted and d.body is not None]
    passing = [b for b in blocks if any(d.name.endswith("_pass") for _, d in walk(b.children))]
    for block in (passing or blocks)[:1]:
        yield block.path, inside(texts[block.path], block, f"{head} {body}")
        return
    raise _nowhere(head, root, f"write a {wanted[-1]} block first")


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
