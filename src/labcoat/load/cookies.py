"""Cookies of one user: names and values, kept for the length of a slice."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

LONG_AGO = 2000
"""A cookie that expires before this year is being deleted."""


def take(jar: dict[bytes, bytes], set_cookie: bytes) -> None:
    """Put one Set-Cookie value into the jar, or out of it when it deletes.

    Path, Domain and Secure are not looked at: a workload has one target. Deleted are
    cookies with ``Max-Age`` <= 0 or an ``Expires`` before the year 2000, which is how
    frameworks spell it; so no clock is needed here.
    """
    pair, *attributes = set_cookie.split(b";")
    name, separator, value = pair.strip().partition(b"=")
    if not separator or not name:
        return
    if any(_deletes(attribute) for attribute in attributes):
        jar.pop(name, None)
    else:
        jar[name] = value


def _deletes(attribute: bytes) -> bool:
    key, _, value = attribute.strip().partition(b"=")
    match key.lower():
        case b"max-age":
            return value.strip().startswith((b"-", b"0"))
        case b"expires":
            try:
                return parsedate_to_datetime(value.decode("latin-1")).year < LONG_AGO
            except ValueError:
                return False
    return False


def with_cookies(wire: bytes, jar: dict[bytes, bytes]) -> bytes:
    """The request with the jar's cookies as its last header."""
    at = wire.index(b"\r\n\r\n") + 2
    pairs = b"; ".join(b"%b=%b" % pair for pair in jar.items())
    return b"%bCookie: %b\r\n%b" % (wire[:at], pairs, wire[at:])
