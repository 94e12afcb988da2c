"""Secrets in what is asked: known by their names, or by looking like nothing but chance."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

WORDS = frozenset(
    {
        "auth", "authorization", "code", "credential", "credentials", "csrf", "hmac", "jwt", "key",
        "nonce", "oauth", "otp", "pass", "passwd", "password", "passphrase", "pin", "pwd", "secret",
        "session", "sid", "sig", "sign", "signature", "ticket", "token", "xsrf",
    }
)  # fmt: skip
PARTS = (
    "apikey", "accesskey", "authtoken", "csrf", "passw", "secret", "sessid", "session",
    "signature", "token",
)  # fmt: skip

AFTER = frozenset(
    {
        "activate", "auth", "confirm", "invitation", "invite", "invites", "join", "magic",
        "password", "reset", "session", "token", "unsubscribe", "verify",
    }
)  # fmt: skip
"""Parts of a path after which something random is a token, not an id."""

HARMLESS_HEADERS = frozenset(
    {"accept", "accept-language", "content-type", "x-requested-with", "cache-control"}
)
"""Headers of a recording that are kept: they choose the answer, and identify nobody."""

LEAST_LENGTH = 16
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TOKEN = re.compile(r"[\w\-+/=.~%:]+", re.ASCII)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_VALUE_IN_LINE = re.compile(r"([?&;][^=&\s\"?;]*=)[^&\s\";]+")
_PIECE_OF_LINE = re.compile(r"[\w\-+/=.~%]{16,}", re.ASCII)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a parameter, field or header of this name holds a secret."""
    plain = name.lower()
    if any(part in re.sub(r"[^a-z]", "", plain) for part in PARTS):
        return True
    return any(word.lower() in WORDS for word in _WORDS.findall(name)) or plain in WORDS


def is_uuid(value: str) -> bool:
    """Whether it is written as a UUID."""
    return _UUID.fullmatch(value) is not None


def looks_random(value: str) -> bool:
    """Whether a value is long and mixes letters and digits as no word or number does.

    Counted are the changes between lower case, upper case and digits; one in five
    characters or more is a token, a hash or a key. UUIDs are ids.
    """
    if len(value) < LEAST_LENGTH or is_uuid(value) or _TOKEN.fullmatch(value) is None:
        return False
    kinds = [
        "d" if c.isdigit() else "u" if c.isupper() else "l"
        for c in value.replace("%", "")
        if c.isalnum()
    ]
    changes = sum(before != after for before, after in pairwise(kinds))
    return len(set(kinds)) > 1 and changes * 5 >= len(kinds)


def masked_line(line: str, *, longest: int = 200) -> str:
    """A line for a message: values of parameters and random pieces masked, one line, cut."""
    text = _VALUE_IN_LINE.sub(r"\1•••", line)
    text = _PIECE_OF_LINE.sub(lambda m: "•••" if looks_random(m[0]) else m[0], text)
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
