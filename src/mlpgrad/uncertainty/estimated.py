"""Estimation of prior precision and noise from the rows that a network was trained on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.objective import Objective
from mlpgrad.losses.squares import squared_error
from mlpgrad.uncertainty.evidence import most_evident
from mlpgrad.uncertainty.part import Part
from mlpgrad.uncertainty.posterior import posterior
from mlpgrad.uncertainty.residuals import above_rounding, sizes_of

ROUNDS = 30
CLOSE = 1e-8
"""A relative change of noise that ends the rounds."""


class Given(NamedTuple):
    """Values given by the user; None is estimated."""

    prior_precision: float | None
    noise_variance: float | None


class Estimated(NamedTuple):
    """The values that maximize the evidence, and the likelihood with them."""

    prior_precision: float
    variances: Array
    """The variance of the noise of each target, `(T,)`; 1 for a likelihood without noise."""
    matrix: Array
    """The curvature of the negative log likelihood, `(P, P)`."""
    log_likelihood: float
    """That of the targets in the scaled units of the training."""


class _Measured(NamedTuple):
    """The negative log likelihood with noise of mean variance 1."""

    value: float
    """Half of the sum of squared residuals over their shares, or the sum of cross-entropies."""
    matrix: Array
    """Its curvature, `(P, P)`."""
    scale: float
    """Its ratio to the objective."""


def estimated(
    part: Part, x: Array, target: Array, weights: Array | None, errors: Array, given: Given
) -> Estimated:
    """Estimate what is not given.

    With several targets, the rows of each in the curvature are divided by its own variance:

        A = sum_k J_k^T J_k / s_k^2 + alpha,  gamma_k = trace(A^-1 J_k^T J_k) / s_k^2
        s_k^2 = sum r_k^2 / (n - gamma_k)

    repeated until convergence. These are the variances of largest evidence, as in `most_evident`.

    Parameters
    ----------
    part : Part
        The uncertain part of one network; its loss is replaced if there are several targets.
    x, target, weights
        Checked rows in the scaled units of the training.
    errors : array (T,)
        The mean squared residual of each target; 1 for a likelihood without noise.
    given : Given
    """
    noisy, inputs = part.network.loss.leaves_noise_open, part.inputs(x)
    rows = counted(x, weights)
    several = len(errors) > 1
    if several:
        errors = above_rounding(errors, sizes_of(target, weights))
    better = errors / errors.mean() if several else np.ones(1)
    for _ in range(ROUNDS):
        shares = better
        if several:
            part.network.loss = squared_error(1 / shares)
        objective = Objective(part.network, inputs, target, weights, training=False)
        measured = _measured(objective, rows)
        if several:
            measured = measured._replace(value=rows / 2 * float((errors / shares).sum()))
        alpha, variance = _most_evident(part, measured, rows * target.shape[-1], given)
        if not several:
            break
        gamma = _determined(objective, measured, alpha, variance)
        better = errors / np.maximum(rows - gamma, 1e-3 * rows)
        better /= better.mean()
        if np.allclose(better, shares, rtol=CLOSE, atol=0):
            break
    variances = variance * shares
    constant = rows / 2 * float(np.log(2 * math.pi * variances).sum()) if noisy else 0.0
    likelihood = -measured.value / variance - constant
    return Estimated(alpha, variances, measured.matrix / variance, likelihood)


def counted(x: Array, weights: Array | None) -> int:
    """Return the number of rows of nonzero weight."""
    return x.shape[-2] if weights is None else int(np.count_nonzero(weights))


def _measured(objective: Objective, rows: int) -> _Measured:
    """Return curvature and value of the negative log likelihood at the current weights."""
    network = objective.network
    value, _, matrix = objective.normal_equations(network.params)
    if not np.isfinite(matrix).all():
        raise ValueError(
            "a Laplace approximation expects a trained model, got a curvature that is not finite; "
            "train it again with scaled inputs and targets"
        )
    scale = rows / network.loss.likelihood_scale(network.out_features or objective.x.shape[-1])
    matrix *= scale
    return _Measured(float(value * scale), matrix, scale)


def _most_evident(
    part: Part, measured: _Measured, residuals: int, given: Given
) -> tuple[float, float]:
    """Return the most evident prior precision, and the mean variance of the noise."""
    from scipy.linalg import eigvalsh

    return most_evident(
        eigvalsh(measured.matrix, lower=True),
        float(np.square(part.network.params).sum()),
        2 * measured.value,
        residuals,
        prior_precision=given.prior_precision,
        noise_variance=given.noise_variance,
    )


def _determined(objective: Objective, measured: _Measured, alpha: float, variance: float) -> Array:
    """Return gamma_k, the number of parameters that the rows of each target determine, `(T,)`."""
    params = objective.network.params
    found = posterior(measured.matrix / variance, np.full(params.size, alpha), params)
    return objective.traces(params, found.root) * (measured.scale / variance)
