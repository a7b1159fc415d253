"""Second derivatives of a loss with respect to the outputs, and its likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array


class Curvature:
    """The methods of a loss for second-order optimization; a subclass overrides those it defines.

    Outputs have the shape `(..., B, O)`, targets are as `cast` returns them.
    """

    leaves_noise_open: bool = False
    """True if l is a squared error, whose likelihood has a noise variance as a parameter."""

    def likelihood_scale(self, out_features: int) -> float:
        """The factor c in l = -c log p(target | outputs) + constant: 1/O for a mean over outputs.

        For a squared error, p is a normal distribution with unit variance.
        """
        return 1.0

    def log_constant(self, target: Array) -> Array:
        """Return the constant in l = -c log p(target | outputs) + constant, over c, `(..., B)`.

        For a squared error it is 0.
        """
        return np.zeros(target.shape[:-1])

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        """Return S in d2l/d(outputs)2 = S S^T, for each sample.

        The Hessian of a loss with such a root is positive semi-definite, and so is J^T S S^T J,
        the generalized Gauss-Newton matrix. Schraudolph 2002, "Fast curvature matrix-vector
        products for second-order gradient descent".

        Parameters
        ----------
        prediction : array (..., B, O)
        target : array (..., B, T)

        Returns
        -------
        array (..., B, O, R)
            The root, which may be a read-only view that repeats one matrix.

        Raises
        ------
        TypeError
            If the loss has no such root, or none is known.
        """
        raise TypeError(
            f"{type(self).__name__} has no known curvature for the Gauss-Newton matrix; use "
            f"HalfSquaredError, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy or "
            f"Poisson, or train with a first-order optimizer such as mg.Adam(1e-3)"
        )

    def expected_targets(self, prediction: Array) -> Sequence[Array]:
        """Return targets `(..., B, T)` over which second derivatives average to their expectation.

        For a loss that is a negative log likelihood, the mean over these targets of the second
        derivatives of l is their expectation under the predictive distribution. If they do not
        depend on the target, a single arbitrary target suffices. Other losses raise TypeError.
        """
        raise TypeError(
            f"{type(self).__name__} is not a negative log likelihood, whose second derivatives "
            "have an expectation; use kind='gauss_newton'"
        )


def diagonal(root: Array) -> Array:
    """Return diagonal matrices `(..., O, O)` with given diagonals `(..., O)`."""
    matrices: Array = root[..., None] * np.eye(root.shape[-1], dtype=root.dtype)
    return matrices


def repeated(scale: Any, prediction: Array) -> Array:
    """Return the identity matrix times a number for every sample; read-only."""
    outputs = prediction.shape[-1]
    unit = scale * np.eye(outputs, dtype=prediction.dtype)
    return np.broadcast_to(unit, (*prediction.shape, outputs))


def multinomial_root(probabilities: Array) -> Array:
    """Return S `(..., K, K - 1)` with S S^T = diag(p) - p p^T, for rows `p (..., K)` that sum to 1.

    Column j is the j-th of the Cholesky factor: 0 above the diagonal, sqrt(p_j q_j / q_(j-1)) on
    it, -p_i sqrt(p_j / (q_j q_(j-1))) below, where q_j = p_(j+1) + ... + p_K. Tanabe and Sagae
    1992, "An exact Cholesky decomposition and the generalized inverse of the variance-covariance
    matrix of the multinomial distribution, with applications".
    """
    p = probabilities
    tails = np.cumsum(p[..., ::-1], axis=-1)[..., ::-1]  # tails[j] = p_j + ... + p_K = q_(j-1)
    before, after = tails[..., :-1], tails[..., 1:]
    tiny = np.finfo(p.dtype).tiny
    on = np.sqrt(p[..., :-1] * after / np.maximum(before, tiny))
    root: Array = -p[..., None] * (on / np.maximum(after, tiny))[..., None, :]
    classes = p.shape[-1]
    root[..., np.tri(classes, classes - 1, -1, dtype=bool) ^ True] = 0
    places = np.arange(classes - 1)
    root[..., places, places] = on
    return root
