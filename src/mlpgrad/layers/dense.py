"""The fully connected layer: the lecture's weighted sums for a whole batch."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import (
    Array,
    Shape,
    block_buffers,
    ones,
    product,
    row,
    spread,
    spread_buffer,
    sum_products,
    with_ones,
)
from mlpgrad._core.habits.calls import ARGUMENTS
from mlpgrad._core.options import ArrayName
from mlpgrad.initializers import GlorotUniform, Initializer, Zeros
from mlpgrad.layers.base import Layer


class Dense(Layer):
    """z = x W + b;  dL/dW = x^T delta,  dL/db = sum over the batch of delta,  dL/dx = delta W^T

    These are the lecture's (4) to (9) for a whole batch: each row of `x` is a sample, and the
    matrix product sums the outer products delta_j x_i of (9) over the batch. For a small batch the
    bias is one more row of the weights, and each sample is followed by a 1: z = [x 1] [W; b]. For a
    batch of more than 16,384 rows in single precision, the sums are made in double precision.

    Parameters
    ----------
    in_features : int
        Number of columns of the input, at least 1.
    out_features : int
        Number of columns of the output, at least 1.
    bias : bool, default True
        Whether to add a bias.
    initializer : Initializer, optional
        Draws the initial weights. The default depends on the following activation: He for the ReLU
        family, LeCun for SELU, otherwise Glorot. The bias is initially 0.

    Attributes
    ----------
    params.weights : array (..., in_features, out_features)
        The lecture's w_ij, where i counts inputs and j outputs.
    params.bias : array (..., out_features)
        The bias.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.Dense(3, 2)], loss=mg.HalfSquaredError(), random_state=0)
    >>> model.layers[0].params.weights.shape
    (3, 2)
    """

    repeatable = True

    weights = ArrayName("params")

    in_features: int
    out_features: int

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None:
        self.in_features = arguments.count(in_features, "Dense: in_features")
        activation = callable(out_features) or isinstance(out_features, str | None)
        habit = f"write {ARGUMENTS['Dense']}" if activation else ""
        self.out_features = arguments.count(out_features, "Dense: out_features", fix=habit)
        self.bias = arguments.flag(bias, "Dense: bias")
        if initializer is not None:
            arguments.instance(initializer, "Dense: initializer", Initializer, "HeNormal()")
        self.initializer = initializer

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        following = getattr(self._following, "initializer", None)
        weights = self.initializer or following or GlorotUniform()
        described: dict[str, tuple[Shape, Initializer]] = {}
        described["weights"] = (self.in_features, self.out_features), weights
        if self.bias:
            described["bias"] = (self.out_features,), Zeros()
        return described

    def allocate(self, shape: Shape) -> dict[str, Any]:
        batch = shape[-2]
        z = self.empty(batch, self.out_features)
        multiply = product(z.ndim, self.dtype)
        neighbours = z.ndim == 2 and [*self.params] == ["weights", "bias"]  # in the flat array
        whole = with_ones(shape, self.dtype) if neighbours else None
        prepared = {
            "_multiply": multiply,
            # column times row, in an ensemble: `matmul` takes four times as long
            "_spread": np.multiply
            if z.shape[-1] == 1 and z.ndim > 2
            else product(z.ndim, self.dtype),
            "_z": z,
            "_weights": self.params.weights,
            "_weights_t": self.params.weights.mT,
            "_grad_weights": self.grads.weights,
            "_input_delta": self.empty(*shape[-2:]) if self.wants_input_delta else None,
            "_with_ones": whole,
            "_bias": None,
            "_blocks": block_buffers(shape, z.shape, self.dtype),
        }
        if whole is not None:
            prepared["_room"] = whole[:, :-1]
            prepared["_weights"] = self.params._flat.reshape(-1, self.out_features)
            prepared["_grad_weights"] = self.grads._flat.reshape(-1, self.out_features)
        elif self.bias:
            prepared["_bias"] = row(self.params.bias)
            prepared["_grad_bias"] = row(self.grads.bias)
            prepared["_ones"] = ones((1, batch), self.dtype)
            prepared["_rows"] = spread_buffer(z.shape, self.dtype)
        return prepared

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        z: Array = self._z
        if self._with_ones is not None:
            self._room[...] = x
            x = self._with_ones
        self._x = x
        self._multiply(x, self._weights, z)
        if self._bias is not None:
            np.add(z, spread(self._bias, self._rows), z)
        return z

    def backward(self, delta: Array) -> Array | None:
        multiply = self._multiply
        if self._blocks is None:
            multiply(self._x.mT, delta, self._grad_weights)
            if self._bias is not None:
                multiply(self._ones, delta, self._grad_bias)
        else:
            sums = sum_products(self._x, delta, self._blocks)
            np.copyto(self._grad_weights, sums[..., :-1, :], "same_kind")
            if self._bias is not None:
                np.copyto(self._grad_bias, sums[..., -1:, :], "same_kind")
        if not self.wants_input_delta:
            return None
        input_delta: Array = self._input_delta
        return self._spread(delta, self._weights_t, input_delta)  # type: ignore[no-any-return]

    @property
    def pre_activations(self) -> Array | None:
        """A copy of the layer's output `z` in the last step: the lecture's s_j."""
        return self.outputs

    @classmethod
    def example(cls) -> Self:
        return cls(5, 3)
