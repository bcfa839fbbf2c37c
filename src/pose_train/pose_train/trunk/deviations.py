"""How sure networks are: the distribution that their likelihoods take, and the factors that make what they state honest."""

from __future__ import annotations

import numpy as np
from scipy import stats

LAPLACE = 2.0**0.5
"""Standard deviation of a Laplace distribution over its scale."""
LEVEL = 0.9
"""Of the interval whose coverage is fitted and stated."""


def temperatures(predicted: np.ndarray, truth: np.ndarray, std: np.ndarray) -> np.ndarray:
    """(J,) factors on standard deviations that make the `LEVEL` interval cover as much as it says.

    `predicted`, `truth`, `std`: (F, J, 3) about the root. 1 where nothing is known, or nothing errs. To be fitted on other people
    than those that coverage is stated for.
    """
    half_width = float(stats.norm.ppf(0.5 + 0.5 * LEVEL))
    ratio = np.abs(predicted - truth) / np.where(std > 0.0, std, np.nan)
    factors = np.ones(ratio.shape[1])
    for joint, values in enumerate(np.moveaxis(ratio, 1, 0)):
        values = values[np.isfinite(values)]
        if values.any():
            factors[joint] = np.quantile(values, LEVEL) / half_width
    return factors
