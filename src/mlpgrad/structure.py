"""Layers without parameters of their own: Dropout, Residual, Softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import (
    Array,
    Shape,
    constant,
    maxima_buffers,
    product,
    row_maxima,
    spread,
    spread_buffer,
)
from mlpgrad.layers import Dense, Layer, run_backward, run_forward


class Dropout(Layer):
    """y = m x / (1 - p) in training, m = 0 with probability p, else 1;  y = x in predictions

    Each network draws from its own generator, in single precision whatever the model's dtype:
    the same seed gives the same masks. Srivastava, Hinton, Krizhevsky, Sutskever and
    Salakhutdinov 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    Parameters
    ----------
    drop_probability : float
        p, from 0 to below 1.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Dropout(0.5)], loss=mg.HalfSquaredError(), random_state=1)
    >>> x = np.ones((1, 4))
    >>> loss = model.backpropagate(x, x)
    >>> model.layers[0].outputs
    array([[...]], dtype=float32)
    >>> model.predict(x)
    array([[1., 1., 1., 1.]], dtype=float32)
    """

    repeatable = True

    def __init__(self, drop_probability: float = 0.5) -> None:
        if not 0 <= drop_probability < 1:
            raise ValueError(
                f"Dropout expects a drop_probability from 0 to below 1, got {drop_probability}; "
                f"0.5 is usual for hidden layers"
            )
        self.drop_probability = drop_probability

    def allocate(self, shape: Shape) -> dict[str, Any]:
        size = shape[-2:]
        uniform = np.empty(self._lead + size, np.float32)
        return {
            "_uniform": uniform,
            "_uniforms": list(uniform) if self._lead else [uniform],
            "_mask": self.empty(*size),
            "_out": self.empty(*size),
            "_input_delta": self.empty(*size),
        }

    def forward(self, x: Array) -> Array:
        if not self.training:
            return x if x.ndim > 1 + len(self._lead) else np.broadcast_to(x, self._lead + x.shape)
        if x.shape != self._shape:
            self.resize(x.shape)
        mask, out = self._mask, self._out
        for uniform, rng in zip(self._uniforms, self._rngs, strict=True):
            rng.random(None, np.float32, uniform)
        probability = self.drop_probability
        np.greater_equal(self._uniform, constant(probability, self._uniform.dtype), mask)
        np.multiply(mask, constant(1 / (1 - probability), self.dtype), mask)
        return np.multiply(x, mask, out)  # type: ignore[no-any-return]

    def backward(self, delta: Array) -> Array | None:
        if not self.training:
            return delta
        return np.multiply(delta, self._mask, self._input_delta)  # type: ignore[no-any-return]


class Residual(Layer):
    """y = x + f(x),  f = the layers in a row;  dL/dx = delta + f's own dL/dx

    He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition".

    Parameters
    ----------
    layers : sequence of Layer
        From some number of features back to the same number. Any layers, further Residuals too.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> block = mg.Residual([mg.Dense(4, 8), mg.ReLU(), mg.Dense(8, 4)])
    >>> model = mg.Sequential([block, mg.Dense(4, 1)], loss=mg.HalfSquaredError())
    >>> [slot.name for slot in model.parameters][:2]
    ['layers[0.0].weights', 'layers[0.0].bias']
    """

    repeatable = True

    def __init__(self, layers: Sequence[Layer]) -> None:
        from mlpgrad.binding import check_chain

        self.layers = list(layers)
        check_chain(self.layers, "Residual.")
        takes = [layer.in_features for layer in self.layers]
        gives = [layer.out_features or layer.in_features for layer in reversed(self.layers)]
        first = next((width for width in takes if width is not None), None)
        last = next((width for width in gives if width is not None), None)
        if first != last:
            raise ValueError(
                f"Residual expects layers that give as many features as they take, got {first} in "
                f"and {last} out; make the last one give {first}"
            )
        self.in_features = self.out_features = first

    def children(self) -> Sequence[Layer]:
        return self.layers

    def reader(self) -> Self:
        twin = super().reader()
        twin.layers = [layer.reader() for layer in self.layers]
        return twin

    def forget_buffers(self) -> None:
        super().forget_buffers()
        for layer in self.layers:
            layer.forget_buffers()

    def allocate(self, shape: Shape) -> dict[str, Any]:
        return {"_out": self.empty(*shape[-2:]), "_input_delta": self.empty(*shape[-2:])}

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        return np.add(x, run_forward(self.layers, x), self._out)  # type: ignore[no-any-return]

    def backward(self, delta: Array) -> Array | None:
        passed = run_backward(self.layers, delta)
        return np.add(delta, passed, self._input_delta)  # type: ignore[arg-type]  # inner: never None

    @classmethod
    def example(cls) -> Self:
        from mlpgrad.activations import Tanh

        return cls([Dense(5, 4), Tanh(), Dense(4, 5)])


class Softmax(Layer):
    """a_k = e^z_k / sum_j e^z_j;  dL/dz = a (delta - sum_j a_j delta_j)

    The full Jacobian, for use inside a network or in front of `CrossEntropy`. In front of a loss
    on logits it is refused: `SoftmaxCrossEntropy` contains it, faster and exact. Bridle 1990.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.Softmax()], loss=mg.CrossEntropy())
    >>> model.predict([[0.0, 0.0, 1e4]])
    array([[0., 0., 1.]], dtype=float32)
    """

    repeatable = True

    gives_probabilities = True

    def allocate(self, shape: Shape) -> dict[str, Any]:
        size = shape[-2:]
        out = self.empty(*size)
        return {
            "_multiply": product(out.ndim),
            **maxima_buffers(out.shape),
            "_column": self.empty(size[0], 1),
            "_spread": spread_buffer(out.shape, self.dtype),
            "_ones": np.ones((size[1], 1), self.dtype),
            "_out": out,
            "_work": self.empty(*size),
            "_input_delta": self.empty(*size),
        }

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        out, column = self._out, self._column
        np.copyto(out, x)
        row_maxima(out, self._starts, self._places, column)
        np.subtract(out, spread(column, self._spread), out)
        np.exp(out, out)
        self._multiply(out, self._ones, column)
        return np.divide(out, spread(column, self._spread), out)  # type: ignore[no-any-return]

    def backward(self, delta: Array) -> Array | None:
        out, work, column = self._out, self._work, self._column
        np.multiply(out, delta, work)
        self._multiply(work, self._ones, column)
        np.subtract(delta, spread(column, self._spread), work)
        return np.multiply(out, work, self._input_delta)  # type: ignore[no-any-return]
