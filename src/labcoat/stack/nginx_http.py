"""nginx.conf for an app server that speaks HTTP, where it passed the uwsgi protocol before.

The address stays: the new server listens where the old one did. Every ``uwsgi_`` directive that
the proxy module has too (timeouts, buffers, caches) goes over to it by the same name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from labcoat.errors import RenderError
from labcoat.model.stack import Endpoint, Speaks
from labcoat.stack.edit.nginx import inside
from labcoat.stack.edit.patch import Patch, apply
from labcoat.stack.nginx_doors import doors, towards
from labcoat.stack.nginx_files import SHIPPED, Adopted, Site

UWSGI, PROXY = "uwsgi_", "proxy_"
# What the uwsgi protocol has and HTTP has not; without a uwsgi_pass they mean nothing.
OWN = frozenset({"uwsgi_modifier1", "uwsgi_modifier2", "uwsgi_param", "uwsgi_string"})
# What every package ships as proxy_params: who asks, for which host, and how.
HEADERS: Mapping[str, str] = {
    "Host": "$http_host",
    "X-Real-IP": "$remote_addr",
    "X-Forwarded-For": "$proxy_add_x_forwarded_for",
    "X-Forwarded-Proto": "$scheme",
}


def speaking_http(
    adopted: Adopted, texts: Mapping[Path, str], behind: Sequence[Endpoint]
) -> dict[Path, str]:
    """The texts with the app passed to over HTTP. ``behind``: where the app server is.

    Raises: RenderError if other uWSGI servers are passed to as well, which would be lost.
    """
    sites = [site for site in adopted.sites(texts) if site.directive.path.parent != SHIPPED]
    every = doors(sites)
    ours = towards(every, behind)
    for door in every:
        if door not in ours and door.endpoint.speaks is Speaks.UWSGI:
            raise RenderError(
                "nginx passes to another uWSGI server as well, which would have to stay",
                where=door.site.place,
                way_out="leave stack.server out",
            )
    patches: dict[Path, list[Patch]] = {}
    for path, patch in _patches(texts, sites):
        patches.setdefault(path, []).append(patch)
    return {path: apply(text, patches.get(path, ())) for path, text in texts.items()}


def _patches(texts: Mapping[Path, str], sites: Sequence[Site]) -> Iterator[tuple[Path, Patch]]:
    for site in sites:
        name, start, path = site.directive.name, site.directive.start, site.directive.path
        if not name.startswith(UWSGI) or name in OWN:
            continue
        yield path, Patch(start, start + len(UWSGI), PROXY)
        if name == "uwsgi_pass" and site.directive.args:
            word = site.directive.args[0]
            address = word.text.removeprefix("uwsgi://")
            yield path, Patch(word.start, word.end, f"http://{address}")
            yield from _headers(texts, site)


def _headers(texts: Mapping[Path, str], site: Site) -> Iterator[tuple[Path, Patch]]:
    """The usual headers beside a pass, but for those that stand there already."""
    block = site.ancestors[-1]
    said = {
        child.words[0].lower()
        for child in block.children
        if child.name == "proxy_set_header" and child.words
    }
    for header, value in HEADERS.items():
        if header.lower() not in said:
            line = f"proxy_set_header {header} {value};"
            yield block.path, inside(texts[block.path], block, line)
