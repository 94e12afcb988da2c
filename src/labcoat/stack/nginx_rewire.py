"""Rewiring nginx.conf: ports, sockets, users, pid files, logs and temporary paths; nothing else.

Every rewiring stays on its line, so that a line number in a message of nginx means the same
line of the user's file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint, Speaks
from labcoat.stack.base import Wiring
from labcoat.stack.edit.patch import Patch
from labcoat.stack.nginx_doors import Door, Listen, doors, inside, listens, servers, towards
from labcoat.stack.nginx_files import SHIPPED, Adopted, Site

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
FROM_CONFIG_FOLDER = frozenset(
    {
        "auth_basic_user_file", "js_import", "ssl_certificate", "ssl_certificate_key",
        "ssl_client_certificate", "ssl_crl", "ssl_dhparam", "ssl_password_file",
        "ssl_session_ticket_key", "ssl_trusted_certificate", "proxy_ssl_trusted_certificate",
    }
)  # fmt: skip
CERTIFICATES = ("ssl_certificate", "ssl_certificate_key")
# Files of TLS without which a server still serves.
DISPENSABLE = frozenset(
    {
        "ssl_client_certificate", "ssl_crl", "ssl_dhparam", "ssl_password_file",
        "ssl_session_ticket_key", "ssl_trusted_certificate",
    }
)  # fmt: skip
THROWAWAY = {"ssl_certificate": "throwaway.crt", "ssl_certificate_key": "throwaway.key"}
"""A self-made certificate for localhost, known to everybody: it protects nothing."""
FROM_PREFIX = frozenset({"alias", "root"})
CACHES = frozenset({f"{kind}_cache_path" for kind in ("fastcgi", "proxy", "scgi", "uwsgi")})
OTHER_WORLDS = frozenset({"mail", "stream"})


@dataclass(slots=True, kw_only=True)
class Rewiring:
    """The patches of one rendering, gathered file by file, and the words for each."""

    adopted: Adopted
    texts: Mapping[Path, str]
    sites: Sequence[Site]
    wiring: Wiring
    behind: Sequence[Endpoint]
    patches: dict[Path, list[Patch]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    _logs: dict[str, str] = field(default_factory=dict)

    def gather(self, names: Mapping[Path, str]) -> None:
        """Everything. ``names``: the rendered name of each file. Raises: RenderError."""
        self._includes(names)
        for site in self.sites:
            if site.directive.name in OTHER_WORLDS and not site.ancestors:
                self._drop(site, "the sandbox has no such server")
        self._files()
        self._listens()
        self._passes()
        self._http()
        self._main()

    def told(self) -> tuple[str, ...]:
        """The words, in the order of the files and their lines."""
        order = {str(path): number for number, path in enumerate(self.texts)}

        def place(note: str) -> tuple[int, int]:
            found = re.match(r"(.*?)(?::(\d+))?: ", note)
            if found is None:
                return len(order), 0
            return order.get(found[1], len(order)), int(found[2] or 0)

        return tuple(sorted(self.notes, key=place))

    # What stands in the file, directive by directive.

    def _includes(self, names: Mapping[Path, str]) -> None:
        for site in self._live():
            directive = site.directive
            if directive.name != "include" or len(directive.args) != 1:
                continue
            key = (directive.path, directive.words[0])
            if key in self.adopted.gone:
                self._drop(site, "no such file on this machine")
                continue
            targets = [names[file] for file in self.adopted.includes.get(key, ())]
            text = " ".join(f"include {self.wiring.directory / name};" for name in targets)
            self._patch(site, directive.start, directive.end, text)

    def _files(self) -> None:
        folder, app = self.adopted.root.parent, self.wiring.app.directory
        for site in self._live():
            name, words = site.directive.name, site.directive.words
            if not words:
                continue
            if name in {"access_log", "error_log"}:
                self._log(site)
            elif name in CACHES or name.removesuffix("_temp_path") in TEMPORARY:
                self._replace(site, 0, str(self.wiring.directory / self._named(words[0])))
            elif name in {*CERTIFICATES, *DISPENSABLE} and self._tls(site):
                continue
            elif name in FROM_CONFIG_FOLDER and not words[0].startswith(("/", "$", "data:")):
                self._replace(site, 0, str(folder / words[0]))
            elif name in FROM_PREFIX and not words[0].startswith(("/", "$")):
                near = next((f for f in (folder, app) if (f / words[0]).exists()), folder)
                self._replace(site, 0, str(near / words[0]))
            elif name == "load_module" and not words[0].startswith("/"):
                self._module(site)

    def _tls(self, site: Site) -> bool:
        """Whether a file of TLS is not here, and has been seen to."""
        name, word = site.directive.name, site.directive.words[0]
        if name in CERTIFICATES and self._is_lacking(site):
            self._replace(site, 0, str(self.wiring.directory / THROWAWAY[name]))
            for file in THROWAWAY.values():
                self.files[file] = (SHIPPED / file).read_text(encoding="ascii")
            return True
        if name in DISPENSABLE and not self._is_readable(word):
            self._drop(site, "no such file for this user")
            return True
        return False

    def _is_lacking(self, site: Site) -> bool:
        """Whether a certificate or its key is not here: then the pair is replaced."""
        pair = [
            other
            for other in self._live()
            if other.directive.name in CERTIFICATES
            and other.directive.args
            and [id(a) for a in other.ancestors] == [id(a) for a in site.ancestors]
        ]
        return not all(self._is_readable(other.directive.words[0]) for other in pair)

    def _is_readable(self, word: str) -> bool:
        """Whether a path of the file is readable here; what is none counts as here."""
        if word.startswith(("$", "data:", "engine:", "store:")):
            return True
        return os.access(self.adopted.root.parent / word, os.R_OK)

    def _log(self, site: Site) -> None:
        words = site.directive.words
        if words[0] in {"off", "stderr", "/dev/null"}:
            return
        if site.directive.name == "error_log":
            self._replace(site, 0, "stderr")
        else:
            self._replace(site, 0, str(self.wiring.directory / self._named(words[0])))

    def _module(self, site: Site) -> None:
        found = re.search(r"--modules-path=(\S+)", self.wiring.build)
        if found is not None:
            path = Path(found[1]) / Path(site.directive.words[0]).name
            self._replace(site, 0, str(path))

    # Doors.

    def _listens(self) -> None:
        wanted = listens(self.sites)
        first = main_listen(self.sites, self.behind)
        places = {first.key: self.wiring.listen} if first is not None else {}
        others = list(dict.fromkeys(listen.key for listen in wanted if listen.key not in places))
        places |= dict(zip(others, self.wiring.spare, strict=False))
        kept = {id(listen.site.directive): listen for listen in wanted}
        for site in self._live():
            if site.directive.name != "listen" or site.context != ("http", "server"):
                continue
            listen = kept.get(id(site.directive))
            if listen is None or listen.key not in places:
                self._drop(site, "the sandbox is IPv4 on loopback, without QUIC")
            else:
                self._listen(site, listen, places[listen.key], is_main=_is(listen, first))
        if first is None:
            self._unsaid_listen()

    def _listen(self, site: Site, listen: Listen, place: Endpoint, *, is_main: bool) -> None:
        address = place.address
        self._replace(site, 0, address)
        for word in site.directive.args[1:]:
            if word.text.startswith("ipv6only="):
                self._patch(site, word.start, word.end, "")
        sharing = [
            other
            for other in listens(self.sites)
            if other.key == listen.key and other.site.directive is not site.directive
        ]
        # The load names no host, so the app's server must be the one that answers by default.
        if is_main and sharing and "default_server" not in site.directive.words:
            end = site.directive.args[-1].end
            self._patch(site, end, end, " default_server")
            self.notes.append(f"{site.place}: default_server, since the load names no host")
            for other in sharing:
                for word in other.site.directive.args[1:]:
                    if word.text in {"default_server", "default"}:
                        self._patch(other.site, word.start, word.end, "")

    def _unsaid_listen(self) -> None:
        for server in servers(self.sites)[:1]:
            body = server.directive.body or (server.directive.end, server.directive.end)
            self._patch(server, body[0], body[0], f" listen {self.wiring.listen.address};")
            self.notes.append(f"{server.place}: listen {self.wiring.listen.address} (was unsaid)")

    def _passes(self) -> None:
        upstream = self.wiring.upstream
        if upstream is None:
            return
        every = doors(self.sites)
        ours = towards(every, self.behind)
        if not ours:
            addresses = ", ".join(sorted({door.endpoint.address for door in every}))
            raise RenderError(
                "nginx.conf passes requests to several servers, and none is the app's"
                if every
                else "nginx.conf passes no request to the app",
                where=f"{self.adopted.root} ({addresses or 'no uwsgi_pass, no proxy_pass'})",
                way_out="let a uwsgi_pass or proxy_pass name the address that the app server's "
                "own file names",
            )
        seen: set[str] = set()
        for door in sorted(ours, key=_is_reserve):
            self._pass(door, upstream, seen)
        for door in every:
            if door not in ours:
                self.notes.append(
                    f"{door.site.place}: still passes outside the sandbox: {door.endpoint.address}"
                )

    def _pass(self, door: Door, upstream: Endpoint, seen: set[str]) -> None:
        if door.endpoint.speaks is not upstream.speaks:
            is_uwsgi = upstream.speaks is Speaks.UWSGI
            wanted, name = ("uwsgi_pass", "uwsgi") if is_uwsgi else ("proxy_pass", "HTTP")
            raise RenderError(
                f"nginx passes {door.endpoint.speaks.value}, but the app server speaks {name}",
                where=door.site.place,
                way_out=f"use {wanted}, or let the app server listen for the other protocol",
            )
        if door.upstream is not None:
            if door.upstream in seen:
                self._drop(door.site, "the sandbox has one app server")
                return
            seen.add(door.upstream)
        text = f"{door.before}{upstream.address}"
        if door.before.startswith("http") and upstream.path is not None:
            rest = door.after.removeprefix(":")
            text += f":{rest}" if rest else ""
        else:
            text += door.after.removeprefix(":")
        self._replace_word(door.site, door.word.start, door.word.end, door.word.text, text)

    # What the file does not say and the packages' built-in defaults would put elsewhere.

    def _http(self) -> None:
        blocks = (s for s in self.sites if s.context == () and s.directive.name == "http")
        block = next(blocks, None)
        if block is None or block.directive.body is None:
            raise RenderError(
                "nginx.conf has no http block",
                where=self.adopted.root,
                way_out="name the main file, the one with events and http blocks",
            )
        own = {s.directive.name for s in self.sites if s.context == ("http",)}
        lines = []
        if "access_log" not in own:
            lines.append(f"access_log {self.wiring.directory / 'access.log'};")
        for kind in TEMPORARY:
            absent = f"--without-http_{kind}_module" in self.wiring.build
            if f"{kind}_temp_path" not in own and not absent:
                lines.append(f"{kind}_temp_path {self.wiring.directory / f'{kind}_temp'};")
        start, end = block.directive.body
        self._patch(block, start, start, " " + " ".join(lines))
        if has_status(self.wiring.build) and self.wiring.spare:
            address = self.wiring.spare[-1].address
            self._patch(
                block,
                end,
                end,
                f" server {{ listen {address}; access_log off; "
                "location = /status { stub_status; } } ",
            )

    def _main(self) -> None:
        lines = {"daemon": "off", "pid": str(self.wiring.directory / "nginx.pid")}
        if self.wiring.user is not None:
            lines["user"] = self.wiring.user
        for site in self._live():
            name = site.directive.name
            if site.ancestors or name not in {*lines, "user", "lock_file", "working_directory"}:
                continue
            if name in lines:
                value = lines.pop(name)
                if name == "user" and len(site.directive.args) > 1:
                    self._patch(site, site.directive.args[1].start, site.directive.args[-1].end, "")
                self._replace(site, 0, value)
            else:
                self._drop(site, "the sandbox's own")
        main = {s.directive.name for s in self.sites if not s.ancestors}
        if "error_log" not in main:
            lines["error_log"] = "stderr"
        text = "".join(f"{name} {value}; " for name, value in lines.items())
        self.patches.setdefault(self.adopted.root, []).append(Patch(0, 0, text))
        self.notes += [
            f"{self.adopted.root}: {name} {value} (was unsaid)" for name, value in lines.items()
        ]

    # Patches.

    def _live(self) -> list[Site]:
        """What is not inside of a block that is left out."""
        return [s for s in self.sites if not any(a.name in OTHER_WORLDS for a in s.ancestors)]

    def _named(self, path: str) -> str:
        """A name in the sandbox for a path of the user's, the same for the same path."""
        if path not in self._logs:
            name = Path(path.removeprefix("syslog:server=")).name or "log"
            taken = set(self._logs.values())
            while name in taken:
                name = f"other-{name}"
            self._logs[path] = name
        return self._logs[path]

    def _patch(self, site: Site, start: int, end: int, text: str) -> None:
        breaks = self.texts[site.directive.path][start:end].count("\n")
        self.patches.setdefault(site.directive.path, []).append(
            Patch(start, end, text + "\n" * breaks)
        )

    def _replace(self, site: Site, index: int, text: str) -> None:
        word = site.directive.args[index]
        self._replace_word(site, word.start, word.end, word.text, text)

    def _replace_word(self, site: Site, start: int, end: int, old: str, new: str) -> None:
        if old == new:
            return
        self._patch(site, start, end, _safe(new))
        self.notes.append(f"{site.place}: {site.directive.name} {old} -> {new}")

    def _drop(self, site: Site, why: str) -> None:
        self._patch(site, site.directive.start, site.directive.end, "")
        words = " ".join((site.directive.name, *site.directive.words))
        self.notes.append(f"{site.place}: {words} left out: {why}")


def main_listen(sites: Sequence[Site], behind: Sequence[Endpoint]) -> Listen | None:
    """The listen line through which the load comes: of the server that leads to the app.

    Plain HTTP before TLS; the file's first server if none leads to the app.
    """
    every = listens(sites)
    leading = {
        id(site.directive)
        for door in towards(doors(sites, strict=False), behind)
        for site in door.passes
    }
    blocks = servers(sites)
    ours = [
        block
        for block in blocks
        if any(id(site.directive) in leading for site in inside(sites, block))
    ]
    chosen = {id(block.directive) for block in ours or blocks[:1]}
    members = [m for m in every if any(id(a) in chosen for a in m.site.ancestors)]
    return next((m for m in members if m.is_plain), members[0] if members else None)


def _is_reserve(door: Door) -> bool:
    """Whether the server of an upstream block takes requests only if others fail, or never."""
    return bool({"backup", "down"} & {*door.site.directive.words})


def _is(one: Listen, other: Listen | None) -> bool:
    return other is not None and one.site.directive is other.site.directive


def has_status(build: str) -> bool:
    """Whether this nginx was built with stub_status."""
    return "--with-http_stub_status_module" in build


def _safe(word: str) -> str:
    return f'"{word}"' if re.search(r"[\s;{}\"']", word) else word
