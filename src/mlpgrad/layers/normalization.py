"""Layers that normalize their input, over the batch or over the features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from mlpgrad._core.arguments import count, is_number, shown
from mlpgrad._core.arrays import (
    Array,
    Shape,
    block_buffers,
    constant,
    fitting,
    ones,
    product,
    row,
    sum_products,
)
from mlpgrad._core.checks import within
from mlpgrad._core.options import ArrayName
from mlpgrad.initializers import Constant, Initializer, Zeros
from mlpgrad.layers.base import Layer


class _Normalization(Layer):
    """y = gain xhat + bias, the common part of both kinds of normalization."""

    _direct_scaled: Callable[[], Array]

    gain, bias = ArrayName("params"), ArrayName("params")

    def __init__(self, features: int, *, epsilon: float = 1e-5) -> None:
        self.features = count(features, f"{type(self).__name__}: features")
        self.in_features = self.out_features = self.features
        self.epsilon = epsilon
        within(self, "epsilon", 0)

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        return {"gain": ((self.features,), Constant(1)), "bias": ((self.features,), Zeros())}

    def allocate(self, shape: Shape) -> dict[str, Any]:
        size = shape[-2:]
        multiply = product(len(self._lead) + 2, self.dtype)
        tiled = self.empty(*size) if len(shape) < len(self._lead) + 2 else None
        return {
            "_multiply": multiply,
            "_tiled": tiled,  # an input that the members share, repeated for each member
            "_normal": self.empty(*size),
            "_work": self.empty(*size),
            "_out": self.empty(*size),
            "_input_delta": self.empty(*size),
            "_gain": row(self.params.gain),
            "_bias": row(self.params.bias),
            "_grad_gain": row(self.grads.gain),
            "_grad_bias": row(self.grads.bias),
            "_batch_ones": ones((1, size[0]), self.dtype),
            "_no_columns": np.empty((size[0], 0), self.dtype),
            "_blocks": block_buffers((size[0], 0), (*self._lead, *size), self.dtype),
        }

    def start(self, x: Array) -> Array:
        """Make the buffers fit `x`, and return it with the ensemble axis."""
        if x.shape != self._shape:
            self.resize(x.shape)
        if self._tiled is None:
            return x
        np.copyto(self._tiled, x)
        return self._tiled  # type: ignore[no-any-return]

    def inverse_deviation(self, variance: Array, out: Array) -> None:
        """Write 1 / sqrt(variance + epsilon) into `out`."""
        np.add(variance, constant(self.epsilon, out.dtype), out)
        np.sqrt(out, out)
        np.reciprocal(out, out)

    def scaled(self) -> Array:
        """Return the output, gain xhat + bias."""
        out: Array = self._out
        np.multiply(self._normal, self._gain, out)
        return np.add(out, self._bias, out)  # type: ignore[no-any-return]

    def sum_batch(self, rows: Array, out: Array) -> None:
        """Write the sum over the batch of `rows: (..., B, F)` into `out: (..., 1, F)`."""
        if self._blocks is None:
            self._multiply(self._batch_ones, rows, out)
        else:
            np.copyto(out, sum_products(self._no_columns, rows, self._blocks), "same_kind")

    def parameter_gradients(self, delta: Array) -> None:
        """Write dL/dgain = sum of delta xhat and dL/dbias = sum of delta, over the batch."""
        np.multiply(delta, self._normal, self._work)
        self.sum_batch(self._work, self._grad_gain)
        self.sum_batch(delta, self._grad_bias)

    @classmethod
    def example(cls) -> Self:
        return cls(5)


class BatchNorm(_Normalization):
    """y = gain xhat + bias,  xhat = (x - mean) / sqrt(var + epsilon)  over the batch

    dL/dx = gain / sqrt(var + epsilon) * (delta - mean(delta) - xhat mean(delta xhat)). In
    training, the mean and the (biased) variance are those of the batch, and the running statistics
    are updated: `running <- (1 - momentum) running + momentum batch`, with the unbiased variance
    as in PyTorch. Predictions use the running statistics. Ioffe and Szegedy 2015, "Batch
    normalization: accelerating deep network training by reducing internal covariate shift".

    A batch of one sample, which can be the last of an epoch, has no variance: its output is the
    bias, dL/dx is 0, and the running statistics are not updated.

    Sample weights apply in training: a sample of weight 2 counts as two samples in the mean, the
    variance and the running statistics, and one of weight 0 is ignored. For the unbiased variance,
    the number of samples is the sum of the weights, but at least the number of samples with a
    weight above 0, since weights may have any scale.

    Parameters
    ----------
    features : int
        Number of columns of input and output.
    momentum : float, default 0.1
        The weight of the newest batch in the running statistics, from 0 to 1.
    epsilon : float, default 1e-5
        A small positive number that is added to the variance.

    Raises
    ------
    ValueError
        If `momentum` is not in [0, 1], or `epsilon` is negative.

    Attributes
    ----------
    params.gain, params.bias : array (..., features)
        Gain and bias; initially 1 and 0.
    state.running_mean, state.running_var : array (..., features)
        The running statistics; initially 0 and 1.

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
    mixes_samples = True

    running_mean, running_var = ArrayName("state"), ArrayName("state")

    def __init__(self, features: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__(features, epsilon=epsilon)
        self.momentum = momentum
        if not (is_number(momentum) and 0 <= momentum <= 1):
            raise ValueError(
                f"BatchNorm expects a momentum from 0 to 1, got {shown(momentum)}; 0.1 is usual"
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
            "_shares": self.empty(batch, 1),
            "_running_mean": row(self.state.running_mean),
            "_running_var": row(self.state.running_var),
        }

    def forward(self, x: Array) -> Array:
        x = self._direct_start(x)
        normal, mean, variance = self._normal, self._mean, self._var
        if self.training:
            weights = self._sample_weights
            if weights is not None:
                self._share, samples = self._weigh(weights)
            self._average_batch(x, mean)
            np.subtract(x, mean, normal)
            np.multiply(normal, normal, self._work)
            self._average_batch(self._work, variance)
            batch = x.shape[-2]
            if weights is not None:
                self._follow_weighted(samples)
            elif batch > 1:
                self._follow(self._running_mean, mean, self.momentum)
                unbiased = batch / (batch - 1)
                self._follow(self._running_var, variance, self.momentum * unbiased)
        else:
            np.subtract(x, self._running_mean, normal)
            variance = self._running_var
        self._direct_inverse_deviation(variance, self._inverse)
        np.multiply(normal, self._inverse, normal)
        return self._direct_scaled()

    def _average_batch(self, rows: Array, out: Array) -> None:
        """Write the mean over the batch of `rows: (..., B, F)` into `out: (..., 1, F)`."""
        weighted = self._sample_weights is not None
        if self._blocks is None:
            self._multiply(self._share.mT if weighted else self._averages, rows, out)
        elif weighted:
            self.sum_batch(np.multiply(rows, self._share, self._out), out)
        else:
            sums = sum_products(self._no_columns, rows, self._blocks)
            np.copyto(out, np.divide(sums, rows.shape[-2], sums), "same_kind")

    def _weigh(self, weights: Array) -> tuple[Array, Array]:
        """Return each sample's share of the weight, `(..., B, 1)`, and the effective batch size."""
        share = fitting(self._shares, weights)
        zero, batch = constant(0, self.dtype), constant(weights.shape[-2], self.dtype)
        precise = None if self._blocks is None else np.float64  # many weights are summed one by one
        total = np.add.reduce(weights, axis=-2, dtype=precise, keepdims=True)
        present = np.add.reduce(
            np.not_equal(weights, zero, share), axis=-2, dtype=precise, keepdims=True
        )
        samples = np.maximum(total, present)
        nothing = np.equal(total, zero)  # all weights are zero: any finite output will do
        np.add(weights, nothing, share)
        np.divide(share, np.add(total, np.multiply(nothing, batch)), share)
        return share, samples

    def _follow_weighted(self, samples: Array) -> None:
        """Update the running statistics if the batch counts as several samples."""
        one = constant(1, self.dtype)
        several = np.greater(samples, one)
        momentum = np.multiply(several, constant(self.momentum, self.dtype))
        kept = np.subtract(one, momentum)
        # samples / (samples - 1), or any finite number for a single sample
        others = np.add(np.subtract(samples, several), np.equal(samples, constant(0, self.dtype)))
        unbiased = np.multiply(momentum, np.divide(samples, others))
        for running, of_batch, factor in (
            (self._running_mean, self._mean, momentum),
            (self._running_var, self._var, unbiased),
        ):
            np.multiply(running, kept, running)
            np.multiply(of_batch, factor, self._row)
            np.add(running, self._row, running)

    def _follow(self, running: Array, of_batch: Array, factor: float) -> None:
        """Update a running statistic: running <- (1 - momentum) running + factor * batch."""
        np.multiply(running, constant(1 - self.momentum, self.dtype), running)
        np.multiply(of_batch, constant(factor, self.dtype), self._row)
        np.add(running, self._row, running)

    def backward(self, delta: Array) -> Array | None:
        self._direct_parameter_gradients(delta)
        if not self.wants_input_delta:
            return None
        out, scale = self._input_delta, self._row
        np.multiply(self._gain, self._inverse, scale)
        if not self.training:
            return np.multiply(delta, scale, out)  # type: ignore[no-any-return]
        share = (
            constant(1 / delta.shape[-2], self.dtype)
            if self._sample_weights is None
            else self._share
        )
        work: Array = self._work
        # the two means are the gradients of the parameters, divided by B
        np.multiply(self._normal, self._grad_gain, out)
        np.add(out, self._grad_bias, out)
        np.multiply(out, share, out)
        np.subtract(delta, out, work)
        return np.multiply(work, scale, out)  # type: ignore[no-any-return]


class LayerNorm(_Normalization):
    """y = gain xhat + bias,  xhat = (x - mean) / sqrt(var + epsilon)  over the features

    With d = gain delta: dL/dx = (d - mean(d) - xhat mean(d xhat)) / sqrt(var + epsilon). Each
    sample is normalized separately, in the same way in training and predictions. Ba, Kiros and
    Hinton 2016, "Layer normalization".

    Parameters
    ----------
    features : int
        Number of columns of input and output, at least 2: a single number minus its mean is 0.
    epsilon : float, default 1e-5
        A small positive number that is added to the variance.

    Attributes
    ----------
    params.gain, params.bias : array (..., features)
        Gain and bias; initially 1 and 0.

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
        x = self._direct_start(x)
        normal = self._normal
        self._multiply(x, self._average, self._mean)
        np.subtract(x, self._mean, normal)
        np.multiply(normal, normal, self._work)
        self._multiply(self._work, self._average, self._var)
        self._direct_inverse_deviation(self._var, self._inverse)
        np.multiply(normal, self._inverse, normal)
        return self._direct_scaled()

    def backward(self, delta: Array) -> Array | None:
        self._direct_parameter_gradients(delta)
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
