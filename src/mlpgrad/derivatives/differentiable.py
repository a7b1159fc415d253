"""`Differentiable`: derivatives of a model beyond the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.derivatives.first_order import FirstOrder
from mlpgrad.derivatives.modes import refuse_complex, refuse_in_training, refuse_mixing
from mlpgrad.derivatives.objective import Objective

if TYPE_CHECKING:
    from mlpgrad.derivatives.curvature import Curvature


class Differentiable(FirstOrder):
    """A network with Jacobians, curvature and per-example gradients."""

    @suggesting
    def hessian_vector_product(
        self, x: Any, y: Any, v: Any, *, sample_weight: Any = None, training: bool = True
    ) -> Array:
        """Multiply the Hessian of the objective by a vector, exact to rounding.

        The Hessian is with respect to the parameters. The product is computed from one complex
        gradient, which takes the time of three to five gradients in float64. For many products at
        the same parameters, see `curvature`.

        Parameters
        ----------
        x, y, sample_weight
            As for `backpropagate`.
        v : array (P,) or (E, P)
            A vector with the shape of `params`.
        training : bool, default True
            As for `per_example_gradients`.

        Returns
        -------
        array (P,) or (E, P)
            The product, in float64; a float32 model is converted to float64.

        Raises
        ------
        ValueError
            In training mode with BatchNorm or Dropout.

        Warns
        -----
        TrainingWarning
            If a user-defined layer, loss or penalty loses the imaginary parts of complex numbers.
            Finite differences of gradients are then used.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> x, y = mg.datasets.moons(50, random_state=0)
        >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)], dtype="float64",
        ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
        >>> v = np.random.default_rng(0).normal(size=model.params.shape)
        >>> product = model.hessian_vector_product(x, y, v)
        >>> up, down = (model.objective(x, y)(model.params + h * v)[1] for h in (1e-6, -1e-6))
        >>> np.allclose(product, (up - down) / 2e-6, atol=1e-8)
        True
        """
        objective = self._objective_of(
            x, y, sample_weight, training, None, "hessian_vector_product"
        )
        vector = np.empty(self._params.shape, np.result_type(self.dtype, np.float64))
        arguments.copy_into(vector, v, "v")
        return objective.product(objective.network.params, vector)

    @suggesting
    def curvature(
        self,
        x: Any,
        y: Any,
        kind: str = "hessian",
        *,
        sample_weight: Any = None,
        training: bool = True,
        batch_size: int | None = None,
    ) -> Curvature:
        """Return the second derivatives of the objective as a linear operator of SciPy.

        Parameters
        ----------
        x, y, sample_weight
            As for `backpropagate`.
        kind : "hessian", "gauss_newton" or "fisher", default "hessian"
            "hessian" is exact, and may have negative eigenvalues. With the Jacobian J of the
            outputs and the second derivatives H_l of the loss with respect to the outputs,
            "gauss_newton" is the weighted mean of J^T H_l J over the samples; it has no negative
            eigenvalues if the loss is convex in the outputs. "fisher" replaces H_l by its
            expectation under the distribution whose negative log likelihood is the loss. This is
            the Fisher information in the scale of the objective (for a loss that is a mean over
            outputs, that of the mean). For squared errors, `SoftmaxCrossEntropy`,
            `SigmoidCrossEntropy` and `Poisson`, the two are equal. Penalties add their own second
            derivatives to each kind. Martens 2020, "New insights and perspectives on the natural
            gradient method".
        training : bool, default True
            As for `per_example_gradients`.
        batch_size : int, optional
            Number of rows computed at once, 8,192 by default, which bounds the memory.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator (P, P), or (E P, E P) for an ensemble
            A symmetric operator in float64, at the current parameters, with a method `todense()`.
            For an ensemble it is block diagonal. Later changes of the model do not affect it.

        Raises
        ------
        ValueError
            In training mode with BatchNorm or Dropout.
        TypeError
            For "fisher" with a loss that is not a negative log likelihood.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> from scipy.sparse.linalg import eigsh
        >>> x, y = mg.datasets.moons(50, random_state=0)
        >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
        ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
        >>> largest = eigsh(model.curvature(x, y), 2, which="LA", return_eigenvectors=False)
        >>> np.allclose(largest[-1], np.linalg.eigvalsh(model.hessian(x, y))[-1])
        True

        The empirical Fisher matrix, which is different, is computed from the gradients:

        >>> gradients = model.per_example_gradients(x, y)
        >>> empirical = gradients.T @ gradients / len(gradients)
        """
        from mlpgrad.derivatives.curvature import KINDS, Curvature  # a slow import

        kind = arguments.choice(kind, "kind", KINDS)
        if batch_size is not None:
            batch_size = arguments.count(batch_size, "batch_size")
        objective = self._objective_of(x, y, sample_weight, training, batch_size, "curvature")
        return Curvature(objective, objective.network.params.copy(), kind)

    @suggesting
    def hessian(self, x: Any, y: Any, *, sample_weight: Any = None, training: bool = True) -> Array:
        """Compute the Hessian of the objective with respect to the parameters of a small network.

        It needs memory for P^2 numbers, and P exact Hessian-vector products.

        Parameters
        ----------
        x, y, sample_weight, training
            As for `curvature`, with the same errors.

        Returns
        -------
        array (P, P), or (E, P, P) for an ensemble
            The symmetric Hessian, in float64.

        Raises
        ------
        ValueError
            If it is larger than the memory of this machine; use `curvature` for products with it.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> x, y = mg.datasets.xor()
        >>> model = mg.Sequential([mg.Dense(2, 2), mg.Tanh(), mg.Dense(2, 1)],
        ...                       loss=mg.HalfSquaredError(), random_state=0)
        >>> hessian = model.hessian(x, y)
        >>> hessian.shape
        (9, 9)
        >>> v = np.ones(9)
        >>> np.allclose(hessian @ v, model.hessian_vector_product(x, y, v))
        True
        """
        from mlpgrad.derivatives.curvature import dense_blocks, hessian_product

        objective = self._objective_of(x, y, sample_weight, training, None, "hessian")
        params = objective.network.params.copy()
        return dense_blocks(hessian_product(objective, params), params)

    def _objective_of(
        self, x: Any, y: Any, weights: Any, training: bool, batch_size: int | None, what: str
    ) -> Objective:
        """Return the objective on fixed rows as a function of the parameters, in float64."""
        training = arguments.flag(training, "training")
        refuse_complex(self, what)
        if training:
            refuse_in_training(self, what)
        with self.reading() as network:
            network.check_fitted()
            checked = network.checked(x, y, weights)
            refuse_mixing(network, checked[0], what, training=training)
            dtype = np.result_type(self.dtype, np.float64)
            return Objective(
                network, *checked, dtype=dtype, batch_size=batch_size, training=training
            )
