"""Has a chain mixed? Effective sample sizes and stationarity of scalar series."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

LEAST_SAMPLES = 10.0
"""Effective samples below which a chain has not mixed; a series that only rises has 7."""
LARGEST_R_HAT = 1.2
"""Split R̂ above which a chain has not mixed. Chance takes R̂² to 1 + χ²/n for halves of n effective readings, so this
needs 25 or more of them."""
LARGEST_DRIFT = 5.0
"""Standard errors by which the means of a series' halves may differ."""


def autocorrelation_time(series: np.ndarray) -> float:
    """Return the integrated autocorrelation time 1 + 2Σρ_t of a series (n,), in its own steps.

    The sum stops at Sokal's window, five times the running estimate; a constant series has time n.
    """
    count = len(series)
    centred = series - series.mean()
    power = np.abs(np.fft.rfft(centred, 2 * count)) ** 2
    covariance = np.fft.irfft(power)[:count]
    if not covariance[0] > (1e-12 * np.abs(series).max()) ** 2 * count:
        return float(count)
    times = 2 * np.cumsum(covariance / covariance[0]) - 1
    inside = np.arange(count) < 5 * times
    return float(max(times[-1 if inside.all() else int(np.argmin(inside))], 1e-3))


def effective_samples(series: np.ndarray) -> float:
    """Return n over the integrated autocorrelation time of a series (n,), at most n."""
    return float(min(len(series) / autocorrelation_time(series), len(series)))


def drift(series: np.ndarray) -> float:
    """Return |difference of the two halves' means| of a series (n,) in its standard errors.

    The error comes from the whole series: over a half, a short chain's autocorrelation time is underestimated. A
    series that moves throughout has few effective samples instead.
    """
    first, second = np.array_split(series, 2)
    error = 2 * np.sqrt(series.var() / effective_samples(series))
    return float(abs(first.mean() - second.mean()) / error) if error > 0 else 0.0


def split_r_hat(series: np.ndarray) -> float:
    """Return the rank-normalised split R̂ of a series (n,): its halves as chains (arXiv 1903.08008, §4.1).

    1 where the halves look alike, inf for a constant series.
    """
    half = len(series) // 2
    ranks = rankdata(series[: 2 * half])
    scores = norm.ppf((ranks - 0.375) / (2 * half + 0.25)).reshape(2, half)
    within = scores.var(axis=1, ddof=1).mean()
    if not within > 0:
        return float("inf")
    return float(np.sqrt((half - 1) / half + scores.mean(axis=1).var(ddof=1) / within))
