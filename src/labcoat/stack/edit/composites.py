"""Composites: one knob whose level writes several settings, which make sense only together.

A composite is spelled like a knob and is known to the language alone: ``assign`` and ``read`` of
``labcoat.stack.edit.nginx`` and ``ini`` take it apart and put it together, so whatever edits
files through them, the sandbox's copies and the user's own, writes the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labcoat.model.variant import Level

Parts = tuple[tuple[str, Level], ...]
Read = Callable[[str], Level | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """What a level writes: the ``carrier`` with the level in it, and the rest, always the same.

    ``form``: how the carrier says the level, which stands at ``{}``. ``words``: levels that are
    words, each with what it writes instead. ``own``: settings that must not be the user's: if one
    is there and says something else, the composite has no place.
    """

    carrier: str = ""
    form: str = "{}"
    fixed: Parts = ()
    words: Mapping[str, Parts] = field(default_factory=dict)
    own: frozenset[str] = frozenset()

    def parts(self, level: Level) -> Parts:
        """The settings that a level writes, in the order in which they make sense."""
        if level in self.words:
            return self.words[str(level)]
        if not self.carrier:
            return ()
        return (*self.fixed, *_carried(self.carrier, self.form, level))

    def level(self, read: Read) -> str | None:
        """The level that is in force, given what each setting says; None if not all of it is."""
        for word, parts in self.words.items():
            if all(_same(read(name), wanted) for name, wanted in parts):
                return word
        if not self.carrier or not all(_same(read(name), value) for name, value in self.fixed):
            return None
        before, _, after = self.form.partition("{}")
        said = read(self.carrier)
        if said is None or not (str(said).startswith(before) and str(said).endswith(after)):
            return None
        return str(said)[len(before) : len(str(said)) - len(after)]


def _carried(carrier: str, form: str, level: Level) -> Parts:
    return ((carrier, level if form == "{}" else form.replace("{}", str(level))),)


def _same(said: Level | None, wanted: Level) -> bool:
    spellings = {"True": "on", "False": "off", "true": "on", "false": "off"}
    one, other = str(said), str(wanted)
    return spellings.get(one, one) == spellings.get(other, other)


def _cache(protocol: str) -> Composite:
    """A small cache in front of the app: one fill per key, stale answers while it is made anew.

    Requests that bring a login or a cookie are neither answered from it nor kept; nginx keeps no
    answer that sets a cookie, and honours Cache-Control and Expires.
    """
    personal = "$http_authorization $http_cookie"
    zone = f"labcoat_{protocol}"
    return Composite(
        carrier=f"{protocol}_cache_valid",
        form="200 {}",
        fixed=(
            (
                f"{protocol}_cache_path",
                f"/var/cache/nginx/{zone} levels=1:2 keys_zone={zone}:1m max_size=64m inactive=60s",
            ),
            (f"{protocol}_cache", zone),
            (f"{protocol}_cache_key", '"$scheme$request_method$host$request_uri"'),
            (f"{protocol}_cache_bypass", personal),
            (f"{protocol}_no_cache", personal),
            (f"{protocol}_cache_lock", True),
            (f"{protocol}_cache_use_stale", "updating"),
            (f"{protocol}_cache_background_update", True),
        ),
        own=frozenset({f"{protocol}_cache_path", f"{protocol}_cache", f"{protocol}_cache_key"}),
    )


NGINX: Mapping[str, Composite] = {
    # Before 1.29.7 a connection is kept only if all three are said; later the defaults agree.
    "proxy_pass.keepalive": Composite(
        carrier="upstream.keepalive",
        fixed=(("proxy_http_version", "1.1"), ("proxy_set_header.Connection", '""')),
    ),
    "access_log.if": Composite(
        words={
            "errors": (
                ("map $status $labcoat_errors", "{ ~^[23] 0; default 1; }"),
                ("access_log.if", "$labcoat_errors"),
            )
        }
    ),
    "proxy_cache.valid": _cache("proxy"),
    "uwsgi_cache.valid": _cache("uwsgi"),
    "location.static": Composite(carrier="location /static/", form="{ alias {}; }"),
}

INI: Mapping[str, Composite] = {
    "request-log": Composite(
        words={"errors": (("disable-logging", True), ("log-4xx", True), ("log-5xx", True))}
    ),
}
