"""What an nginx.conf says of its doors: where it listens, and what it passes requests to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint, Speaks
from labcoat.stack.edit.nginx_tree import Word
from labcoat.stack.nginx_files import Site

PASSES = {"uwsgi_pass": Speaks.UWSGI, "proxy_pass": Speaks.HTTP}

_PROXY = re.compile(
    r"(?P<scheme>https?://)(?P<address>unix:[^:]*|\[[^\]]*\][^/]*|[^/]*)(?P<rest>.*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """One ``listen`` line: its address as a key that several servers may share."""

    site: Site
    key: str
    endpoint: Endpoint
    is_plain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A way from nginx to what lies behind it: the word that holds its address.

    ``before``/``after``: what stands around the address in that word. ``upstream``: the block
    that the word stands in, None for a pass without one. ``passes``: the pass directives that
    go through this door.
    """

    site: Site
    word: Word
    endpoint: Endpoint
    passes: tuple[Site, ...]
    before: str = ""
    after: str = ""
    upstream: str | None = None


def listens(sites: Sequence[Site]) -> list[Listen]:
    """Every ``listen`` of every HTTP server that the sandbox can offer: no QUIC, no IPv6.

    A server that listens on IPv6 alone is taken as if it listened on IPv4.
    """
    found: list[Listen] = []
    for server in servers(sites):
        own = [s for s in inside(sites, server) if s.directive.name == "listen"]
        tcp = [s for s in own if s.directive.words and "quic" not in s.directive.words]
        four = [s for s in tcp if not s.directive.words[0].startswith("[")]
        found += [_listen(site) for site in four or tcp]
    return found


def servers(sites: Sequence[Site]) -> list[Site]:
    """The ``server`` blocks of ``http``."""
    return [s for s in sites if s.directive.name == "server" and s.context == ("http",)]


def inside(sites: Sequence[Site], block: Site) -> list[Site]:
    """What stands in a block, at any depth, across includes."""
    return [s for s in sites if any(a is block.directive for a in s.ancestors)]


def doors(sites: Sequence[Site], *, strict: bool = True) -> list[Door]:
    """Every way to what lies behind: direct passes, and the servers of upstream blocks in use.

    Raises: RenderError for a pass to a variable, whose address only a request can tell.
    """
    http = [site for site in sites if site.context[:1] == ("http",)]
    upstreams = {s.directive.words[0]: s for s in http if s.directive.name == "upstream"}
    through: dict[str, list[Site]] = {}
    found: list[Door] = []
    for site in http:
        if site.directive.name not in PASSES or not site.directive.args:
            continue
        word = site.directive.args[0]
        before, address, after = _split(word.text)
        if "$" in address:
            if strict:
                raise RenderError(
                    f"{site.directive.name} to a variable cannot be wired: {word.text}",
                    where=site.place,
                    way_out="write the address, or the name of an upstream block",
                )
        elif address in upstreams:
            through.setdefault(address, []).append(site)
        else:
            endpoint = _endpoint(address, PASSES[site.directive.name], site)
            found.append(
                Door(
                    site=site,
                    word=word,
                    endpoint=endpoint,
                    passes=(site,),
                    before=before,
                    after=after,
                )
            )
    for name, passes in through.items():
        found += _members(http, upstreams[name], tuple(passes))
    return found


def towards(found: Sequence[Door], behind: Sequence[Endpoint]) -> list[Door]:
    """The doors that lead to the app: to where it says that it listens, else the only address.

    Every server of an upstream block counts if one does. Empty if the file leads to several
    places and none of them is the app's.
    """
    hits = [door for door in found if any(_same(door.endpoint, other) for other in behind)]
    if hits:
        names = {door.upstream for door in hits} - {None}
        return [door for door in found if door in hits or door.upstream in names]
    ways = {door.upstream or door.endpoint.address for door in found}
    return list(found) if len(ways) == 1 else []


def _same(one: Endpoint, other: Endpoint) -> bool:
    if one.path is not None or other.path is not None:
        return one.path == other.path
    return one.port == other.port


def _members(sites: Sequence[Site], upstream: Site, passes: tuple[Site, ...]) -> list[Door]:
    speaks = PASSES[passes[0].directive.name]
    return [
        Door(
            site=site,
            word=site.directive.args[0],
            endpoint=_endpoint(site.directive.words[0], speaks, site),
            passes=passes,
            upstream=upstream.directive.words[0],
        )
        for site in inside(sites, upstream)
        if site.directive.name == "server" and site.directive.args
    ]


def _split(text: str) -> tuple[str, str, str]:
    """(scheme, address, rest) of the argument of a pass."""
    if text.startswith("uwsgi://"):
        return "uwsgi://", text.removeprefix("uwsgi://"), ""
    match = _PROXY.fullmatch(text)
    if match is None:
        return "", text, ""
    # In http://unix:/path:/uri the colon after the path belongs to the rest.
    return match["scheme"], match["address"], match["rest"]


def _endpoint(address: str, speaks: Speaks, site: Site) -> Endpoint:
    if address.startswith("unix:"):
        return Endpoint(speaks=speaks, path=Path(address.removeprefix("unix:")))
    host, _, port = address.rpartition(":")
    if not host:
        host, port = address, "80" if speaks is not Speaks.UWSGI else "3031"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise RenderError(
            f"not an address: {address}", where=site.place, way_out="write host:port or unix:/path"
        )
    return Endpoint(speaks=speaks, host=host, port=int(port))


def _listen(site: Site) -> Listen:
    words = site.directive.words
    speaks = Speaks.HTTPS if "ssl" in words[1:] else Speaks.HTTP
    address = words[0]
    if address.startswith("unix:"):
        endpoint = Endpoint(speaks=speaks, path=Path(address.removeprefix("unix:").split(":")[0]))
        return Listen(site=site, key=address, endpoint=endpoint, is_plain=speaks is Speaks.HTTP)
    host, _, port = address.rpartition(":") if not address.endswith("]") else (address, "", "80")
    if not port.isdecimal():
        host, port = address, "80"
    if not 0 < int(port) < 65536:
        raise RenderError(
            f"not a port: {port}", where=site.place, way_out="write a port from 1 to 65535"
        )
    any_host = host in {"", "*", "0.0.0.0", "[::]"}  # noqa: S104 - read from a file, not bound
    name = "*" if any_host else host
    return Listen(
        site=site,
        key=f"{name}:{port}",
        endpoint=Endpoint(speaks=speaks, host="127.0.0.1" if any_host else host, port=int(port)),
        is_plain=speaks is Speaks.HTTP,
    )
