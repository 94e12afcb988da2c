"""Values of secrets: from the environment or systemd's credentials, at execution only."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labcoat.watch.model.secret import names_in
from labcoat.watch.reach.local import CREDENTIALS, SECRETS

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


class NoSecret(Exception):
    """A secret that has no value here; says where one is looked for. Stays in the room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Where values come from; holds none itself."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def of(self, text: str) -> dict[str, str]:
        """The values of the secrets that a text names. Raises: NoSecret."""
        return {name: self._value(name) for name in names_in(text)}

    def _value(self, name: str) -> str:
        variable = SECRETS + NOT_IN_NAMES.sub("_", name).upper()
        if variable in self.environment:
            return self.environment[variable]
        folder = self.environment.get(CREDENTIALS)
        if folder is not None:
            try:
                return (Path(folder) / name).read_text().rstrip("\n")
            except OSError:
                pass
        raise NoSecret(f"there is no secret {name}: set {variable}, or LoadCredential={name}:FILE")
