"""Prior precision and noise at fixed weights, estimated from MacKay's evidence."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array

LARGEST = 1e12
"""The upper bound of both precisions."""
ITERATIONS = 1000
CLOSE = 1e-10


class Evident(NamedTuple):
    """The values that maximize the evidence."""

    prior_precision: float
    noise_variance: float


def most_evident(
    eigenvalues: Array,
    squares: float,
    errors: float,
    residuals: float,
    *,
    prior_precision: float | None,
    noise_variance: float | None,
) -> Evident:
    """Return the prior precision alpha and the noise variance s^2 that maximize the evidence.

        gamma = sum_i l_i / (l_i + alpha s^2)
        alpha = gamma / sum w^2,  s^2 = sum r^2 / (N - gamma)

    repeated until convergence; gamma is the number of parameters determined by the data. MacKay
    1992, "Bayesian interpolation", equations 2.21 to 2.27.

    Parameters
    ----------
    eigenvalues : array (P,)
        The eigenvalues l_i of the Hessian of the negative log likelihood with unit noise.
    squares : float
        The sum of squared weights.
    errors : float
        The sum of squared residuals, sum r^2.
    residuals : float
        The number N of residuals.
    prior_precision, noise_variance : float or None
        Given values; None is estimated. A likelihood without noise has variance 1.
    """
    eigenvalues = np.maximum(eigenvalues, 0)
    alpha = prior_precision or _bounded(len(eigenvalues), squares)
    variance = noise_variance or errors / residuals
    for _ in range(ITERATIONS):
        before = alpha, variance
        gamma = float((eigenvalues / (eigenvalues + alpha * variance)).sum())
        alpha = prior_precision or _bounded(gamma, squares)
        variance = noise_variance or errors / max(residuals - gamma, 1e-3 * residuals)
        if np.allclose((alpha, variance), before, rtol=CLOSE, atol=0):
            break
    return Evident(alpha, variance)


def _bounded(over: Any, under: Any) -> float:
    """Return a positive, finite precision, also if no parameter is determined."""
    return float(np.clip(over / max(under, 1e-300), 1 / LARGEST, LARGEST))
