"""A normal posterior of weights from a curvature matrix and a prior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array

ROUNDING = 1e-14
"""A precision below this fraction of its weight's curvature is lost in rounding."""


class Posterior(NamedTuple):
    """The posterior N(w, A^-1) of one network."""

    root: Array
    """R in A^-1 = R R^T."""
    effective: float
    """The number of parameters determined by the data, P - sum_i alpha_i (A^-1)_ii."""
    log_prior: float
    """The difference log p(data) - log p(data | w), MacKay's Occam factor.

    1/2 sum log alpha - 1/2 sum alpha w^2 - 1/2 log det A.
    """


def posterior(curvature: Array, precision: Array, weights: Array) -> Posterior:
    """Return the posterior with A = curvature + diag(precision).

    Parameters
    ----------
    curvature : array (P, P)
        Symmetric and positive semi-definite; the lower triangle is read.
    precision : array (P,)
        The precision of the prior, whose mean is 0; positive.
    weights : array (P,)

    Raises
    ------
    ValueError
        If the matrix is not finite, or a precision is not positive.
    """
    from scipy.linalg.lapack import dpotrf, dtrtri

    diagonal = np.diagonal(curvature)
    if not (np.isfinite(diagonal).all() and (precision > 0).all()):
        raise ValueError(
            "a Laplace approximation expects finite curvature and a positive prior precision, got "
            f"curvature up to {diagonal.max():.3g} and a precision of {precision.min():.3g}; the "
            "model's outputs may be too large, or its training may have diverged"
        )
    matrix = np.tril(curvature).T  # the upper triangle of A, in Fortran order
    smallest = ROUNDING * len(diagonal) * diagonal
    np.einsum("ii->i", matrix)[...] += np.maximum(precision, smallest)
    upper, failed = dpotrf(matrix, lower=0, overwrite_a=1)
    root, singular = dtrtri(upper, lower=0)  # A = U^T U, so that A^-1 = U^-1 U^-T
    if failed or singular:
        raise ValueError(
            "a Laplace approximation expects curvature plus prior precision to be positive "
            "definite, got a matrix that is not; give a larger prior_precision"
        )
    log_determinant = 2 * float(np.log(np.diagonal(upper)).sum())
    open_ = float((precision * np.square(root).sum(axis=-1)).sum())
    prior = float((np.log(precision) - precision * weights * weights).sum())
    return Posterior(root, len(diagonal) - open_, (prior - log_determinant) / 2)
