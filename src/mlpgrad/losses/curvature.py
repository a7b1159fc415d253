"""The second derivative of a loss with respect to the outputs, and what it is as a likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array


class Curvature:
    """The side of a loss that second-order methods use; a subclass overrides what it defines.

    Outputs have the shape `(..., B, O)`, targets are as `cast` returns them.
    """

    leaves_noise_open: bool = False
    """True if l is a squared error, whose likelihood has a noise variance of its own."""

    def likelihood_scale(self, out_features: int) -> float:
        """The factor c in l = -c log p(target | outputs) + constant: 1/O for a mean over outputs.

        For a squared error, p is a normal law with unit variance.
        """
        return 1.0

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        """S in d2l/d(outputs)2 = S S^T, for each sample.

        The Hessian of a loss with such a root is positive semi-definite, so that J^T S S^T J, the
        generalised Gauss-Newton matrix, is it, too. Schraudolph 2002, "Fast curvature
        matrix-vector products for second-order gradient descent".

        Parameters
        ----------
        prediction : array (..., B, O)
        target : array (..., B, T)

        Returns
        -------
        array (..., B, O, R)
            May be a read-only view that repeats one matrix.

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
        """Targets `(..., B, T)` over which second derivatives have the mean that the model expects.

        For a loss that is the negative log likelihood of a law: the mean over these targets of the
        second derivatives of l is their expectation under that law, given the prediction. Where
        they do not depend on the target, any one target will do. TypeError for other losses.
        """
        raise TypeError(
            f"{type(self).__name__} is not the negative log likelihood of a law whose second "
            f"derivatives have an expectation; use kind='gauss_newton'"
        )


def diagonal(root: Array) -> Array:
    """Diagonal matrices `(..., O, O)` from their diagonals `(..., O)`."""
    matrices: Array = root[..., None] * np.eye(root.shape[-1], dtype=root.dtype)
    return matrices


def repeated(scale: Any, prediction: Array) -> Array:
    """The unit matrix times a number, for every sample; read-only."""
    outputs = prediction.shape[-1]
    unit = scale * np.eye(outputs, dtype=prediction.dtype)
    return np.broadcast_to(unit, (*prediction.shape, outputs))


def multinomial_root(probabilities: Array) -> Array:
    """S `(..., K, K - 1)` with S S^T = diag(p) - p p^T, for rows `p (..., K)` that sum to 1.

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
