"""The requests of a window, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

STRANGE = -1
"""The route of a request that the study's workload does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests as an access log has them, oldest first; all columns are ``(n,)``.

    ``second``: int64, when it was logged, whole seconds since 1970. ``took_ms``: int32, -1
    where the format does not say. ``route``: int16, STRANGE for none. ``status``: int16.
    ``since_s``, ``until_s``: the window that was read, [since, until). ``static``: requests
    for files, which are in no column. ``is_cut``: whether older requests were left out for
    want of memory; ``since_s`` then is where they begin.
    """

    second: npt.NDArray[np.int64]
    took_ms: npt.NDArray[np.int32]
    route: npt.NDArray[np.int16]
    status: npt.NDArray[np.int16]
    since_s: float
    until_s: float
    static: int = 0
    is_cut: bool = False

    def __len__(self) -> int:
        return int(self.second.size)

    @property
    def is_timed(self) -> bool:
        """Whether any request has a time that it took."""
        return bool((self.took_ms >= 0).any())

    @property
    def rate_per_s(self) -> float:
        return len(self) / max(self.until_s - self.since_s, 1e-9)

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Which requests the server failed: 5xx."""
        return self.status >= 500

    def slices(self, chosen: npt.NDArray[np.bool_], count: int) -> list[npt.NDArray[np.intp]]:
        """Indices of the chosen requests in order of time, in slices of equal number."""
        return np.array_split(np.flatnonzero(chosen), count)

    def load_during(self, rows: npt.NDArray[np.intp]) -> float:
        """Requests of any kind per second while these came."""
        first, last = int(self.second[rows[0]]), int(self.second[rows[-1]])
        begin, end = np.searchsorted(self.second, [first, last + 1])
        return float(end - begin) / (last + 1 - first)
