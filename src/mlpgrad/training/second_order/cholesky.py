"""Cholesky factor of a damped matrix: linear systems, diagonal of the inverse, determinant."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array


class Factor:
    """L in A = L L^T.

    Parameters
    ----------
    lower : array (P, P)
        L in Fortran order, with zeros above the diagonal.
    """

    def __init__(self, lower: Array) -> None:
        self.lower = lower

    def solve(self, right: Array) -> Array:
        """Return x in A x = `right`."""
        from scipy.linalg.lapack import dpotrs

        solution: Array = dpotrs(self.lower, right, lower=1)[0]
        return solution

    def inverse_root(self) -> Array:
        """Return R = L^-T in A^-1 = R R^T."""
        from scipy.linalg.lapack import dtrtri

        inverse: Array = dtrtri(self.lower, lower=1)[0]
        return inverse.T

    def inverse_diagonal(self) -> Array:
        """Return the diagonal of A^-1: the sums of squares of the columns of L^-1."""
        inverse = self.inverse_root().T
        diagonal: Array = np.einsum("ij,ij->j", inverse, inverse)
        return diagonal

    def log_determinant(self) -> float:
        """Return log det A."""
        return 2 * float(np.log(np.diagonal(self.lower)).sum())


def factorise(matrix: Array, scale: float, added: Array) -> Factor | None:
    """Return the factor of `scale matrix + diag(added)`; None if it is not positive definite.

    Parameters
    ----------
    matrix : array (P, P)
        A symmetric matrix, which is not changed.
    scale : float
    added : array (P,)
    """
    from scipy.linalg.lapack import dpotrf

    damped = np.multiply(matrix, scale)
    damped.ravel()[:: len(matrix) + 1] += added
    lower, failed = dpotrf(damped.T, lower=1, overwrite_a=1)
    return None if failed or not np.isfinite(lower[-1, -1]) else Factor(lower)
