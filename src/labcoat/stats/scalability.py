"""The Universal Scalability Law, fitted to a concurrency sweep.

    X(N) = g N / (1 + a (N - 1) + b N (N - 1))

g: throughput of one user; a: contention (queueing for what is shared); b: coherency
(what users cost one another in pairs, so that throughput falls again).
Source: Gunther 2007, Guerrilla Capacity Planning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

from labcoat.errors import AnalysisError
from labcoat.model.stats import Interval, LabWarning
from labcoat.stats.sequential import Floats

REPEATS = 400
KNEE_SHARE = 0.95
MISFIT = 0.10
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalabilityFit:
    """A fitted law, its knee and its peak, each with a 95 % bootstrap interval.

    ``gamma`` (requests per second and user), ``alpha``, ``beta``: g, a, b.
    ``knee_users``: the fewest users whose fitted throughput reaches 95 % of the largest
    within the swept range; ``knee`` is its interval. ``peak_users``: where throughput
    turns down, √((1-a)/b); None when that lies outside the sweep or nowhere.
    ``peak_per_s``: the largest fitted throughput within the sweep.
    ``residual_ratio``: deviation of measured from fitted throughput, relative.
    """

    gamma: float
    alpha: float
    beta: float
    knee_users: int
    knee: Interval
    peak_users: Interval | None
    peak_per_s: Interval
    residual_ratio: float
    most_users: int
    n: int
    warnings: tuple[LabWarning, ...] = ()

    def throughput(self, users: float) -> float:
        """Fitted requests per second with so many users."""
        return float(_law(np.array([users]), np.array([self.gamma, self.alpha, self.beta]))[0])


def fit_scalability(
    users: Sequence[int],
    per_s: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    seed: int = 1,
) -> ScalabilityFit:
    """The law that lies nearest to the measured points, with 0 <= a <= 1 and b >= 0.

    ``users``, ``per_s``: one entry per slice; levels may repeat. ``weights``: trust in
    each, relative (1/variance of the log). Nearest in relative terms: N/X is linear,

        N/X = p + q N + r N (N - 1),   p, q, r >= 0;   1/g = p + q,  a = q/(p+q),  b = r/(p+q)

    so least squares of its relative error, without negative parts, has one solution
    and needs no starting point. Intervals: 2.5 % to 97.5 % of 400 refits to fitted values times
    drawn residuals (widened by √(n/(n-3))), seeded.
    Warns: ``few_levels``, ``linear``, ``no_peak``, ``misfit``.
    Raises: AnalysisError for fewer than three levels, or points that are not positive.
    """
    n = np.asarray(users, dtype=np.float64)
    x = np.asarray(per_s, dtype=np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    _check(n, x, w)
    law = _solve(n, x, w)
    if law is None:
        raise AnalysisError(
            "throughput falls from the first level on, so no scalability law fits",
            where="concurrency sweep",
            way_out="look for errors or timeouts in the sweep",
        )
    residual = np.log(x) - np.log(_law(n, law))
    widen = math.sqrt(n.size / (n.size - 3)) if n.size > 3 else 1.0
    rng = np.random.default_rng(seed)
    drawn = rng.choice(residual - residual.mean(), size=(REPEATS, n.size)) * widen
    redrawn = (_solve(n, row, w) for row in _law(n, law) * np.exp(drawn))
    # Three points leave no residual to draw from: nothing is known of the error.
    refits = [each for each in redrawn if each is not None] if n.size > 3 else []
    most = int(n.max())
    swept = np.arange(1, most + 1, dtype=np.float64)
    knee = _interval(_knee(swept, law), [_knee(swept, each) for each in refits], n.size)
    peak_per_s = _interval(
        float(_law(swept, law).max()),
        [float(_law(swept, each).max()) for each in refits],
        n.size,
    )
    turn = _turn(law)
    peak = _interval(turn, [_turn(each) for each in refits], n.size)
    spread = float(np.sqrt(np.sum(w * residual**2) / np.sum(w))) * widen
    return ScalabilityFit(
        gamma=float(law[0]),
        alpha=float(law[1]),
        beta=float(law[2]),
        knee_users=int(knee.point),
        knee=knee,
        peak_users=peak if turn <= most else None,
        peak_per_s=peak_per_s,
        residual_ratio=spread,
        most_users=most,
        n=n.size,
        warnings=_warnings(law, swept, levels=np.unique(n).size, turn=turn, spread=spread),
    )


def _law(n: Floats, law: Floats) -> Floats:
    g, a, b = law
    value: Floats = g * n / (1 + a * (n - 1) + b * n * (n - 1))
    return value


def _solve(n: Floats, x: Floats, w: Floats) -> Floats | None:
    """g, a, b by non-negative least squares of 1 = (x/N)(p + q N + r N(N-1)), or None.

    None: throughput falls with the square of N from the first level on.
    """
    columns = np.stack([np.ones_like(n), n, n * (n - 1)], axis=1)
    scale = np.sqrt(w)[:, np.newaxis] * (x / n)[:, np.newaxis]
    rows = columns * scale
    size = np.linalg.norm(rows, axis=0)
    size[size == 0] = 1.0
    solved, _ = optimize.nnls(rows / size, np.sqrt(w))
    p, q, r = solved / size
    if p + q <= NEGLIGIBLE * float((n / x).min()):
        return None
    return np.array([1 / (p + q), q / (p + q), r / (p + q)])


def _turn(law: Floats) -> float:
    """Users at which throughput turns down; infinite when it never does."""
    _, a, b = law
    if b <= NEGLIGIBLE:
        return math.inf
    return max(1.0, math.sqrt(max(1 - a, 0) / b))


def _knee(swept: Floats, law: Floats) -> float:
    fitted = _law(swept, law)
    return float(swept[int(np.argmax(fitted >= KNEE_SHARE * fitted.max()))])


def _interval(point: float, repeats: list[float], n: int) -> Interval:
    ordered = np.sort(np.asarray(repeats or [-math.inf, math.inf], dtype=np.float64))
    edge = int(0.025 * ordered.size)
    return Interval(
        point=point,
        low=min(point, float(ordered[edge])),
        high=max(point, float(ordered[-1 - edge])),
        confidence=0.95,
        method="bootstrap",
        n=n,
    )


def _warnings(
    law: Floats, swept: Floats, *, levels: int, turn: float, spread: float
) -> tuple[LabWarning, ...]:
    """What the reader of the fit must know."""
    most = swept[-1]
    found: list[LabWarning] = []
    if levels < 5:
        found.append(
            LabWarning(
                code="few_levels",
                message=f"{levels} levels of concurrency carry three parameters",
                remedy="sweep at least six levels",
            )
        )
    if _law(swept, law)[-1] > 0.9 * law[0] * most:
        found.append(
            LabWarning(
                code="linear",
                message=f"throughput still grows in proportion at {most:.0f} users: think time "
                "or waiting sets it, not the stack",
                remedy="sweep to more users",
            )
        )
    elif turn > most:
        found.append(
            LabWarning(
                code="no_peak",
                message=f"throughput does not turn down within {most:.0f} users, "
                "so no peak is quoted",
                remedy="read the 95 % knee, or sweep to more users",
            )
        )
    if spread > MISFIT:
        found.append(
            LabWarning(
                code="misfit",
                message=f"the law misses the measured points by {spread:.0%}",
                remedy="trust the points, not the curve; lengthen the slices if they scatter",
            )
        )
    return tuple(found)


def _check(n: Floats, x: Floats, w: npt.NDArray[np.float64]) -> None:
    sound = n.shape == x.shape == w.shape and n.ndim == 1
    if not sound or not (np.isfinite(x) & np.isfinite(w) & (x > 0) & (w > 0) & (n >= 1)).all():
        raise AnalysisError(
            "a point of the sweep is not positive, or has no partner",
            where="concurrency sweep",
            way_out="leave void slices out",
        )
    if np.unique(n).size < 3:
        raise AnalysisError(
            f"{np.unique(n).size} levels of concurrency cannot carry three parameters",
            where="concurrency sweep",
            way_out="sweep at least six levels",
        )
