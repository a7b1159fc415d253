"""Layers that normalise their input: over the batch, or over the features."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mlpgrad._core.arguments import count, is_number
from mlpgrad._core.arrays import Array, Shape, constant, ones, product, row
from mlpgrad._core.checks import within
from mlpgrad.initializers import Constant, Initializer, Zeros
from mlpgrad.layers.base import Layer


class _Normalization(Layer):
    """y = gain xhat + bias: what both have in common."""

    def __init__(self, features: int, *, epsilon: float = 1e-5) -> None:
        self.features = count(features, f"{type(self).__name__}: features")
        self.in_features = self.out_features = self.features
        self.epsilon = epsilon
        within(self, "epsilon", 0)

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        return {"gain": ((self.features,), Constant(1)), "bias": ((self.features,), Zeros())}

    def allocate(self, shape: Shape) -> dict[str, Any]:
        size = shape[-2:]
        multiply = product(len(self._lead) + 2)
        tiled = self.empty(*size) if len(shape) < len(self._lead) + 2 else None
        return {
            "_multiply": multiply,
            "_tiled": tiled,  # an input that the ensemble shares, once for each network
            "_normal": self.empty(*size),
            "_work": self.empty(*size),
            "_out": self.empty(*size),
            "_input_delta": self.empty(*size),
            "_gain": row(self.params.gain),
            "_bias": row(self.params.bias),
            "_grad_gain": row(self.grads.gain),
            "_grad_bias": row(self.grads.bias),
            "_batch_ones": ones((1, size[0]), self.dtype),
        }

    def start(self, x: Array) -> Array:
        """Make the buffers fit; the batch with the ensemble axis."""
        if x.shape != self._shape:
            self.resize(x.shape)
        if self._tiled is None:
            return x
        np.copyto(self._tiled, x)
        return self._tiled  # type: ignore[no-any-return]

    def inverse_deviation(self, variance: Array, out: Array) -> None:
        """1 / sqrt(variance + epsilon)."""
        np.add(variance, constant(self.epsilon, out.dtype), out)
        np.sqrt(out, out)
        np.reciprocal(out, out)

    def scaled(self) -> Array:
        """Gain xhat + bias."""
        out: Array = self._out
        np.multiply(self._normal, self._gain, out)
        return np.add(out, self._bias, out)  # type: ignore[no-any-return]

    def parameter_gradients(self, delta: Array) -> None:
        """dL/dgain = sum over the batch of delta xhat;  dL/dbias = sum over the batch of delta."""
        np.multiply(delta, self._normal, self._work)
        self._multiply(self._batch_ones, self._work, self._grad_gain)
        self._multiply(self._batch_ones, delta, self._grad_bias)

    @classmethod
    def example(cls) -> Self:
        return cls(5)


class BatchNorm(_Normalization):
    """y = gain xhat + bias,  xhat = (x - mean) / sqrt(var + epsilon)  over the batch

    dL/dx = gain / sqrt(var + epsilon) * (delta - mean(delta) - xhat mean(delta xhat)). In
    training, mean and (biased) variance are those of the batch, and running ones follow:
    `running <- (1 - momentum) running + momentum batch`, with the unbiased variance as in
    PyTorch. In predictions the running ones are used. Ioffe and Szegedy 2015, "Batch
    normalization: accelerating deep network training by reducing internal covariate shift".

    A batch of one sample (the last of an epoch, perhaps) has no spread: its output is the bias,
    its input's delta is 0, and the running statistics stay as they are.

    Parameters
    ----------
    features : int
        Width of input and output.
    momentum : float
        Share of the newest batch in the running statistics.
    epsilon : float
        Added to the variance.

    Attributes
    ----------
    params.gain, params.bias : array (..., features)
    state.running_mean, state.running_var : array (..., features)

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.BatchNorm(1)], loss=mg.HalfSquaredError())
    >>> x = np.array([[1.0], [3.0]])
    >>> loss = model.backpropagate(x, x)
    >>> model.layers[0].outputs.round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    >>> model.get_weights()["layers[0].running_mean"]
    array([0.2], dtype=float32)
    """

    repeatable = True

    def __init__(self, features: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__(features, epsilon=epsilon)
        self.momentum = momentum
        if not (is_number(momentum) and 0 <= momentum <= 1):
            raise ValueError(
                f"BatchNorm expects a momentum from 0 to 1, got {momentum!r}; 0.1 is usual"
            )

    def statistics(self) -> dict[str, tuple[Shape, Initializer]]:
        width = (self.features,)
        return {"running_mean": (width, Zeros()), "running_var": (width, Constant(1))}

    def allocate(self, shape: Shape) -> dict[str, Any]:
        batch = shape[-2]
        rows = {name: self.empty(1, self.features) for name in ("_mean", "_var", "_inverse")}
        return super().allocate(shape) | {
            **rows,
            "_row": self.empty(1, self.features),
            "_averages": np.full((1, batch), np.ones((), self.dtype) / batch),
            "_running_mean": row(self.state.running_mean),
            "_running_var": row(self.state.running_var),
        }

    def forward(self, x: Array) -> Array:
        x = self.start(x)
        normal, mean, variance = self._normal, self._mean, self._var
        if self.training:
            self._multiply(self._averages, x, mean)
            np.subtract(x, mean, normal)
            np.multiply(normal, normal, self._work)
            self._multiply(self._averages, self._work, variance)
            batch = x.shape[-2]
            if batch > 1:
                self._follow(self._running_mean, mean, self.momentum)
                unbiased = batch / (batch - 1)
                self._follow(self._running_var, variance, self.momentum * unbiased)
        else:
            np.subtract(x, self._running_mean, normal)
            variance = self._running_var
        self.inverse_deviation(variance, self._inverse)
        np.multiply(normal, self._inverse, normal)
        return self.scaled()

    def _follow(self, running: Array, of_batch: Array, factor: float) -> None:
        """Running <- (1 - momentum) running + factor * of_batch."""
        np.multiply(running, constant(1 - self.momentum, self.dtype), running)
        np.multiply(of_batch, constant(factor, self.dtype), self._row)
        np.add(running, self._row, running)

    def backward(self, delta: Array) -> Array | None:
        self.parameter_gradients(delta)
        if not self.wants_input_delta:
            return None
        out, scale = self._input_delta, self._row
        np.multiply(self._gain, self._inverse, scale)
        if not self.training:
            return np.multiply(delta, scale, out)  # type: ignore[no-any-return]
        batch = constant(1 / delta.shape[-2], self.dtype)
        work: Array = self._work
        # both means are the parameters' gradients, divided by B
        np.multiply(self._normal, self._grad_gain, out)
        np.add(out, self._grad_bias, out)
        np.multiply(out, batch, out)
        np.subtract(delta, out, work)
        return np.multiply(work, scale, out)  # type: ignore[no-any-return]


class LayerNorm(_Normalization):
    """y = gain xhat + bias,  xhat = (x - mean) / sqrt(var + epsilon)  over the features

    With d = gain delta: dL/dx = (d - mean(d) - xhat mean(d xhat)) / sqrt(var + epsilon). Each
    sample by itself, in training as in predictions. Ba, Kiros and Hinton 2016, "Layer
    normalization".

    Parameters
    ----------
    features : int
        Width of input and output.
    epsilon : float
        Added to the variance.

    Attributes
    ----------
    params.gain, params.bias : array (..., features)

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.LayerNorm(3)], loss=mg.HalfSquaredError())
    >>> model.predict([[1.0, 2.0, 3.0]]).round(3)
    array([[-1.225,  0.   ,  1.225]], dtype=float32)
    """

    repeatable = True

    def allocate(self, shape: Shape) -> dict[str, Any]:
        columns = {name: self.empty(shape[-2], 1) for name in ("_mean", "_var", "_inverse")}
        average = np.full((self.features, 1), np.ones((), self.dtype) / self.features)
        return super().allocate(shape) | columns | {"_average": average}

    def forward(self, x: Array) -> Array:
        x = self.start(x)
        normal = self._normal
        self._multiply(x, self._average, self._mean)
        np.subtract(x, self._mean, normal)
        np.multiply(normal, normal, self._work)
        self._multiply(self._work, self._average, self._var)
        self.inverse_deviation(self._var, self._inverse)
        np.multiply(normal, self._inverse, normal)
        return self.scaled()

    def backward(self, delta: Array) -> Array | None:
        self.parameter_gradients(delta)
        if not self.wants_input_delta:
            return None
        out, work, mean = self._input_delta, self._work, self._mean
        np.multiply(delta, self._gain, out)
        np.multiply(out, self._normal, work)
        self._multiply(work, self._average, self._var)
        self._multiply(out, self._average, mean)
        np.multiply(self._normal, self._var, work)
        np.subtract(out, work, out)
        np.subtract(out, mean, out)
        return np.multiply(out, self._inverse, out)  # type: ignore[no-any-return]
