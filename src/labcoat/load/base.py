"""The seam of this room: what every load tool must do."""

from __future__ import annotations

from typing import ClassVar, Protocol, Self

from labcoat.model.load import Measurement, Plan, Target, Window
from labcoat.model.workload import Workload


class LoadGenerator(Protocol):
    """Puts load on a target, one slice at a time.

    A context manager: connections are kept between slices, for every target it has
    met, until it is closed. Synchronous; interrupted by KeyboardInterrupt at any time.
    """

    name: ClassVar[str]

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def load(
        self,
        target: Target,
        workload: Workload,
        plan: Plan,
        window: Window,
        *,
        seed: int,
        keep_alive: bool = True,
        timeout_s: float = 30.0,
    ) -> Measurement:
        """One slice. The same seed gives the same requests in the same order.

        Raises: LoadError if nothing could be sent at all (the tool broke, a file of
        the workload is missing). Errors of single requests are data, in the records.
        """

    def forget(self, target: Target) -> None:
        """Close the connections to a target that is about to go away."""

    def another(self) -> Self | None:
        """A second one like it, for a load at the same time; None where loads take turns."""
