"""Margins of a distribution specification: families of distributions as quantile functions.

Every family is given by the mean and the standard deviation *of the values*, as a paper's table 1 or a
model's knowledge has them, and is cut off at the smallest and the largest value. It is cut by the inverse
distribution function, so that no mass piles up at the bounds as it does where values are clipped; because
cutting would move the moments, the parameters of the uncut distribution are searched for until the moments of
the values, rounding included, are those asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np

Family = Literal["normal", "lognormal", "gamma", "beta", "exponential", "uniform", "poisson", "negative_binomial"]
FAMILIES: tuple[Family, ...] = get_args(Family)
POSITIVE = ("lognormal", "gamma", "poisson", "negative_binomial")
COUNTS = ("poisson", "negative_binomial")

MAX_TABLE = 1_000_000  # probabilities of a count distribution that are held in memory
CONSTANT = 1e-6  # standard deviations below this share of the mean are none
GRID = 1024  # quantiles by which moments are taken
ROUNDS = 40  # of the search for the uncut parameters
CLOSE = 1e-3  # error of the moments, in standard deviations, at which it ends
REACHED = 0.1  # error above which the family is said not to reach the moments
MIN_MASS = 1e-6  # of the uncut distribution between the bounds; below it, quantiles lose their digits

Quantile: TypeAlias = Callable[["np.ndarray"], "np.ndarray"]


@dataclass(frozen=True)
class Shape:
    """A distribution of numbers.

    Attributes:
        family: of the distribution before it is cut off.
        mean, sd: of the values.
        low, high: smallest and largest value; multiples of ``10 ** -decimals`` if there are decimals.
        decimals: to which values are rounded; ``None`` rounds nothing.
    """

    family: Family
    mean: float
    sd: float
    low: float
    high: float
    decimals: int | None = None

    @property
    def constant(self) -> bool:
        """Whether there is but one value."""
        return self.low == self.high or self.sd <= CONSTANT * abs(self.mean)


@dataclass(frozen=True)
class Fit:
    """What came of a :class:`Shape`.

    Attributes:
        quantile: from probabilities in (0, 1) to values, elementwise; never decreasing.
        gap: how far mean and standard deviation of the values are off, as a share of the standard deviation.
    """

    quantile: Quantile
    gap: float


def lattice(low: float, high: float, decimals: int | None) -> tuple[float, float] | None:
    """The smallest and the largest number with so many decimals in an interval; ``None`` if it has none."""
    if decimals is None:
        return low, high
    scale = 10.0**decimals
    # 1.1 * 10 is a little more than 11, and 11 / 10 is 1.1 again: round first, then see to it that it is inside.
    first, last = math.ceil(low * scale - 1e-6), math.floor(high * scale + 1e-6)
    first += first / scale < low
    last -= last / scale > high
    return (first / scale, last / scale) if first <= last else None


def fit(shape: Shape) -> Fit | None:
    """Find the member of a family that has the given moments after being cut off and rounded.

    Where none has (a normal distribution cut at zero cannot have a standard deviation above its mean), it
    is the nearest that was met.

    Returns:
        ``None`` if the family has next to no mass between the bounds, or a table of it would be too large.
    """
    import numpy as np

    half = 0.0 if shape.decimals is None else 0.5 * 10.0**-shape.decimals
    low, high = shape.low - half, shape.high + half

    def finished(quantile: Quantile) -> Quantile:
        def values(u: np.ndarray) -> np.ndarray:
            x = quantile(u)
            return (
                np.clip(x if shape.decimals is None else np.round(x, shape.decimals), shape.low, shape.high) + 0.0
            )  # no -0.0

        return values

    if shape.constant:
        return Fit(finished(lambda u: np.full(len(u), shape.mean)), 0.0)
    u = (np.arange(GRID) + 0.5) / GRID
    mean, sd, best = shape.mean, shape.sd, None
    for _ in range(ROUNDS):
        with np.errstate(all="ignore"):
            cut = _cut(shape.family, mean, sd, low, high)
            values = finished(cut)(u) if cut else np.array([np.nan])
        if cut is None or not np.isfinite(values).all():
            break
        off, spread = shape.mean - values.mean(), values.std()
        gap = max(abs(off) / shape.sd, abs(math.log(spread / shape.sd)) if spread > 0 else math.inf)
        if best is None or gap < best.gap:
            best = Fit(finished(cut), gap)
        if gap < CLOSE or spread == 0:
            break
        mean = float(np.clip(mean + off, 6 * low - 5 * high, 6 * high - 5 * low))
        if shape.family in POSITIVE:
            mean = max(mean, 1e-3 * shape.mean)
        sd = min(sd * float(np.clip(shape.sd / spread, 0.5, 2)), 10 * (high - low))
    return best


def with_zeros(quantile: Quantile, share: float) -> Quantile:
    """A distribution of numbers that are not negative, with so large a share of zeros put in."""
    import numpy as np

    if share >= 1:
        return lambda u: np.zeros(len(u))

    def values(u: np.ndarray) -> np.ndarray:
        rest = np.clip((u - share) / (1 - share), 1e-16, None)
        return np.where(u < share, 0.0, quantile(rest))

    return values if share else quantile


def by_weight(weights: list[float]) -> Quantile:
    """Places 0, 1, ... drawn in proportion to weights that are not negative and not all zero."""
    import numpy as np

    cumulative = np.cumsum(weights) / sum(weights)
    last = int(np.flatnonzero(weights)[-1])
    return lambda u: np.minimum(np.searchsorted(cumulative, u, side="right"), last)


def _cut(family: Family, mean: float, sd: float, low: float, high: float) -> Quantile | None:
    """Quantile function of a distribution with this mean and deviation before it is cut to an interval."""
    import numpy as np

    if family in COUNTS:
        return _counts(family, mean, sd, low, high)
    cdf, ppf = _continuous(family, mean, sd, low, high)
    below, above = float(cdf(low)), float(cdf(high))
    if not above - below > MIN_MASS:
        return None
    return lambda u: np.clip(ppf(below + u * (above - below)), low, high)


def _continuous(
    family: Family, mean: float, sd: float, low: float, high: float
) -> tuple[Callable[[float], float], Quantile]:
    """Distribution function and quantile function."""
    import numpy as np
    from scipy import special

    match family:
        case "normal":
            return lambda x: special.ndtr((x - mean) / sd), lambda u: mean + sd * special.ndtri(u)
        case "lognormal":
            variance = math.log1p((sd / mean) ** 2)
            mu, sigma = math.log(mean) - variance / 2, math.sqrt(variance)
            return (
                lambda x: special.ndtr((math.log(x) - mu) / sigma) if x > 0 else 0.0,
                lambda u: np.exp(mu + sigma * special.ndtri(u)),
            )
        case "gamma":
            k, theta = (mean / sd) ** 2, sd**2 / mean
            return lambda x: special.gammainc(k, max(x, 0.0) / theta), lambda u: theta * special.gammaincinv(k, u)
        case "exponential":  # from mean - sd on
            start = mean - sd
            return lambda x: -math.expm1(-max(x - start, 0.0) / sd), lambda u: start - sd * np.log1p(-u)
        case "uniform":
            start, width = mean - math.sqrt(3) * sd, math.sqrt(12) * sd
            return lambda x: min(max((x - start) / width, 0.0), 1.0), lambda u: start + width * u
        case "beta":  # between the bounds, so that there is nothing to cut
            span = high - low
            place = (mean - low) / span
            total = place * (1 - place) / (sd / span) ** 2 - 1
            if not (0 < place < 1 and total > 0):
                return lambda x: 0.0, lambda u: u
            a, b = place * total, (1 - place) * total
            return lambda x: float(x > low), lambda u: low + span * special.betaincinv(a, b, u)
    raise AssertionError(family)


def _counts(family: Family, mean: float, sd: float, low: float, high: float) -> Quantile | None:
    """Poisson and negative binomial counts by a table of their probabilities."""
    import numpy as np
    from scipy import special

    spread = math.sqrt(mean) if family == "poisson" else max(sd, math.sqrt(mean))
    first, last = max(math.ceil(low), 0), min(math.floor(high), math.ceil(mean + 40 * spread + 40))
    if not 0 <= last - first < MAX_TABLE:
        return None
    k = np.arange(first, last + 1)
    excess = sd**2 - mean
    if family == "poisson" or excess <= 1e-9 * mean:  # of which Poisson is the limit
        log_p = k * math.log(mean) - special.gammaln(k + 1)
    else:
        r = mean**2 / excess
        log_p = special.gammaln(k + r) - special.gammaln(k + 1) + k * math.log1p(-mean / sd**2)
    cumulative = np.cumsum(np.exp(log_p - log_p.max()))
    return lambda u: k[np.minimum(np.searchsorted(cumulative / cumulative[-1], u, side="right"), len(k) - 1)] + 0.0
