"""First derivatives of a model: per-example gradients, and Jacobians of the outputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.derivatives.modes import predicting, refuse_in_training, refuse_mixing
from mlpgrad.derivatives.outputs import jacobian_to_inputs, jacobian_to_parameters
from mlpgrad.derivatives.samples import squared_norms, write_gradients
from mlpgrad.network.network import Network
from mlpgrad.network.storage import check_memory
from mlpgrad.penalties import penalise


class FirstOrder(Network):
    """A network with Jacobians and per-example gradients."""

    @suggesting
    def per_example_gradients(
        self, x: Any, y: Any, *, sample_weight: Any = None, training: bool = True
    ) -> Array:
        """Compute the gradient of each sample's objective, `(B, P)` or `(E, B, P)`.

        Row b is the gradient of v_b l_b plus penalties with respect to the parameters, with v_b =
        w_b / mean(w), or 1 without weights. The mean over the rows is the gradient of
        `backpropagate`. All rows are computed from one step, whose gradient is in `grads`
        afterwards.

        Parameters
        ----------
        x, y, sample_weight
            As for `backpropagate`.
        training : bool, default True
            If False, differentiate the model in prediction mode: without dropout, and with the
            running statistics of BatchNorm.

        Returns
        -------
        array (B, P), or (E, B, P) for an ensemble
            The gradients, in the model's dtype.

        Raises
        ------
        ValueError
            If, in training mode, a sample's output depends on other samples (BatchNorm) or is
            random (Dropout), so that per-example gradients are not defined; or if the result is
            larger than the memory of this machine.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> x, y = mg.datasets.moons(50, random_state=0)
        >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
        ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
        >>> gradients = model.per_example_gradients(x, y)
        >>> gradients.shape
        (50, 33)
        >>> loss = model.backpropagate(x, y)
        >>> np.allclose(gradients.mean(axis=0), model.grads, atol=1e-6)
        True
        """
        with self._alone():
            network, rows = self._step_of_samples(
                x, y, sample_weight, training, "per_example_gradients"
            )
            shape = (*self.lead, rows, self._params.shape[-1])
            check_memory(
                math.prod(shape) * self.dtype.itemsize,
                f"gradients of shape {shape}",
                "take fewer samples at a time, or only their norms: per_example_gradient_norms",
            )
            out = np.empty(shape, self.dtype)
            write_gradients(network, rows, out)
            added = self._penalty_gradient()
            if added is not None:
                np.add(out, added[..., None, :], out)
            return out

    @suggesting
    def per_example_gradient_norms(
        self, x: Any, y: Any, *, sample_weight: Any = None, training: bool = True
    ) -> Array:
        """Compute the Euclidean norms of `per_example_gradients` without forming the gradients.

        This takes about the time and memory of one gradient. Samples with large norms are those
        from which the model learns most, or which it cannot fit.

        Parameters
        ----------
        x, y, sample_weight, training
            As for `per_example_gradients`, with the same errors.

        Returns
        -------
        array (B,), or (E, B) for an ensemble
            The norms, in the model's dtype. With penalties, the norm of a gradient whose two parts
            cancel is accurate only to about the square root of the machine precision.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> x, y = mg.datasets.moons(50, random_state=0)
        >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
        ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
        >>> norms = model.per_example_gradient_norms(x, y)
        >>> np.allclose(norms, np.linalg.norm(model.per_example_gradients(x, y), axis=-1))
        True
        """
        with self._alone():
            network, rows = self._step_of_samples(
                x, y, sample_weight, training, "per_example_gradient_norms"
            )
            added = self._penalty_gradient()
            norms = squared_norms(network, None if added is None else added / rows)
            return np.multiply(np.sqrt(norms, norms), rows, norms)

    @suggesting
    def jacobian(self, x: Any, *, to: str = "parameters") -> Array:
        """Compute the derivatives of the outputs of `predict`, for each sample.

        Parameters
        ----------
        x : array (B, I) or (E, B, I)
        to : "parameters" or "inputs", default "parameters"
            The variables with respect to which the outputs are differentiated.

        Returns
        -------
        array (B, O, P) or (B, O, I), with the ensemble axis in front where there is one
            The Jacobians in prediction mode: without dropout, and with the running statistics of
            BatchNorm. The dtype is that of the model; with `target_scaling` it is float64, in the
            units of the targets.

        Raises
        ------
        ValueError
            If a scaling is not fitted yet, if the prediction of a user-defined layer for a sample
            depends on other samples, or if the result is larger than the memory of this machine.

        Examples
        --------
        >>> import numpy as np, mlpgrad as mg
        >>> model = mg.Sequential([mg.Dense(3, 2)], loss=mg.HalfSquaredError(), random_state=0)
        >>> model.jacobian(np.ones((4, 3))).shape
        (4, 2, 8)
        >>> jacobian = model.jacobian(np.ones((4, 3)), to="inputs")
        >>> np.allclose(jacobian[0], model.layers[0].params.weights.T)
        True
        """
        to = arguments.choice(to, "to", ("parameters", "inputs"))
        checked = self.checked_inputs(x)
        outputs = self.out_features or checked.shape[-1]
        width = self._params.shape[-1] if to == "parameters" else checked.shape[-1]
        shape = (*self.lead, checked.shape[-2], outputs, width)
        check_memory(
            math.prod(shape) * self.dtype.itemsize,
            f"Jacobians of shape {shape}",
            "take fewer samples at a time",
        )
        by = jacobian_to_parameters if to == "parameters" else jacobian_to_inputs
        with self._alone():
            self.check_fitted()
            refuse_mixing(self, checked, "jacobian", training=False)
            grads = self._grads.copy()
            try:
                found = by(self, checked, outputs)
            finally:
                self._grads[...] = grads
            scaling = self.scaling_of_targets
            if scaling is None:
                return found
            return np.asarray(scaling.units(outputs, self.loss)[..., None] * found)

    # common parts

    def _step_of_samples(
        self, x: Any, y: Any, weights: Any, training: bool, what: str
    ) -> tuple[Network, int]:
        """Make one step on samples that do not depend on one another.

        Returns the network whose layers made it, and the number of samples.
        """
        training = arguments.flag(training, "training")
        self.check_fitted()
        x, target, weights = self._cast(x, y, weights)
        network = self if training else predicting(self)
        if training:
            refuse_in_training(self, what)
        refuse_mixing(self, x, what, training=training)
        network._step(x, target, weights)
        return network, int(x.shape[-2])

    def _penalty_gradient(self) -> Array | None:
        """Return the gradient of the penalties, in the shape of `params`; None without any."""
        if not self._penalised:
            return None
        before = self._grads.copy()
        self._grads.fill(0)
        penalise(0.0, self._penalised, self._slopes)
        added = self._grads.copy()
        self._grads[...] = before
        return added
