"""The curvature of the objective as a linear operator of SciPy, without forming a matrix."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.objective import Objective
from mlpgrad.network.storage import check_memory

INSTEAD = (
    "use model.curvature(x, y) with scipy.sparse.linalg.eigsh or cg, which only need products "
    "with it"
)

Product = Callable[[Array], Array]


def hessian_product(objective: Objective, params: Array) -> Product:
    """v -> H v."""
    return partial(objective.product, params)


def gauss_newton_product(objective: Objective, params: Array) -> Product:
    """v -> J^T H_l J v, and the penalties' second derivatives."""
    return partial(objective.gauss_newton_product, params)


def fisher_product(objective: Objective, params: Array) -> Product:
    """v -> J^T E[H_l] J v, and the penalties' second derivatives."""
    objective.check_likelihood()
    return partial(objective.gauss_newton_product, params, expected=True)


KINDS = {
    "hessian": hessian_product,
    "gauss_newton": gauss_newton_product,
    "fisher": fisher_product,
}
"""The product of each kind of curvature; add a new kind here."""


class Curvature(LinearOperator):  # type: ignore[misc]  # SciPy has no types
    """A symmetric matrix of second derivatives, `(P, P)`, at fixed parameters.

    All functions of `scipy.sparse.linalg` accept it, such as `eigsh`, `cg` and `svds`. For an
    ensemble it is block diagonal, `(E P, E P)`, with a block for each member, and a single product
    covers all members.

    Parameters
    ----------
    objective : Objective
    params : array (P,) or (E, P)
        The point of the second derivatives.
    kind : str
        One of KINDS.
    """

    def __init__(self, objective: Objective, params: Array, kind: str) -> None:
        self.params, self._product = params, KINDS[kind](objective, params)
        super().__init__(params.dtype, (params.size, params.size))

    def _matvec(self, vector: Any) -> Array:
        given = np.asarray(vector)
        if np.iscomplexobj(given):  # as solvers of shifted systems have them
            return np.asarray(self._matvec(given.real) + 1j * self._matvec(given.imag))
        return self._product(given.reshape(self.params.shape)).reshape(given.shape)

    _rmatvec = _matvec

    def _adjoint(self) -> Curvature:
        return self

    _transpose = _adjoint

    def todense(self) -> Array:
        """Return the matrix as an array, which takes P products.

        Raises
        ------
        ValueError
            If it is larger than the memory of this machine.
        """
        blocks = dense_blocks(self._product, self.params)
        if self.params.ndim == 1:
            return blocks
        members, size = self.params.shape
        matrix = np.zeros((members, size, members, size), blocks.dtype)
        matrix[np.arange(members), :, np.arange(members)] = blocks
        return matrix.reshape(self.shape)


def dense_blocks(product: Product, params: Array) -> Array:
    """Return the symmetric matrix `(P, P)`, or `(E, P, P)`, computed column by column."""
    size = params.shape[-1]
    check_memory(params.size * size * params.itemsize, f"{size:,} x {size:,} matrices", INSTEAD)
    matrix = np.empty((*params.shape, size), params.dtype)
    vector = np.zeros_like(params)
    for column in range(size):
        vector[..., column] = 1
        matrix[..., column] = product(vector)
        vector[..., column] = 0
    return (matrix + matrix.mT) / 2
