"""Regression losses: squared errors (including the lecture's), absolute errors, quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, Shape, constant, fitting, sum_rows
from mlpgrad._core.checks import is_within
from mlpgrad.losses.base import Loss
from mlpgrad.losses.curvature import repeated


class HalfSquaredError(Loss):
    """l = 1/2 sum_k (z_k - zhat_k)^2;  dl/dz_k = z_k - zhat_k      (lecture, formula 2)

    It is summed over the outputs and averaged over the batch.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.HalfSquaredError()
    >>> float(loss.forward(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])))
    2.5
    >>> loss.backward()
    array([[1., 2.]])
    """

    repeatable = True

    leaves_noise_open = True

    def losses(self, prediction: Array, target: Array) -> Array:
        work: Array = self._work
        np.subtract(prediction, target, work)
        np.multiply(work, work, work)
        return sum_rows(work, self._half_ones, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out)

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        return repeated(1.0, prediction)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        halves = np.full(shape[-1], constant(0.5, dtype))
        return super().allocate(shape, dtype) | {"_half_ones": halves}

    def expected_targets(self, prediction: Array) -> Sequence[Array]:
        return [prediction]  # the second derivatives do not depend on the target


class MeanSquaredError(Loss):
    """l = 1/O sum_k (y_k - t_k)^2;  dl/dy_k = 2/O (y_k - t_k)

    It is averaged over outputs and batch, as in PyTorch's `MSELoss`. A network with this loss
    predicts the mean of the target.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.MeanSquaredError()
    >>> float(loss.forward(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0]])))
    2.5
    >>> loss.backward()
    array([[1., 2.]])
    """

    repeatable = True

    leaves_noise_open = True

    def losses(self, prediction: Array, target: Array) -> Array:
        work: Array = self._work
        np.subtract(prediction, target, work)
        np.multiply(work, work, work)
        return sum_rows(work, self._output_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out)
        np.multiply(out, self._double, out)

    def likelihood_scale(self, out_features: int) -> float:
        return 2 / out_features

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        return repeated(math.sqrt(2 / prediction.shape[-1]), prediction)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        kept = super().allocate(shape, dtype)
        return kept | {"_double": np.asarray(2 * kept["_per_output"])}

    def expected_targets(self, prediction: Array) -> Sequence[Array]:
        return [prediction]  # the second derivatives do not depend on the target


class MeanAbsoluteError(Loss):
    """l = 1/O sum_k |y_k - t_k|;  dl/dy_k = sign(y_k - t_k) / O

    It is averaged over outputs and batch, as in PyTorch's `L1Loss`. A network with this loss
    predicts the median of the target. The slope at y = t is 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.MeanAbsoluteError()
    >>> float(loss.forward(np.array([[1.0, -2.0]]), np.array([[0.0, 0.0]])))
    1.5
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    repeatable = True

    def losses(self, prediction: Array, target: Array) -> Array:
        work: Array = self._work
        np.subtract(prediction, target, work)
        np.sign(work.real, self._sign)  # sign of the real part, so that |y| = y sign(y) is analytic
        np.multiply(work, self._sign, work)
        return sum_rows(work, self._output_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.multiply(self._sign, self._per_output, out)

    def kink_signature(self, prediction: Array, target: Array) -> Array | None:
        return np.sign(prediction.real - target.real).astype(np.int8)  # type: ignore[no-any-return]

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        return super().allocate(shape, dtype) | {"_sign": np.empty(shape, dtype)}


class Huber(Loss):
    """l = 1/O sum_k h(y_k - t_k),  h(d) = d^2/2 up to |d| = delta, then delta (|d| - delta/2)

    dl/dy_k = clip(y_k - t_k, -delta, delta) / O. It is averaged over outputs and batch, as in
    PyTorch's `HuberLoss`. Huber 1964, "Robust estimation of a location parameter".

    Parameters
    ----------
    delta : float, default 1.0
        The threshold above which errors are penalized linearly; positive, in the unit of the
        target (with `target_scaling`, in units of its standard deviation).

    Raises
    ------
    ValueError
        If `delta` is not positive.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.Huber()
    >>> float(loss.forward(np.array([[1.0, -2.0]]), np.array([[0.0, 0.0]])))
    1.0
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    repeatable = True

    def __init__(self, delta: float = 1.0) -> None:
        if not is_within(delta, 0, open_below=True):
            raise ValueError(f"Huber expects delta > 0, got {shown(delta)}; 1 is usual")
        self.delta = delta

    def losses(self, prediction: Array, target: Array) -> Array:
        work, clipped, half = self._work, self._clipped, self._half
        np.subtract(prediction, target, work)
        np.minimum(work, constant(self.delta, work.dtype), out=clipped)
        np.maximum(clipped, constant(-self.delta, work.dtype), out=clipped)
        # clipped (d - clipped / 2): both branches in one
        np.multiply(clipped, constant(0.5, work.dtype), half)
        np.subtract(work, half, work)
        np.multiply(work, clipped, work)
        return sum_rows(work, self._output_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.multiply(self._clipped, self._per_output, out)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        buffers = {"_clipped": np.empty(shape, dtype), "_half": np.empty(shape, dtype)}
        return super().allocate(shape, dtype) | buffers


class Quantile(Loss):
    """l = 1/O sum_k max(q d_k, (q - 1) d_k),  d = t - y;  dl/dy_k = ([d_k < 0] - q) / O

    The pinball loss: a network with this loss predicts the quantile q of the target. It is
    averaged over outputs and batch. Koenker and Bassett 1978, "Regression quantiles".

    Parameters
    ----------
    levels : float or sequence of float, default 0.5
        The quantiles q, each between 0 and 1. With L levels the network has L outputs for each
        target: all levels of the first target, then all of the second.

    Raises
    ------
    ValueError
        If a level is not in (0, 1), or no level is given.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.Quantile([0.1, 0.9])
    >>> loss.target_features(2)
    1
    >>> float(loss.forward(np.array([[0.0, 4.0]]), np.array([[2.0]])).round(12))
    0.2
    """

    repeatable = True

    def __init__(self, levels: float | Sequence[float] = 0.5) -> None:
        values = np.atleast_1d(np.asarray(levels, object))
        inside = [is_within(level, 0, 1, open_below=True) for level in values.ravel()]
        if values.ndim != 1 or not inside or not all(inside):
            raise ValueError(
                f"Quantile expects levels between 0 and 1, got {shown(levels)}; 0.5 is the median"
            )
        self.levels = tuple(levels) if isinstance(levels, list) else levels

    def losses(self, prediction: Array, target: Array) -> Array:
        work, slopes, columns = self._work, self._slopes, self._columns
        if len(columns) > target.shape[-1]:
            if target.dtype != work.dtype:  # take does not convert
                target = target.astype(work.dtype)
            target = target.take(columns, -1, fitting(self._repeated, target), "clip")
        np.subtract(prediction, target, work)
        np.greater(work.real, constant(0, work.real.dtype), slopes)
        np.subtract(slopes, self._quantiles, slopes)
        np.multiply(work, slopes, work)
        return sum_rows(work, self._output_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.multiply(self._slopes, self._per_output, out)

    def target_features(self, out_features: int) -> int:
        levels = np.size(self.levels)
        if out_features % levels:
            raise ValueError(
                f"{self!r} expects {levels} outputs for each target, got {out_features} outputs; "
                f"change the last layer"
            )
        return out_features // levels

    def numbers(self, prediction: Array) -> Array:
        """Return the median, or the only level; TypeError if several levels lack the median."""
        levels = np.atleast_1d(np.asarray(self.levels, np.float64))
        if len(levels) == 1:
            return prediction
        if 0.5 not in levels:
            raise TypeError(f"{self!r} does not predict the median; add the level 0.5")
        return prediction[..., list(levels).index(0.5) :: len(levels)]

    @property
    def predicts_centre(self) -> bool:
        return 0.5 in np.atleast_1d(np.asarray(self.levels, np.float64))

    def predicted_interval(self, prediction: Array, level: float) -> tuple[Array, Array]:
        """Return the outputs of the levels (1 - level) / 2 and (1 + level) / 2, in order.

        Raises
        ------
        ValueError
            If these are not levels of the loss.
        """
        levels = np.atleast_1d(np.asarray(self.levels, np.float64))
        tails = (1 - level) / 2, (1 + level) / 2
        if not all(_holds(levels, tail) for tail in tails):
            known = [f"{2 * q - 1:.6g}" for q in levels if q > 0.5 and _holds(levels, 1 - q)]
            fits = f"interval={' or '.join(known)} fits" if known else "no interval fits"
            raise ValueError(
                f"interval={level:g} expects the levels {tails[0]:.6g} and {tails[1]:.6g}, got "
                f"{self!r}, of which {fits}; train with Quantile([{tails[0]:.6g}, 0.5, "
                f"{tails[1]:.6g}])"
            )
        places = [int(np.abs(levels - tail).argmin()) for tail in tails]
        bounds = [prediction[..., place :: len(levels)] for place in places]
        return np.minimum(*bounds), np.maximum(*bounds)

    def rescaled(self, prediction: Array, mean: Array, deviation: Array) -> Array:
        levels = np.size(self.levels)
        return np.asarray(prediction * deviation.repeat(levels, -1) + mean.repeat(levels, -1))

    def kink_signature(self, prediction: Array, target: Array) -> Array | None:
        target = target.repeat(np.size(self.levels), axis=-1)
        return np.sign(prediction.real - target.real).astype(np.int8)  # type: ignore[no-any-return]

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        levels = np.atleast_1d(np.asarray(self.levels, np.float64)).astype(dtype)
        targets = self.target_features(shape[-1])
        return super().allocate(shape, dtype) | {
            "_slopes": np.empty(shape, dtype),
            "_repeated": np.empty(shape, dtype),
            "_quantiles": np.tile(levels, targets),
            "_columns": np.arange(targets).repeat(len(levels)),
        }

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        prediction = np.linspace(-1.3, 1.7, 12).reshape(4, 3)
        return cls([0.1, 0.5, 0.8]), prediction, np.cos(3 * prediction[:, :1])


def _holds(levels: Array, level: float) -> bool:
    """Return whether a level is among others, up to rounding."""
    return bool(np.isclose(levels, level, rtol=0, atol=1e-9).any())
