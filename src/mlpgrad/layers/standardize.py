"""A layer that scales the columns of the input to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arguments import count, numbers
from mlpgrad._core.arrays import Array, Shape, row
from mlpgrad._core.checks import finite
from mlpgrad.initializers import Initializer, Zeros
from mlpgrad.layers.base import Layer


class Standardize(Layer):
    """y = (x - mean) / deviation;  dL/dx = delta / deviation

    Scale each column of the input to mean 0 and standard deviation 1, so that columns in different
    units are comparable. LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", section 4.3.

    `fit` computes mean and standard deviation from its training rows, without held-out rows: with
    sample weights if there are any, separately for each member of an ensemble, and in blocks of
    rows for a memory-mapped file. They are kept in the model's `state` and saved with it. A later
    `fit` does not change them, since the weights of the next layer depend on them;
    `model.fit_scaling(x)` computes them again. Before the first `fit`, predictions and gradients
    raise an error.

    A column that is constant in the training rows gets the deviation 1, so it becomes 0. In an
    ensemble, the output has an ensemble axis.

    The layer must be the first of a model, since only the input can be used to fit it; elsewhere
    mean and deviation must be given.

    Parameters
    ----------
    features : int
        Number of columns of input and output.
    mean : float or sequence of float, optional
        The mean to subtract from each column; by default `fit` computes it.
    deviation : float or sequence of float, optional
        The positive divisor of each column. Give both `mean` and `deviation` or neither.

    Raises
    ------
    ValueError
        If only one of `mean` and `deviation` is given, they do not have a number for each
        column, or a deviation is not positive.

    Attributes
    ----------
    state.mean, state.deviation : array (..., features)
        Mean and standard deviation; the latter is 0 until the layer is fitted.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> x = np.array([[100.0, 1.0], [300.0, 1.0]])
    >>> model = mg.Sequential([mg.Standardize(2), mg.Dense(2, 1)], loss=mg.MeanSquaredError())
    >>> history = model.fit(x, [0, 1], optimizer=mg.Adam(), epochs=1, verbose=0)
    >>> model.layers[0].state.mean, model.layers[0].state.deviation
    (array([200.,   1.], dtype=float32), array([100.,   1.], dtype=float32))
    """

    repeatable = True

    def __init__(
        self,
        features: int,
        *,
        mean: float | Sequence[float] | Array | None = None,
        deviation: float | Sequence[float] | Array | None = None,
    ) -> None:
        self.features = count(features, "Standardize: features")
        self.in_features = self.out_features = self.features
        if (mean is None) != (deviation is None):
            given, missing = ("mean", "deviation") if deviation is None else ("deviation", "mean")
            raise ValueError(
                f"Standardize expects mean and deviation, or neither, got {given} without {missing}"
            )
        self.mean = self._column_values(mean, "mean")
        self.deviation = self._column_values(deviation, "deviation")
        if self.deviation is not None and min(self.deviation) <= 0:
            raise ValueError(
                f"Standardize expects positive deviations, got {min(self.deviation)}; "
                f"give 1 for a constant column"
            )

    def _column_values(self, values: Any, name: str) -> tuple[float, ...] | None:
        """Return a number for each column, or None if none are given."""
        if values is None:
            return None
        name = f"Standardize: {name}"
        array = numbers(values, name, "biuf").astype(np.float64)
        if array.shape not in ((), (self.features,)):
            raise ValueError(f"{name} expects shape ({self.features},), got {array.shape}")
        finite(array, name)
        return tuple(np.broadcast_to(array, self.features).tolist())

    def statistics(self) -> dict[str, tuple[Shape, Initializer]]:
        mean, deviation = _Given(self.mean), _Given(self.deviation)
        return {"mean": ((self.features,), mean), "deviation": ((self.features,), deviation)}

    def is_fitted(self) -> bool:
        """Whether it has statistics: given ones, or those passed to `take`."""
        return bool(self.state.deviation.all())

    def take(self, mean: Array, deviation: Array) -> None:
        """Keep these statistics, `(features,)` or `(..., features)`, in the model's `state`."""
        self.state.mean[...] = mean
        self.state.deviation[...] = deviation
        self.state.deviation[self.state.deviation == 0] = 1  # it underflowed in the dtype

    def allocate(self, shape: Shape) -> dict[str, Any]:
        return {
            "_mean": row(self.state.mean),
            "_deviation": row(self.state.deviation),
            "_out": self.empty(*shape[-2:]),
            "_input_delta": self.empty(*shape[-2:]),
        }

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        out: Array = self._out
        np.subtract(x, self._mean, out)
        return np.divide(out, self._deviation, out)  # type: ignore[no-any-return]

    def backward(self, delta: Array) -> Array | None:
        if not self.wants_input_delta:
            return None
        return np.divide(delta, self._deviation, self._input_delta)  # type: ignore[no-any-return]

    @classmethod
    def example(cls) -> Self:
        return cls(5, mean=[0.5, -1.0, 0.0, 2.0, 0.25], deviation=[0.5, 2.0, 1.0, 0.25, 4.0])


class _Given(Initializer):
    """The given numbers, or zeros."""

    def __init__(self, values: tuple[float, ...] | None) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"the given values {self.values}"  # also tells layouts apart

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        return Zeros()(rng, shape) if self.values is None else np.array(self.values)
