"""Evidence that may be read after every block: e-processes, in logs.

An e-process is a non-negative process whose mean is at most 1 under the
hypothesis, whenever one stops; so it ever reaches 1/alpha with probability at
most alpha (Ville). Two of them are averaged: the t-mixture is strong on normal
noise, the randomisation bet is exact for any noise that the coin makes symmetric.

Every function takes float64 ``(..., n)``, blocks along the last axis in the order
measured, and gives the log evidence after *each* of them in the same shape: entry
``[..., i]`` uses values 0..i only. Leading axes are samples, judged side by side.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

Floats: TypeAlias = npt.NDArray[np.float64]

PHI = 0.5
"""Weight of the t-mixture: how many blocks of noise the prior is worth."""

BETS = (0.5, 1.0, 2.0)
STAKE = 0.98
SIGN_ONLY_BELOW = 0.01
"""Below this alpha only the randomisation bet is exact enough to be asked."""


def first_look(alpha: float) -> int:
    """Blocks before the first look: max(6, ceil(log2(2/alpha))).

    Fewer coins than log2(2/alpha) cannot make a pattern as rare as alpha/2.
    """
    return max(6, math.ceil(math.log2(2 / alpha)))


def log_t_mixture(x: Floats, *, shift: float = 0.0, phi: float = PHI) -> Floats:
    """Two-sided evidence against "the mean is ``shift``".

        log E = ½ log(phi/(phi+n)) - (n/2) log(1 - S²/((n+phi) V))

    Symbols: y = x - shift, S = sum of y, V = sum of y². S² <= n V, so the last
    logarithm is finite for any sample; V = 0 (all exactly at the shift) is no evidence.
    Source: Lai 1976; Wang & Ramdas 2023, arXiv 2310.03722.
    """
    n, share, _ = _moments(x - shift, phi)
    evidence: Floats = 0.5 * np.log(phi / (phi + n)) - n / 2 * np.log1p(-share)
    return evidence


def log_t_sided(x: Floats, *, shift: float = 0.0, phi: float = PHI) -> tuple[Floats, Floats]:
    """One-sided t-mixture evidence: (mean above ``shift``, mean below it).

        E± = 2 E T_n(±t),   t = (S/(n+phi)) / √(V (1 - r) / (n (n+phi))),   r = S²/((n+phi) V)

    T_n is the Student t distribution function with n degrees of freedom; E is the
    two-sided evidence. t simplifies to sign(S) √(n r/(1-r)). E+ + E- = 2 E.
    Source: as ``log_t_mixture``; the mixture restricted to one half-line.
    """
    y = x - shift
    n, share, sign = _moments(y, phi)
    two_sided = np.log(2.0) + 0.5 * np.log(phi / (phi + n)) - n / 2 * np.log1p(-share)
    tail = _log_tail(n, share)
    bulk = np.log1p(-np.exp(tail))
    positive = sign >= 0
    return (
        two_sided + np.where(positive, bulk, tail),
        two_sided + np.where(positive, tail, bulk),
    )


def log_sign_bet(x: Floats, *, shift: float = 0.0) -> tuple[Floats, Floats]:
    """One-sided evidence from the coin alone: (above ``shift``, below it).

        E± = mean over b in {½, 1, 2} of  prod_i (1 ± sign(y_i) · 0.98 · tanh(b |y_i| / m_i))

    Symbols: y = x - shift; m_i the median of |y_1|..|y_i|. Exact whenever each y_i
    is symmetric about 0 given what came before, as the coin that draws ABBA or BAAB
    makes it: under drift, bursts and autocorrelation too. A value of 0 bets nothing.
    Source: Vovk & Wang, arXiv 2208.08925.
    """
    y = x - shift
    size = np.abs(y)
    median = _running_median(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(size > 0, size / median, 0.0)
    bets = [np.sign(y) * STAKE * np.tanh(bet * ratio) for bet in BETS]
    above = [np.cumsum(np.log1p(bet), axis=-1) for bet in bets]
    below = [np.cumsum(np.log1p(-bet), axis=-1) for bet in bets]
    return _log_mean(above), _log_mean(below)


def log_evidence(
    x: Floats, *, shift: float = 0.0, alpha: float = 0.05, phi: float = PHI
) -> tuple[Floats, Floats]:
    """The decision process: (mean above ``shift``, mean below it), after each block.

        E± = (E_t± + E_sign±) / 2;   E_sign± alone where alpha < 1 %

    Compare with log(1/alpha). Units of x and shift: natural log.
    """
    sign = log_sign_bet(x, shift=shift)
    if alpha < SIGN_ONLY_BELOW:
        return sign
    mixture = log_t_sided(x, shift=shift, phi=phi)
    return _log_mean((mixture[0], sign[0])), _log_mean((mixture[1], sign[1]))


def _moments(y: Floats, phi: float) -> tuple[Floats, Floats, Floats]:
    """n, r = S²/((n+phi) V) and the sign of S, after each value.

    Values are scaled first, so that squares neither overflow nor vanish; by a power of
    two, so that no bit of the earlier evidence hangs on the size of later blocks.
    """
    largest = np.max(np.abs(y), axis=-1, keepdims=True, initial=0.0)
    y = np.ldexp(y, -np.frexp(largest)[1])
    n = np.arange(1, y.shape[-1] + 1, dtype=np.float64)
    total = np.cumsum(y, axis=-1)
    power = np.cumsum(y * y, axis=-1)
    share = np.divide(total**2, (n + phi) * power, out=np.zeros_like(y), where=power > 0)
    # S² <= n V exactly, but not in floating point.
    return n, np.minimum(share, n / (n + phi)), np.sign(total)


def _log_tail(n: Floats, share: Floats) -> Floats:
    """Log of P(T_n > t) for t = √(n r/(1-r)) >= 0: half of I_(1-r)(n/2, 1/2).

    Where that underflows (hundreds of blocks, all on one side) its power series
    in 1 - r is used: x^a √(1-x) F(a+½, 1; a+1; x) / (a B(a, ½)).
    """
    a = np.broadcast_to(n / 2, share.shape)
    rest = 1 - share
    plain = special.betainc(a, 0.5, rest)
    with np.errstate(divide="ignore"):
        tail: Floats = np.log(plain)
    tiny = plain < 1e-280
    if tiny.any():
        a, x = a[tiny], rest[tiny]
        series = np.log(special.hyp2f1(a + 0.5, 1.0, a + 1.0, x))
        tail[tiny] = a * np.log(x) + 0.5 * np.log1p(-x) - special.betaln(a, 0.5) - np.log(a)
        tail[tiny] += series
    tail -= np.log(2.0)
    return tail


def _running_median(size: Floats) -> Floats:
    """Median of the first i values, for every i, by insertion into sorted rows."""
    count = size.shape[-1]
    ordered = np.full((count + 1, *size.shape[:-1]), np.inf)
    ordered[0] = -np.inf
    median = np.empty_like(size)
    for i in range(count):
        pushed = np.maximum(ordered[: i + 1], size[..., i])
        ordered[1 : i + 2] = np.minimum(ordered[1 : i + 2], pushed)
        low, high = 1 + i // 2, 1 + (i + 1) // 2
        median[..., i] = (ordered[low] + ordered[high]) / 2
    return median


def _log_mean(logs: tuple[Floats, ...] | list[Floats]) -> Floats:
    """Log of the mean of exponentials, without leaving logs."""
    stacked: Floats = np.logaddexp.reduce(np.stack(list(logs)), axis=0) - np.log(len(logs))
    return stacked
