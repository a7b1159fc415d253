"""Dropout: units are zeroed at random during training."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, Shape, constant
from mlpgrad._core.checks import is_within
from mlpgrad.layers.base import Layer


class Dropout(Layer):
    """y = m x / (1 - p) in training, where m = 0 with probability p, else 1;  y = x in predictions

    dL/dx = m delta / (1 - p), with the same mask m. Each network of an ensemble draws from its own
    generator, always in single precision, so that a seed gives the same masks in every dtype.
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, "Dropout: a simple way to
    prevent neural networks from overfitting".

    Parameters
    ----------
    drop_probability : float, default 0.5
        The probability p that a unit is zeroed, at least 0 and below 1.

    Raises
    ------
    ValueError
        If `drop_probability` is not in [0, 1).

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Dropout(0.5)], loss=mg.HalfSquaredError(), random_state=1)
    >>> x = np.ones((1, 4))
    >>> loss = model.backpropagate(x, x)
    >>> bool(np.isin(model.layers[0].outputs, [0, 2]).all())
    True
    >>> model.predict(x)
    array([[1., 1., 1., 1.]], dtype=float32)
    """

    repeatable = True
    is_random = True

    def __init__(self, drop_probability: float = 0.5) -> None:
        if not is_within(drop_probability, 0, 1):
            raise ValueError(
                f"Dropout expects a drop_probability from 0 to below 1, "
                f"got {shown(drop_probability)}; 0.5 is usual for hidden layers"
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
