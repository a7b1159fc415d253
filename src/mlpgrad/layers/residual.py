"""The residual block: adds its input to the output of the layers inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, Shape
from mlpgrad.layers.activations.sigmoids import Tanh
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import check_chain, run_backward, run_forward, walk
from mlpgrad.layers.dense import Dense

DEEPEST = 50
"""Maximum nesting depth of blocks; more would exceed Python's call stack."""


class Residual(Layer):
    """y = x + f(x),  f = the stack of layers;  dL/dx = delta + dL/dx of f

    He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition".

    Parameters
    ----------
    layers : sequence of Layer
        The layers of f, with equal input and output width. Any layers may be used, including
        further Residual blocks.

    Raises
    ------
    ValueError
        If the layers do not fit together, or their input and output widths differ.

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
        self.layers = tuple(arguments.objects(layers, "layers", Layer, "Dense(8, 8)"))
        check_chain(self.layers, "Residual.")
        if any(position.count(".") >= DEEPEST for position, _ in walk(self.layers)):
            raise ValueError(f"Residual expects blocks nested at most {DEEPEST} deep")
        takes = [layer.in_features for layer in self.layers]
        gives = [layer.out_features or layer.in_features for layer in reversed(self.layers)]
        first = next((width for width in takes if width is not None), None)
        last = next((width for width in gives if width is not None), None)
        if first != last:
            raise ValueError(
                f"Residual expects layers with equal input and output width, got {first} in and "
                f"{last} out; change the output width to {first}"
            )
        self.in_features = self.out_features = first

    def config(self) -> dict[str, Any]:
        """Return the layers as a list."""
        return {"layers": [*self.layers]}

    def children(self) -> Sequence[Layer]:
        return self.layers

    def reader(self) -> Self:
        twin = super().reader()
        twin.layers = tuple(layer.reader() for layer in self.layers)
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
        return np.add(x, run_forward(self.layers, x, self._sample_weights), self._out)  # type: ignore[no-any-return]

    def backward(self, delta: Array) -> Array | None:
        passed = run_backward(self.layers, delta)
        return np.add(delta, passed, self._input_delta)  # type: ignore[arg-type]  # inner: never None

    @classmethod
    def example(cls) -> Self:
        return cls([Dense(5, 4), Tanh(), Dense(4, 5)])
