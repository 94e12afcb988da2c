"""A command line as an app server with its options, or as a server that is not for production."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from labcoat.model.study import Interface
from labcoat.project.clues import (
    Clue,
    Command,
    NamedApp,
    OtherServer,
    Place,
    Remark,
    Server,
    Source,
    Variable,
)
from labcoat.project.command_line import (
    ARGUMENTS,
    CONCURRENCY,
    Parsed,
    concurrency,
    from_environment,
    parse,
)
from labcoat.project.folder import Folder, joined
from labcoat.project.frameworks import module_name
from labcoat.project.grammars import GRAMMARS, GUNICORN, LISTENS, OTHERS, UVICORN, UWSGI, Program
from labcoat.project.python_code import keywords, literal, text_of
from labcoat.project.words import expanded, variables_of
from labcoat.stack.edit.uwsgi import LANGUAGES

_PYTHON = re.compile(r"(?:python[\d.]*|pypy[\d.]*)$")
_NUMBER = re.compile(r"-?\d{1,15}")
_TARGET = re.compile(r"[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*(?P<call>\(.*\))?)?", re.DOTALL)
# Commands that speak of a server without starting it.
_IDLE = frozenset(
    [
        "[",
        "[[",
        ".",
        "add",
        "apk",
        "apt",
        "apt-get",
        "cat",
        "chmod",
        "chown",
        "command",
        "conda",
        "cp",
        "docker",
        "echo",
        "export",
        "git",
        "grep",
        "install",
        "kill",
        "killall",
        "ln",
        "mkdir",
        "mv",
        "pip",
        "pip3",
        "pkill",
        "printf",
        "ps",
        "rm",
        "sed",
        "service",
        "source",
        "supervisorctl",
        "sync",
        "systemctl",
        "test",
        "touch",
        "which",
    ]
)
_CONFIGS = ("ini", "xml", "yaml", "yml", "json")


def read_commands(folder: Folder, commands: Iterable[Command], found: Sequence[Clue]) -> list[Clue]:
    """What each command line starts, with the variables that are in force there."""
    variables = [clue for clue in found if isinstance(clue, Variable)]
    clues: list[Clue] = []
    for command in commands:
        around = [v for v in reversed(variables) if v.source is Source.ENVIRONMENT]
        here = [v for v in variables if v.place.path == command.place.path]
        values = {v.name: v.value for v in (*around, *here)} | dict(command.env)
        words = [expanded(word, values) for word in command.words]
        names = tuple(dict.fromkeys(name for word in command.words for name in variables_of(word)))
        clues += started(folder, replace(command, words=tuple(words), variables=names), values)
    return clues


def started(folder: Folder, command: Command, env: Mapping[str, str]) -> Iterator[Clue]:
    """The clues of one command line; none for a command that starts no app."""
    words = command.words
    if _IDLE & set(words[:2]):
        return
    for index, word in enumerate(words):
        name = word.rpartition("/")[2]
        if _PYTHON.fullmatch(name):
            yield from _python(folder, command, list(words[index + 1 :]), env)
            return
        program = next((one for one in GRAMMARS if one.name == name), None)
        if program is not None:
            yield from _server(folder, command, program, list(words[index + 1 :]), env)
            return
        if name in {*OTHERS, "flask", "manage.py", "django-admin", "fastapi", "pserve"}:
            yield from _other(folder, command, name, list(words[index + 1 :]), env)
            return


def _python(
    folder: Folder, command: Command, rest: list[str], env: Mapping[str, str]
) -> Iterator[Clue]:
    """``python -m server``, ``python manage.py``, ``python app.py``."""
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        rest = rest[2:] if rest[0] in {"-W", "-X"} else rest[1:]
    if len(rest) > 1 and rest[0] == "-m":
        name = "waitress-serve" if rest[1] == "waitress" else rest[1]
        program = next((one for one in GRAMMARS if name in one.modules), None)
        if program is not None:
            yield from _server(folder, command, program, rest[2:], env)
        elif name in {*OTHERS, "flask", "fastapi"}:
            yield from _other(folder, command, name, rest[2:], env)
        return
    if not rest:
        return
    if rest[0].rpartition("/")[2] == "manage.py":
        yield from _other(folder, command, "manage.py", rest[1:], env)
        return
    script = folder.locate(rest[0], near=_home(folder, command.folder))
    if script is not None and script in folder.modules:
        yield from _script(folder, command, script)


def _other(
    folder: Folder, command: Command, name: str, rest: list[str], env: Mapping[str, str]
) -> Iterator[Clue]:
    """Development servers, and servers that labcoat cannot start."""
    verb = next((word for word in rest if not word.startswith("-")), "")
    if name in {"manage.py", "django-admin"}:
        if verb in {"runserver", "runserver_plus"}:
            yield _for_development(command, f"{name} {verb}")
    elif name == "flask":
        target = _value(rest, ("--app", "-A")) or env.get("FLASK_APP")
        if target is not None:
            yield from flask_app(command, target)
        if "run" in rest:
            yield _for_development(command, "flask run")
    elif name == "fastapi":
        if verb == "dev":
            yield _for_development(command, "fastapi dev")
        elif verb == "run":
            after = rest[rest.index("run") + 1 :]
            yield from _server(folder, command, UVICORN, after, env)
    else:
        target = next((word for word in rest if _TARGET.fullmatch(word) and ":" in word), None)
        yield OtherServer(place=command.place, name=name, is_for_development=False, target=target)


def flask_app(clue: Clue, target: str) -> Iterator[Clue]:
    """The app that ``FLASK_APP`` or ``flask --app`` names, where it names the callable too."""
    module, _, name = target.partition(":")
    if module.endswith(".py"):
        module = module.removesuffix(".py").replace("/", ".").strip(".")
    if name.isidentifier():
        yield NamedApp(place=clue.place, target=f"{module}:{name}", folder="")


def _for_development(command: Command, name: str) -> OtherServer:
    return OtherServer(place=command.place, name=name, is_for_development=True)


def _value(words: Sequence[str], names: tuple[str, ...]) -> str | None:
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else next(iter(words[index + 1 : index + 2]), None)
    return None


def _home(folder: Folder, written: str) -> str:
    """The folder of the project that a working directory means; the project's own if none."""
    return folder.folder_of(written) or "" if written else ""


def _server(
    folder: Folder, command: Command, program: Program, words: list[str], env: Mapping[str, str]
) -> Iterator[Clue]:
    own, around = parse(program, words), from_environment(program, env)
    parsed = own.over(around)
    home = _home(folder, command.folder)
    elsewhere = parsed.elsewhere
    within = elsewhere.get("chdir") or elsewhere.get("working-dir") or elsewhere.get("app-dir")
    if within:
        home = folder.folder_of(within, near=home) or home
    file, unreadable = _file(folder, program, parsed, home)
    module = folder.modules.get(file or "")
    # The file of Gunicorn overrules the variable, and is overruled by the command line.
    if module is None or all(name != "workers" for name, _, _ in module.bindings()):
        parsed = parsed.over(concurrency(program, env))
    yield from _told(command, program, parsed)
    target = _target(folder, parsed, home)
    yield Server(
        place=command.place,
        name=program.name,
        source=command.source,
        options=tuple(parsed.options.items()),
        around=() if program is GUNICORN else tuple(around.options.items()),
        reads=tuple((name, env[name]) for name in _reads(program, command) if name in env),
        file=file,
        target=target,
        interface=_interface(program, parsed),
        folder=home,
        is_factory=bool(parsed.options.get("factory")) or (target or "").endswith(")"),
        unreadable=unreadable,
    )


def _reads(program: Program, command: Command) -> tuple[str, ...]:
    """The variables that this command line needs to mean what it means."""
    own = (CONCURRENCY, ARGUMENTS) if program is GUNICORN else (CONCURRENCY,)
    return (*(own if program in (GUNICORN, UVICORN) else ()), *command.variables)


def _told(command: Command, program: Program, parsed: Parsed) -> Iterator[Clue]:
    """What a command line says that a study does not take as it is."""
    for option, why in parsed.left_out.items():
        what = f"{program.name} {option} is left out of the study: {why}"
        yield Remark(place=command.place, what=what)
    for name, value in parsed.unfilled.items():
        if name not in LISTENS:
            what = f"{program.name} {name}: what {value} stands for is not known here"
            way_out = f"set the variable, or write {name} under [stack]"
            yield Remark(place=command.place, what=what, way_out=way_out)
    for assigned in parsed.env:
        name, _, value = assigned.partition("=")
        yield Variable(place=command.place, name=name, value=value, source=command.source)


def _file(
    folder: Folder, program: Program, parsed: Parsed, home: str
) -> tuple[str | None, str | None]:
    """(the server's own file in the project, what it reads and labcoat cannot)."""
    if program is GUNICORN:
        return _gunicorn_file(folder, parsed, home)
    if program is UWSGI:
        return _uwsgi_file(folder, parsed, home)
    return None, None


def _gunicorn_file(folder: Folder, parsed: Parsed, home: str) -> tuple[str | None, str | None]:
    """What ``--config`` names, else the gunicorn.conf.py of the folder that it starts in."""
    if "config" not in parsed.elsewhere:
        own = joined(home, "gunicorn.conf.py")
        return (own if own in folder.files else None), None
    named = parsed.elsewhere["config"].removeprefix("file:")
    if named.startswith("python:"):
        named = named.removeprefix("python:").replace(".", "/") + ".py"
    found = folder.locate(named, near=home)
    return found, None if found else f"{named}, which is not in this project"


def _uwsgi_file(folder: Folder, parsed: Parsed, home: str) -> tuple[str | None, str | None]:
    """The file that ``--ini``, ``--yaml`` and the like, or a bare word, names."""
    words = (*parsed.rest, *(parsed.elsewhere.get(kind, "") for kind in _CONFIGS))
    named = next((w for w in words if w.partition(":")[0].endswith(tuple(LANGUAGES))), None)
    paste = parsed.elsewhere.get("ini-paste") or parsed.elsewhere.get("paste")
    if named is None:
        return None, paste and f"{paste}, a file of Paste's"
    found = folder.locate(named.partition(":")[0], near=home)
    return found, None if found else f"{named}, which is not in this project"


def _target(folder: Folder, parsed: Parsed, home: str) -> str | None:
    """``module:callable`` as the command line says it, None if it does not."""
    if "wsgi-file" in parsed.elsewhere:
        named = folder.locate(parsed.elsewhere["wsgi-file"], near=home)
        module = parsed.elsewhere["wsgi-file"].removesuffix(".py").strip("./").replace("/", ".")
        if named is not None:
            module = named.removesuffix(".py").removeprefix(f"{home}/" if home else "")
            module = module.replace("/", ".")
        return f"{module}:{parsed.elsewhere.get('callable', 'application')}"
    said = parsed.elsewhere.get("module") or next(
        (word for word in parsed.rest if _TARGET.fullmatch(word)), None
    )
    script = next((word for word in parsed.rest if word.endswith(".py")), None)
    if said is None or said.endswith((".ini", ".py")):
        found = folder.locate(script, near=home) if script else None
        return f"{module_name(folder, found)[1]}:app" if found else None
    if ":" in said:
        return said
    return f"{said}:{parsed.elsewhere.get('callable', 'application')}"


def _interface(program: Program, parsed: Parsed) -> Interface | None:
    if program is GUNICORN:
        kind = str(parsed.options.get("worker_class", ""))
        return Interface.ASGI if kind == "asgi" or "uvicorn" in kind.lower() else None
    said = str(parsed.elsewhere.get("interface") or parsed.options.get("interface") or "")
    if program is UVICORN:
        return Interface.WSGI if said.startswith("wsgi") else Interface.ASGI
    if said:
        return Interface.WSGI if said == "wsgi" else Interface.ASGI
    return program.interface


def _script(folder: Folder, command: Command, script: str) -> Iterator[Clue]:
    """``python app.py``: what the module starts when it is the program."""
    for clue in read_scripts(folder):
        if clue.place.path == script:
            yield replace(clue, source=command.source) if isinstance(clue, Server) else clue
    module = folder.modules[script]
    for call in module.calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "run":
            owner = call.func.value
            if isinstance(owner, ast.Name) and owner.id in {"app", "application", "api"}:
                name = f"python {script} ({owner.id}.run())"
                yield _for_development(command, name)
                return


def read_scripts(folder: Folder) -> Iterator[Clue]:
    """``uvicorn.run("module:app", workers=4)`` in the code."""
    for path, module in folder.modules.items():
        for call in module.calls:
            if module.dotted(call.func) != "uvicorn.run":
                continue
            said = keywords(call)
            first = call.args[0] if call.args else said.get("app")
            words = {name: literal(node) for name, node in said.items() if name != "app"}
            start, name = module_name(folder, path)
            target = text_of(first)
            if isinstance(first, ast.Name):
                target = f"{name}:{first.id}"
            options = {
                key.replace("_", "-"): value
                for key, value in words.items()
                if isinstance(value, str | int | bool) and key not in {"host", "port", "reload"}
            }
            yield Server(
                place=Place(path, call.lineno),
                name="uvicorn",
                source=Source.CODE,
                options=tuple(options.items()),
                target=target,
                interface=Interface.ASGI,
                folder=start,
            )
