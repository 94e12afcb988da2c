"""labcoat.toml: the options of a component, wherever and however the user wrote its table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from labcoat.errors import RenderError
from labcoat.model.variant import Level

_BOM = "\ufeff"


def assign(text: str, component: str, levels: Mapping[str, Level], *, path: Path) -> str:
    """The text with these options of a component of ``[stack]``, each under its own spelling.

    What comes out is read again and held against what was meant.
    Raises: RenderError if the text has a form that cannot be edited without harm.
    """
    bom, text = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    if not levels:
        return bom + text
    try:
        edited = _edited(text, component, levels)
    except (tomllib.TOMLDecodeError, TOMLKitError, TypeError, KeyError, ValueError) as error:
        raise RenderError(
            f"the options of {component} cannot be edited in this file as it is written",
            where=path,
            way_out=f"write them in a table of their own, [stack.{component}.options]",
        ) from error
    return bom + edited


def _edited(text: str, component: str, levels: Mapping[str, Level]) -> str:
    """The text with the options. Raises: ValueError if it says anything else than was meant."""
    wanted = tomllib.loads(text)
    document = tomlkit.parse(text)
    is_kept = tomlkit.dumps(document) == text
    _set(wanted["stack"], component, levels, inline=dict)
    _set(document["stack"], component, levels, inline=tomlkit.inline_table)
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
