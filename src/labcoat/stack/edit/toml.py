"""labcoat.toml: a component's options and command, wherever and however its table is written."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import String

from labcoat.errors import RenderError
from labcoat.model.variant import Level

_BOM = "\ufeff"


def assign(text: str, component: str, levels: Mapping[str, Level], *, path: Path) -> str:
    """The text with these options of a component of ``[stack]``, each under its own spelling.

    What comes out is read again and held against what was meant.
    Raises: RenderError if the text has a form that cannot be edited without harm.
    """
    if not levels:
        return text
    return _edited(
        text,
        lambda stack, inline: _set(stack, component, levels, inline=inline),
        what=f"the options of {component}",
        way_out=f"write them in a table of their own, [stack.{component}.options]",
        path=path,
    )


def command(text: str, component: str, line: str, *, path: Path) -> str:
    """The text with this command of a component, quoted as the one was that it replaces.

    Raises: RenderError if the text has a form that cannot be edited without harm.
    """

    def put(stack: Any, _: object) -> None:
        given = stack[component]
        was = given["command"]
        if isinstance(was, String):
            written = was.as_string()
            given["command"] = tomlkit.string(
                line, literal=written.startswith("'"), multiline=written[:3] in {"'''", '"""'}
            )
        else:
            given["command"] = line

    return _edited(
        text,
        put,
        what=f"the command of {component}",
        way_out=f'write it as command = "..." below [stack.{component}]',
        path=path,
    )


def _edited(
    text: str,
    change: Callable[[Any, Any], None],
    *,
    what: str,
    way_out: str,
    path: Path,
) -> str:
    """The text changed. Raises: RenderError if it would say anything else than was meant."""
    bom, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    try:
        edited = _changed(text, change)
    except (tomllib.TOMLDecodeError, TOMLKitError, TypeError, KeyError, ValueError) as error:
        raise RenderError(
            f"{what} cannot be edited in this file as it is written", where=path, way_out=way_out
        ) from error
    return bom + edited


def _changed(text: str, change: Callable[[Any, Any], None]) -> str:
    """The text changed. Raises: ValueError if it says anything else than was meant."""
    wanted = tomllib.loads(text)
    document = tomlkit.parse(text)
    is_kept = tomlkit.dumps(document) == text
    change(wanted["stack"], dict)
    change(document["stack"], tomlkit.inline_table)
    edited = tomlkit.dumps(document)
    if "\r\n" in text and "\n" not in text.replace("\r\n", ""):
        edited = edited.replace("\r\n", "\n").replace("\n", "\r\n")
    if not is_kept or tomllib.loads(edited) != wanted:
        raise ValueError("tomlkit wrote something else than was meant")
    return edited


def _set(stack: Any, component: str, levels: Mapping[str, Level], *, inline: Any) -> None:
    """Set options in a document, be it tomlkit's or a plain one.

    Raises: KeyError, TypeError for a document that does not have the component's table.
    """
    given = stack[component]
    if given is True:
        stack[component] = inline()
        given = stack[component]
    if not isinstance(given, MutableMapping):
        raise TypeError(f"{component} is no table")
    if "options" not in given:
        given["options"] = inline()
    options = given["options"]
    spellings = {_plain(key): key for key in options}
    for name, level in levels.items():
        options[spellings.get(_plain(name), name)] = level


def _plain(name: str) -> str:
    return name.replace("_", "-").lstrip("-")
