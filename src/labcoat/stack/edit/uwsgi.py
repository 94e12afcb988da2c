"""uWSGI's four languages: ini, YAML, XML and JSON say the same options.

All are lists of options in order; uWSGI hands each to the same table. So a file is edited in its
own language, and what the sandbox runs is an ini file with the same options, on the same lines
where they stand on lines of their own.

Source: uWSGI core/{ini,yaml,json,xmlconf}.c.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from xml.parsers import expat

from labcoat.errors import RenderError
from labcoat.model.variant import Level
from labcoat.stack.edit import ini
from labcoat.stack.edit.lines import Setting, appended
from labcoat.stack.edit.patch import Patch, apply, line_of, newline_of

ROOT = "uwsgi"

_YAML_LINE = re.compile(
    r"""(?P<indent>[ \t]*)
    (?:
      (?P<dash>-[ \t]+)?(?P<key>"[^"]*"|'[^']*'|[\w.-]+)[ \t]*:(?=[ \t]|\r?$)[ \t]*
      | (?P<item>-[ \t]+)
      | (?=[#\r]|$) | ---
    )
    (?P<value>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?:(?![ \t]\#)[^\r#])*(?:(?<=[^ \t])\#[^\r]*)?)?
    (?P<rest>[ \t]*(?:\#[^\r]*)?\r?)$""",
    re.VERBOSE,
)
_XML = re.compile(
    r"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>]*>"
    r"|<(?P<key>[\w.-]+)[ \t]*(?:(?P<empty>/>)|>(?P<value>[^<]*)</(?P=key)\s*>)",
    re.DOTALL,
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_BLANK = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


class Language(Protocol):
    """One of the four: where options stand, and how a value and a new option are written."""

    def settings(self, text: str, *, path: Path) -> tuple[Setting, ...]:
        """Every option, in order. Raises: RenderError with file and line."""

    def valued(self, text: str, setting: Setting, value: str) -> Patch:
        """The patch that gives an option another value."""

    def added(
        self, text: str, settings: Sequence[Setting], options: Mapping[str, str], *, path: Path
    ) -> Patch:
        """The patch that adds options behind the last one. Raises: RenderError."""


class Yaml:
    """``uwsgi:`` and its indented ``key: value`` lines; a list repeats its key."""

    def settings(self, text: str, *, path: Path) -> tuple[Setting, ...]:
        """Every option below ``uwsgi:``."""
        found: list[Setting] = []
        table, key, offset = "", "", 0
        for number, line in enumerate(text.split("\n"), start=1):
            match = _YAML_LINE.fullmatch(line)
            if match is None:
                raise RenderError(
                    f"not an option of uWSGI's YAML: {line.split(':')[0].strip()!r}",
                    where=f"{path}:{number}",
                    way_out="write it as  key: value  below  uwsgi:",
                )
            raw = (match["value"] or "").rstrip()
            if match["key"] is not None:
                key = match["key"].strip("\"'")
                if not match["indent"]:
                    table = key
            is_option = match["key"] is not None and bool(match["indent"])
            if table == ROOT and (is_option or match["item"] is not None):
                if found and found[-1].key == key and found[-1].end == -1:
                    found.pop()  # a key whose values are the items that follow
                start = offset + match.start("value") if match["value"] is not None else offset
                found.append(
                    Setting(
                        key=key,
                        value=_yaml_plain(raw) if raw else "true",
                        line=number,
                        start=start,
                        end=start + len(raw) if raw or match["item"] else -1,
                        line_start=offset,
                        line_end=offset + len(line.rstrip("\r")),
                    )
                )
            offset += len(line) + 1
        if table == "" and text.strip():
            raise _no_root(path, "uwsgi:")
        return tuple(found)

    def valued(self, text: str, setting: Setting, value: str) -> Patch:
        """In the quotes that were there."""
        if setting.end < 0:  # a key alone means true
            end = setting.line_start + len(text[setting.line_start : setting.line_end].rstrip())
            return Patch(end, end, f" {value}")
        raw = text[setting.start : setting.end]
        quote = raw[0] if raw[:1] in {'"', "'"} else ""
        return Patch(setting.start, setting.end, f"{quote}{value}{quote}")

    def added(
        self, text: str, settings: Sequence[Setting], options: Mapping[str, str], *, path: Path
    ) -> Patch:
        """Lines with the indentation of the last option."""
        if not settings:
            raise _no_root(path, "uwsgi:")
        line = text[settings[-1].line_start : settings[-1].line_end]
        keys = [s for s in settings if not text[s.line_start :].lstrip().startswith("- ")]
        if keys:
            line = text[keys[-1].line_start : keys[-1].line_end]
        indent = line[: len(line) - len(line.lstrip())]
        lines = [f"{indent}{name}: {value}" for name, value in options.items()]
        return appended(text, lines, at=settings[-1].line_start)


class Xml:
    """``<uwsgi>`` and an element per option; an empty element is true."""

    def settings(self, text: str, *, path: Path) -> tuple[Setting, ...]:
        """Every option inside of ``<uwsgi>``."""
        parser = expat.ParserCreate(encoding="utf-8")  # whatever the declaration says
        try:
            parser.Parse(text.encode(), True)
        except expat.ExpatError as error:
            raise RenderError(
                f"not XML: {expat.errors.messages[error.code]}",
                where=f"{path}:{error.lineno}",
                way_out="mend the line",
            ) from error
        opened = re.search(rf"<{ROOT}\b[^>]*>", text)
        if opened is None:
            raise _no_root(path, "<uwsgi>")
        closing = text.find(f"</{ROOT}", opened.end())
        found: list[Setting] = []
        for match in _XML.finditer(text, opened.end(), max(closing, opened.end())):
            if match["key"] is None:
                continue
            value = match["value"]
            start, end = match.span("empty" if value is None else "value")
            found.append(
                Setting(
                    key=match["key"],
                    value="true" if value is None else html.unescape(value.strip()),
                    line=line_of(text, match.start()),
                    start=start,
                    end=end,
                    line_start=match.start(),
                    line_end=match.end(),
                )
            )
        return tuple(found)

    def valued(self, text: str, setting: Setting, value: str) -> Patch:
        """Between the tags; an empty element is opened."""
        said = html.escape(value, quote=False)
        if text[setting.start : setting.end] == "/>":
            return Patch(setting.start, setting.end, f">{said}</{setting.key}>")
        return Patch(setting.start, setting.end, said)

    def added(
        self, text: str, settings: Sequence[Setting], options: Mapping[str, str], *, path: Path
    ) -> Patch:
        """Elements behind the last one."""
        if not settings:
            raise _no_root(path, "<uwsgi>")
        last = settings[-1]
        lead = _lead(text, last.line_start)
        new = "".join(
            f"{lead}<{name}>{html.escape(value, quote=False)}</{name}>"
            for name, value in options.items()
        )
        return Patch(last.line_end, last.line_end, new)


class Json:
    """An object ``uwsgi``; a list repeats its key."""

    def settings(self, text: str, *, path: Path) -> tuple[Setting, ...]:
        """Every member of the object ``uwsgi``."""
        try:
            whole = json.loads(text)
        except json.JSONDecodeError as error:
            raise RenderError(
                f"not JSON: {error.msg}", where=f"{path}:{error.lineno}", way_out="mend the line"
            ) from error
        if not isinstance(whole, dict) or not isinstance(whole.get(ROOT), dict):
            raise _no_root(path, '{"uwsgi": {...}}')
        return tuple(_json_options(text))

    def valued(self, text: str, setting: Setting, value: str) -> Patch:
        """A number or a truth where one was, a string where one was."""
        return Patch(
            setting.start, setting.end, _json_value(value, was=text[setting.start : setting.end])
        )

    def added(
        self, text: str, settings: Sequence[Setting], options: Mapping[str, str], *, path: Path
    ) -> Patch:
        """Members behind the last one."""
        if not settings:
            raise _no_root(path, '{"uwsgi": {...}}')
        last = settings[-1]
        lead = _lead(text, last.line_start) if "\n" in text else " "
        new = "".join(
            f",{lead}{json.dumps(name)}: {_json_value(value, was='')}"
            for name, value in options.items()
        )
        return Patch(last.line_end, last.line_end, new)


class Ini:
    """The ini that uWSGI reads."""

    def settings(self, text: str, *, path: Path) -> tuple[Setting, ...]:
        """Every option of ``[uwsgi]``."""
        return ini.settings(text, path=path)

    def valued(self, text: str, setting: Setting, value: str) -> Patch:
        """Behind the ``=``."""
        return ini.valued(text, setting, value)

    def added(
        self, text: str, settings: Sequence[Setting], options: Mapping[str, str], *, path: Path
    ) -> Patch:
        """Lines of their own at the section's end."""
        del path
        return ini.added(text, [f"{k} = {v}" for k, v in options.items()], tuple(settings))


LANGUAGES: Mapping[str, Language] = {
    ".ini": Ini(),
    ".js": Json(),
    ".json": Json(),
    ".xml": Xml(),
    ".yaml": Yaml(),
    ".yml": Yaml(),
}


def language_of(path: Path) -> Language:
    """The language of a file, by its ending; ini where it has none that is known."""
    return LANGUAGES.get(path.suffix.lower(), LANGUAGES[".ini"])


def assign(text: str, levels: Mapping[str, Level], *, path: Path) -> str:
    """The text with these options in force, in the file's own language."""
    language = language_of(path)
    present = language.settings(text, path=path)
    if isinstance(language, Ini):
        return ini.assign(text, levels, path=path)
    changed, missing = ini.changes(present, levels)
    patches = [language.valued(text, setting, value) for setting, value in changed]
    if missing:
        patches.append(language.added(text, present, missing, path=path))
    return apply(text, patches)


def as_ini(text: str, *, path: Path) -> str:
    """The same options as an ini file, each on the line where it stands as far as that goes."""
    language = language_of(path)
    if isinstance(language, Ini):
        return text
    lines = ["[uwsgi]"]
    for setting in language.settings(text, path=path):
        lines += [""] * (setting.line - 1 - len(lines))
        lines.append(f"{setting.key} = {setting.value}")
    return "\n".join((*lines, ""))


def _yaml_plain(raw: str) -> str:
    if raw.startswith('"'):
        return re.sub(r"\\(.)", r"\1", raw[1:-1])
    return raw[1:-1].replace("''", "'") if raw.startswith("'") else raw


def _json_options(text: str) -> Iterator[Setting]:
    """The members of the object ``uwsgi`` of valid JSON, lists taken apart."""
    tables = [at for name, _, at, _ in _members(text, _past(text, 0)) if name == ROOT]
    for key, start, at, stop in _members(text, tables[-1]):
        for value_at, end in _elements(text, at):
            value = json.loads(text[value_at:end])
            yield Setting(
                key=key,
                value=value if isinstance(value, str) else json.dumps(value),
                line=line_of(text, value_at),
                start=value_at,
                end=end,
                line_start=start,
                line_end=stop,
            )


def _members(text: str, position: int) -> Iterator[tuple[str, int, int, int]]:
    """(key, where it, its value and the value's end stand) of the object at a position."""
    position = _past(text, position + 1)
    while text[position] != "}":
        start = position
        key, position = _DECODER.raw_decode(text, position)
        value_at = _past(text, _past(text, position) + 1)
        _, end = _DECODER.raw_decode(text, value_at)
        yield str(key), start, value_at, end
        position = _next(text, end)


def _elements(text: str, position: int) -> Iterator[tuple[int, int]]:
    """Where the elements of a list stand; of anything else, where it does."""
    if text[position] != "[":
        yield position, _DECODER.raw_decode(text, position)[1]
        return
    position = _past(text, position + 1)
    while text[position] != "]":
        _, end = _DECODER.raw_decode(text, position)
        yield position, end
        position = _next(text, end)


def _past(text: str, position: int) -> int:
    """Behind the blanks at a position."""
    blank = _BLANK.match(text, position)
    return position if blank is None else blank.end()


def _next(text: str, end: int) -> int:
    """Where the next element stands, or what closes them all."""
    position = _past(text, end)
    return _past(text, position + 1) if text[position] == "," else position


def _json_value(value: str, *, was: str) -> str:
    return value if _NUMBER.fullmatch(value) and not was.startswith('"') else json.dumps(value)


def _lead(text: str, at: int) -> str:
    """The end of the line and the indentation before a place."""
    start = text.rfind("\n", 0, at) + 1
    indent = text[start:at]
    return newline_of(text) + (indent if not indent.strip() else "")


def _no_root(path: Path, how: str) -> RenderError:
    return RenderError("the file has no options of uWSGI", where=path, way_out=f"write {how}")
