"""docker-compose: commands and variables of services, and the databases beside them.

Read as a graph of nodes, each with its line; nothing is constructed, whatever a tag says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from labcoat.project.clues import Clue, Database, Place, Remark, Source, Variable
from labcoat.project.dockerfile import in_words
from labcoat.project.folder import Folder, parent
from labcoat.project.procfile import in_shell

_NAME = re.compile(r"[^/]*compose[^/]*\.ya?ml$")
_POSTGRES = re.compile(r"(?:.*/)?(?:postgres|postgis|timescaledb|pgvector)(?:[:@].*)?$")


def read_compose(folder: Folder) -> Iterator[Clue]:
    """The services of every compose file; a remark for a file that is not YAML."""
    for path, text in folder.texts.items():
        if not _NAME.fullmatch(path.rpartition("/")[2]):
            continue
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            what = getattr(error, "problem", None) or "nested too deeply"
            place = Place(path, None if mark is None else mark.line + 1)
            yield Remark(place=place, what=f"is not YAML: {what}", way_out="mend the line")
            continue
        for _, service in pairs(dict(pairs(root)).get("services")):
            yield from _service(path, service)


def pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """(key, value) of a mapping, what ``<<`` merges in first."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.value == "<<":
            several = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for one in several:
                if one is not node:
                    yield from pairs(one)
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            yield key.value, value


def _service(path: str, service: yaml.Node) -> Iterator[Clue]:
    said = dict(pairs(service))
    image = said.get("image")
    if isinstance(image, yaml.ScalarNode) and _POSTGRES.fullmatch(image.value):
        yield Database(place=_place(path, image))
        return
    env = dict(_environment(said.get("environment")))
    for name, (value, line) in env.items():
        place = Place(path, line)
        yield Variable(place=place, name=name, value=value, source=Source.COMPOSE)
    home = said.get("working_dir")
    where = home.value if isinstance(home, yaml.ScalarNode) else parent(path)
    values = tuple((name, value) for name, (value, _) in env.items())
    commands = [said[key] for key in ("command", "entrypoint") if key in said]
    for node in commands:
        if isinstance(node, yaml.ScalarNode) and node.value:
            yield from in_shell(node.value, _place(path, node), Source.COMPOSE, where, values)
        elif isinstance(node, yaml.SequenceNode):
            words = tuple(str(word.value) for word in node.value)
            yield from in_words(words, _place(path, node), Source.COMPOSE, where, values)


def _environment(node: yaml.Node | None) -> Iterator[tuple[str, tuple[str, int]]]:
    """Variables with value and line, from a list or a mapping; those without a value are not."""
    for name, value in pairs(node):
        if isinstance(value, yaml.ScalarNode) and value.value:
            yield name, (value.value, value.start_mark.line + 1)
    for item in node.value if isinstance(node, yaml.SequenceNode) else ():
        name, equals, text = str(item.value).partition("=")
        if equals:
            yield name, (text, item.start_mark.line + 1)


def _place(path: str, node: yaml.Node) -> Place:
    return Place(path, node.start_mark.line + 1)
