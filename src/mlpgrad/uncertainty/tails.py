"""Noise with heavier tails than a normal one: Student's distribution, by variance and kurtosis.

Student's distribution with n > 4 degrees of freedom has the excess kurtosis 6 / (n - 4), and the
normal distribution 0. Fourth cumulants of independent parts add up. If noise with variance s^2 and
excess kurtosis k is added to an independent normal part with variance v, the sum therefore has the
excess kurtosis k s^4 / (s^2 + v)^2. Student's distribution with this variance and kurtosis
approximates that of the sum.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array

SMALLEST, LARGEST = 0.01, 60.0
"""Bounds of an excess kurtosis: 604 and 4.1 degrees of freedom."""


def kurtosis_of(errors: Array, weights: Array | None) -> Array:
    """Return the excess kurtosis of each target, `(T,)`, at the largest likelihood; 0 if normal.

    Student's distribution is preferred only if its log-likelihood exceeds that of the normal one by
    1/2 log n for n errors, the price of its additional parameter: Schwarz 1978, "Estimating the
    dimension of a model".

    Parameters
    ----------
    errors : array (n, T)
        Errors in any unit: those of each target are divided by their root mean square.
    weights : array (n, 1) or None
        Weights of the rows; None if all rows count alike.
    """
    one = np.ones(len(errors)) if weights is None else weights[:, 0] / weights[weights > 0].mean()
    return np.array([_kurtosis_of_one(column, one) for column in errors.T])


def _kurtosis_of_one(errors: Array, counted: Array) -> float:
    """Return the excess kurtosis of one target, for weights whose nonzero ones have a mean of 1."""
    from scipy.optimize import minimize_scalar

    square = np.average(np.square(errors), weights=counted)
    if not (square > 0 and np.isfinite(square)):
        return 0.0
    errors, one = errors / np.sqrt(square), np.ones(1)

    def surprise(kurtosis: float) -> float:
        return -float((counted * log_density(errors, one, np.array(kurtosis))).sum())

    bounds = math.log(SMALLEST), math.log(LARGEST)
    best = minimize_scalar(lambda log: surprise(math.exp(log)), bounds=bounds)
    gained = surprise(0.0) - float(best.fun)
    number = np.count_nonzero(counted)
    return float(math.exp(best.x)) if gained > 0.5 * math.log(number) else 0.0


def log_density(errors: Array, variance: Array, kurtosis: Array) -> Array:
    """Return the logarithm of the density at the errors, element by element.

    Parameters
    ----------
    errors, variance, kurtosis : array
        Arrays whose shapes can be broadcast.
    """
    from scipy.special import gammaln

    freedom, scale = _student(variance, kurtosis)
    heavy = (
        gammaln((freedom + 1) / 2)
        - gammaln(freedom / 2)
        - 0.5 * np.log(math.pi * freedom * scale)
        - (freedom + 1) / 2 * np.log1p(np.square(errors) / (freedom * scale))
    )
    normal = -0.5 * (np.square(errors) / variance + np.log(2 * math.pi * variance))
    return np.asarray(np.where(kurtosis >= SMALLEST**2, heavy, normal))


def half_width(level: float, variance: Array, kurtosis: Array) -> Array:
    """Return half the width of the central interval that has the probability `level`."""
    from scipy.stats import norm, t

    freedom, scale = _student(variance, kurtosis)
    at = (1 + level) / 2
    normal = norm.ppf(at) * np.sqrt(variance)
    heavy = t.ppf(at, freedom) * np.sqrt(scale)
    return np.asarray(np.where(kurtosis >= SMALLEST**2, heavy, normal))


def _student(variance: Array, kurtosis: Array) -> tuple[Any, Any]:
    """Return the degrees of freedom, and the square of the scale."""
    freedom = 4 + 6 / np.maximum(kurtosis, SMALLEST**2)
    return freedom, variance * (freedom - 2) / freedom
