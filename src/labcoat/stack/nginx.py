"""nginx as a component."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from labcoat.errors import RenderError
from labcoat.host.base import Host, Process
from labcoat.model.stack import Endpoint, Speaks
from labcoat.model.study import App, ComponentSpec
from labcoat.model.variant import Level, Variant
from labcoat.stack import probe
from labcoat.stack.base import Edited, FileEdit, Rendered, Wiring
from labcoat.stack.edit import nginx as language
from labcoat.stack.edit.patch import Patch, apply
from labcoat.stack.nginx_doors import doors, listens, towards
from labcoat.stack.nginx_files import SHIPPED, Adopted
from labcoat.stack.nginx_rewire import Rewiring, has_status, main_listen

CHECK_TIMEOUT_S = 20.0
_APP_FOLDER = "{app.folder}"
_SAID: Mapping[str, re.Pattern[str]] = {
    "file_places": re.compile(r"\b(?:root|alias|try_files)\s"),
    "gzip_on": re.compile(r"\bgzip\s+[\"']?on\b"),
    "proxy_passes": re.compile(r"\bproxy_pass\s"),
    "regexes": re.compile(r"~|\brewrite\s"),
    "tls_listens": re.compile(r"\blisten\s[^;]*\bssl\b"),
    "uwsgi_passes": re.compile(r"\buwsgi_pass\s"),
}
_COUNTS = re.compile(r"Active connections: (\d+).*?(\d+) (\d+) (\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nginx:
    """nginx: one master, its workers, the user's servers.

    Apply cost: every knob is a RESTART here, so that both arms pay the same.
    In a level ``{app.folder}`` means the folder of the app's module, where Flask, for one, looks
    for ``static``.
    Counters need ``stub_status``, which not every build has; without it there are none.
    Source: nginx.org/en/docs.
    """

    name: ClassVar[str] = "nginx"
    speaks: ClassVar[tuple[Speaks, ...]] = (Speaks.HTTP, Speaks.HTTPS)
    adopted: Adopted
    behind: tuple[Endpoint, ...] = ()
    app_folder: Path = Path()

    @classmethod
    def adopt(cls, spec: ComponentSpec, app: App, *, behind: tuple[Endpoint, ...] = ()) -> Self:
        """The user's nginx.conf and what it includes. Raises: RenderError."""
        if spec.file is None:
            raise RenderError(
                "nginx needs a file",
                where="[stack] nginx",
                way_out='write nginx = "path/of/nginx.conf" in labcoat.toml',
            )
        if spec.options:
            raise RenderError(
                "nginx takes no options",
                where="[stack] nginx",
                way_out=f"write the directives into {spec.file}",
            )
        return cls(adopted=Adopted.read(spec.file), behind=behind, app_folder=_folder_of(app))

    def origin_endpoints(self) -> tuple[Endpoint, ...]:
        """The listen lines, the one through which the load comes first."""
        sites = self.adopted.sites(self.adopted.texts)
        main = main_listen(sites, self.behind)
        every = {listen.key: listen.endpoint for listen in listens(sites)}
        if main is None:
            return ()
        return (main.endpoint, *(place for key, place in every.items() if key != main.key))

    def origin_upstream(self) -> Endpoint | None:
        """What uwsgi_pass or proxy_pass leads to."""
        found = doors(self.adopted.sites(self.adopted.texts))
        ours = towards(found, self.behind)
        return ours[0].endpoint if ours else None

    def origin_level(self, directive: str) -> Level | None:
        """The level as written, at its widest place."""
        sites = self.adopted.sites(self.adopted.texts)
        return language.level_in([(s.context, s.directive) for s in sites], directive)

    def spare(self) -> tuple[Endpoint, ...]:
        """One endpoint for each further listen address, and a Unix socket for the counters."""
        counters = Endpoint(speaks=Speaks.HTTP, path=Path("status"))
        return (*self.origin_endpoints()[1:], counters)

    def render(self, variant: Variant, wiring: Wiring) -> Rendered:
        """The rewired files and ``nginx -c``. Raises: RenderError."""
        texts = self._assigned(variant)
        names = self._names()
        rewiring = Rewiring(
            adopted=self.adopted,
            texts=texts,
            sites=self.adopted.sites(texts),
            wiring=wiring,
            behind=self.behind,
        )
        rewiring.gather(names)
        files = {
            name: apply(texts[path], rewiring.patches.get(path, ())) for path, name in names.items()
        }
        files |= rewiring.files
        return Rendered(
            files=files, argv=_argv(wiring, names[self.adopted.root]), rewired=rewiring.told()
        )

    def edited(self, variant: Variant) -> Edited:
        """nginx.conf and what it includes of the user's, each where the directive stands."""
        texts = self._assigned(variant)
        return Edited(
            files=tuple(
                FileEdit(path=path, before=text, after=texts[path])
                for path, text in self.adopted.texts.items()
                if path.parent != SHIPPED
            )
        )

    def check(self, host: Host, rendered: Rendered, wiring: Wiring) -> None:
        """``nginx -t``, its messages with the user's own file and line. Raises: RenderError."""
        completed = host.run((*rendered.argv, "-t"), timeout_s=CHECK_TIMEOUT_S, env=wiring.env)
        if completed.status != 0:
            raise RenderError(
                "nginx refuses the file",
                where=self.adopted.root,
                log=tuple(self._own_words(line, rendered, wiring) for line in completed.tail()),
                way_out="mend the line named above, or leave the knob out",
            )

    def ready(self, host: Host, process: Process, wiring: Wiring) -> bool:
        """Whether it accepts connections."""
        del process
        return host.answers(wiring.listen)

    def counters(self, host: Host, process: Process, wiring: Wiring) -> Mapping[str, float]:
        """``stub_status``: accepts, handled, requests since boot; active connections now.

        And how often its files say what some knobs are about, see ``_SAID``.
        """
        del host, process
        said = self._said(wiring)
        if not (has_status(wiring.build) and wiring.spare):
            return said
        answer = probe.get(wiring.spare[-1], "/status", timeout_s=1.0)
        found = _COUNTS.search(answer.body) if answer is not None else None
        if found is None:
            return said
        active, accepts, handled, requests = (float(count) for count in found.groups())
        counts = {"active": active, "accepts": accepts, "handled": handled, "requests": requests}
        return {**counts, **said}

    def _said(self, wiring: Wiring) -> dict[str, float]:
        """Counted in the rendered files, comments too: what is 0 is certainly not there."""
        own = (name for path, name in self._names().items() if path.parent != SHIPPED)
        files = (wiring.directory / name for name in own)
        text = "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
        return {name: float(len(pattern.findall(text))) for name, pattern in _SAID.items()}

    def _assigned(self, variant: Variant) -> dict[Path, str]:
        """Every text with the variant's levels. Raises: RenderError."""
        texts = dict(self.adopted.texts)
        for knob, level in variant.levels(self.name).items():
            self._assign(texts, knob, level)
        return texts

    def _assign(self, texts: dict[Path, str], knob: str, level: Level) -> None:
        level = self._placed(knob, level)
        own = {path: text for path, text in texts.items() if path.parent != SHIPPED}
        sites = self.adopted.sites(texts)
        found = [(s.context, s.directive) for s in sites if s.directive.path in own]
        patches: dict[Path, list[Patch]] = {}
        for path, patch in language.edits(own, found, knob, level, self.adopted.root):
            patches.setdefault(path, []).append(patch)
        for path, changes in patches.items():
            texts[path] = apply(texts[path], changes)

    def _placed(self, knob: str, level: Level) -> Level:
        """The level with its placeholder filled. Raises: RenderError if no such folder is there."""
        if not isinstance(level, str) or _APP_FOLDER not in level:
            return level
        filled = level.replace(_APP_FOLDER, str(self.app_folder))
        if not Path(filled).is_dir():
            raise RenderError(
                f"nginx.{knob}: the app has no such folder",
                where=filled,
                way_out=f"name the folder: labcoat try nginx.{knob}=/its/path/",
            )
        return filled

    def _names(self) -> dict[Path, str]:
        """Names of the rendered files; flat, so that none can leave the folder."""
        names = {self.adopted.root: "nginx.conf"}
        for number, path in enumerate(self.adopted.texts):
            names.setdefault(path, f"{number}-{path.name}")
        return names

    def _own_words(self, line: str, rendered: Rendered, wiring: Wiring) -> str:
        """A line of nginx with the user's path where the line numbers are the user's too."""
        for path, name in self._names().items():
            if rendered.files[name].count("\n") == self.adopted.texts[path].count("\n"):
                line = line.replace(f"{wiring.directory / name}:", f"{path}:")
        return line


def _folder_of(app: App) -> Path:
    """The folder of the module that a server imports."""
    *packages, name = app.target.partition(":")[0].split(".")
    folder = app.directory.joinpath(*packages)
    return folder / name if (folder / name).is_dir() else folder


def _argv(wiring: Wiring, name: str) -> tuple[str, ...]:
    argv = (*wiring.binary, "-p", f"{wiring.directory}/", "-c", str(wiring.directory / name))
    # Since 1.19.5; without it an ordinary user is told that the default log cannot be opened.
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", wiring.build)
    is_new = version is not None and tuple(map(int, version.groups())) >= (1, 19, 5)
    return (*argv, "-e", "stderr") if is_new else argv
