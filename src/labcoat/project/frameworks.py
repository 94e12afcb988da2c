"""Apps in the code: which module binds what a server can call, and which framework made it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from labcoat.model.study import Interface
from labcoat.project.clues import AppObject, Clue, Page, Place, Remark
from labcoat.project.folder import Folder, parent
from labcoat.project.python_code import Module, keywords, literal, text_of

WSGI, ASGI = Interface.WSGI, Interface.ASGI
# What makes an app when it is called -> its framework.
MAKERS: Mapping[str, tuple[str, Interface]] = {
    "bottle.Bottle": ("Bottle", WSGI),
    "bottle.app": ("Bottle", WSGI),
    "bottle.default_app": ("Bottle", WSGI),
    "channels.routing.ProtocolTypeRouter": ("Django", ASGI),
    "django.core.asgi.get_asgi_application": ("Django", ASGI),
    "django.core.handlers.wsgi.WSGIHandler": ("Django", WSGI),
    "django.core.wsgi.get_wsgi_application": ("Django", WSGI),
    "falcon.API": ("Falcon", WSGI),
    "falcon.App": ("Falcon", WSGI),
    "falcon.asgi.App": ("Falcon", ASGI),
    "fastapi.FastAPI": ("FastAPI", ASGI),
    "fastapi.applications.FastAPI": ("FastAPI", ASGI),
    "flask.Flask": ("Flask", WSGI),
    "flask.app.Flask": ("Flask", WSGI),
    "flask_openapi3.OpenAPI": ("Flask", WSGI),
    "litestar.Litestar": ("Litestar", ASGI),
    "pyramid.paster.get_app": ("Pyramid", WSGI),
    "quart.Quart": ("Quart", ASGI),
    "sanic.Sanic": ("Sanic", ASGI),
    "starlette.applications.Starlette": ("Starlette", ASGI),
}
MADE_BY_METHOD = {"make_wsgi_app": ("Pyramid", WSGI)}  # config.make_wsgi_app()
APP_NAMES = ("application", "app", "api", "wsgi", "asgi")
_ROUTERS = {"route", "get", "api_route", "view"}

Made = tuple[str, Interface | None]


def read_apps(folder: Folder) -> Iterator[Clue]:
    """App objects and factories of every module; an app that a factory of another makes too."""
    factories: dict[str, Made] = {}
    for path, module in folder.modules.items():
        for name, made, _ in _factories(module):
            factories[f"{module_name(folder, path)[1]}.{name}"] = made
    for path, module in folder.modules.items():
        yield from _apps(folder, path, module, factories)


def module_name(folder: Folder, path: str) -> tuple[str, str]:
    """(folder that comes first on the import path, dotted name) of a Python file.

    The topmost folder that is a package, or that the file itself imports from.
    """
    parts = path.removesuffix(".py").split("/")
    start = len(parts) - 1
    while start > 0 and "/".join((*parts[:start], "__init__.py")) in folder.files:
        start -= 1
    module = folder.modules.get(path)
    roots = {name.partition(".")[0] for name in module.aliases.values()} if module else set()
    for first in range(start):
        if parts[first] in roots and "/".join(parts[: first + 1]) + ".py" not in folder.files:
            start = first
            break
    names = parts[start:]
    if names[-1] == "__init__" and len(names) > 1:
        names = names[:-1]
    return "/".join(parts[:start]), ".".join(names)


def read_pages(folder: Folder) -> Iterator[Clue]:
    """Paths without parameters that a decorator, or Django's root ``urlpatterns``, gives a GET."""
    for path, module in folder.modules.items():
        for function in module.functions:
            for call in function.decorator_list:
                yield from _page(path, module, call)


def read_own_servers(folder: Folder) -> Iterator[Clue]:
    """``app.run()``: the framework's own server, which is for development."""
    for path, module in folder.modules.items():
        made = {name for name, node, _ in module.bindings() if _made(module, node, {}) is not None}
        for call in module.calls if made else ():
            if not isinstance(call.func, ast.Attribute) or call.func.attr != "run":
                continue
            owner = call.func.value
            if isinstance(owner, ast.Name) and owner.id in made:
                what = f"{owner.id}.run() starts the framework's own development server"
                yield Remark(
                    place=Place(path, call.lineno),
                    what=what,
                    way_out="it is never measured: labcoat starts the app server of [stack]",
                )


def _apps(
    folder: Folder, path: str, module: Module, factories: Mapping[str, Made]
) -> Iterator[Clue]:
    start, name = module_name(folder, path)
    own = {one: made for one, made, _ in _factories(module)}
    found: dict[str, AppObject] = {}

    def add(bound: str, made: Made, line: int, *, is_factory: bool = False) -> None:
        found[bound] = AppObject(
            place=Place(path, line),
            target=f"{name}:{bound}",
            folder=start,
            framework=made[0],
            interface=made[1],
            is_factory=is_factory,
        )

    for bound, made, line in _factories(module):
        add(bound, made, line, is_factory=True)
    for bound, node, line in module.bindings():
        known = {**factories, **{f"{name}.{one}": each for one, each in own.items()}, **own}
        made_here = _made(module, node, known, package=_package(path, name))
        if made_here is not None:
            add(bound, made_here, line)
        elif bound in found and not found[bound].is_factory:
            continue  # wrapped in a middleware: still the app
        elif isinstance(node, ast.Call) and _wraps(node, found):
            inner = _wraps(node, found)
            add(bound, (found[inner].framework, found[inner].interface), line)
    for function in module.top:
        interface = _callable(function)
        if interface is not None and isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            add(function.name, ("", interface), function.lineno)
    yield from found.values()


def _package(path: str, name: str) -> str:
    """The package that a relative import of this module starts from."""
    is_package = path.endswith("/__init__.py")
    return name if is_package else name.rpartition(".")[0]


def _made(
    module: Module, node: ast.expr, factories: Mapping[str, Made], *, package: str = ""
) -> Made | None:
    """What a value is if it is an app: (framework, interface)."""
    if not isinstance(node, ast.Call):
        return None
    name = module.dotted(node.func)
    if isinstance(node.func, ast.Attribute) and node.func.attr in MADE_BY_METHOD:
        return MADE_BY_METHOD[node.func.attr]
    if name in MAKERS:
        return MAKERS[name]
    if name.startswith("."):
        name = _absolute(name, package)
    if name in factories:
        return factories[name]
    last = name.rpartition(".")[2]
    if name and last.endswith("app") and last.startswith(("create_", "make_", "build_", "get_")):
        ends = [made for full, made in factories.items() if full.rpartition(".")[2] == last]
        return ends[0] if len(ends) == 1 else ("", None)
    return None


def _absolute(name: str, package: str) -> str:
    level = len(name) - len(name.lstrip("."))
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - level + 1] if level <= len(parts) else []
    return ".".join((*kept, name[level:]))


def _factories(module: Module) -> Iterator[tuple[str, Made, int]]:
    """Functions at the top that make an app and give it back."""
    for function in module.top:
        if not isinstance(function, ast.FunctionDef):
            continue
        inside: dict[str, Made] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and (made := _made(module, node.value, {})):
                inside |= {t.id: made for t in node.targets if isinstance(t, ast.Name)}
            if not isinstance(node, ast.Return) or node.value is None:
                continue
            named = inside.get(node.value.id) if isinstance(node.value, ast.Name) else None
            if result := named or _made(module, node.value, {}):
                yield function.name, result, function.lineno
                break


def _wraps(node: ast.Call, found: Mapping[str, AppObject]) -> str:
    """The name of the app that a call takes first; empty if it takes none."""
    first = node.args[0] if node.args else None
    name = first.id if isinstance(first, ast.Name) else ""
    return name if name in found and not found[name].is_factory else ""


def _callable(node: ast.stmt) -> Interface | None:
    """The interface of a plain function that a server could call."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    names = [argument.arg for argument in node.args.args]
    if isinstance(node, ast.AsyncFunctionDef):
        return ASGI if names == ["scope", "receive", "send"] else None
    is_wsgi = len(names) == 2 and names[0] in {"environ", "env"} and names[1].startswith("start")
    return WSGI if is_wsgi else None


def _page(path: str, module: Module, call: ast.expr) -> Iterator[Clue]:
    if not isinstance(call, ast.Call):
        return
    name = call.func.attr if isinstance(call.func, ast.Attribute) else module.dotted(call.func)
    if name.rpartition(".")[2] not in _ROUTERS:
        return
    methods = literal(keywords(call).get("methods", ast.List(elts=[], ctx=ast.Load())))
    method = text_of(keywords(call).get("method"))
    if (isinstance(methods, list | tuple) and methods and "GET" not in methods) or (
        method is not None and method.upper() != "GET"
    ):
        return
    said = text_of(call.args[0]) if call.args else None
    if said is not None and said.startswith("/") and not set(said) & set("<{:("):
        yield Page(place=Place(path, call.lineno), path=said)


def home_of(folder: Folder, target: str, start: str) -> str | None:
    """The file of the project that a target's module is, seen from a folder; None if elsewhere."""
    dotted = target.partition(":")[0].replace(".", "/")
    for name in (f"{dotted}.py", f"{dotted}/__init__.py"):
        full = f"{start}/{name}" if start else name
        if full in folder.files:
            return full
    return None


def find_home(folder: Folder, target: str) -> str | None:
    """The only folder from which a target's module can be imported, or None."""
    dotted = target.partition(":")[0].replace(".", "/")
    ends = (f"{dotted}.py", f"{dotted}/__init__.py")
    homes = {
        parent("/" + file.removesuffix(end).rstrip("/") + "/x").strip("/")
        for file in folder.files
        for end in ends
        if file == end or file.endswith(f"/{end}")
    }
    return next(iter(homes)) if len(homes) == 1 else None
