"""Metrics of regression: absolute, squared and relative errors, and the explained variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array, weighted
from mlpgrad.metrics.base import Metric, weighted_mean
from mlpgrad.metrics.outputs import compared_numbers

if TYPE_CHECKING:
    from mlpgrad.losses.base import Loss

EPSILON = float(np.finfo(np.float64).eps)


class MeanAbsolute(Metric):
    """mean |y - t|, over samples and outputs

    It corresponds to scikit-learn's `mean_absolute_error`.

    Raises
    ------
    TypeError
        If the loss predicts classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError())
    >>> x = np.array([[1.0], [2.0]])
    >>> model.evaluate(x, [0.0, 4.0], metrics=[mg.MeanAbsolute()])["mean_absolute_error"]
    1.5
    """

    name = "mean_absolute_error"
    larger_is_better = False

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        numbers, target = compared_numbers(self, prediction, target, loss)
        return np.asarray(np.abs(numbers - target).mean(axis=-1))


class RootMeanSquared(Metric):
    """sqrt(mean (y - t)^2), the mean over samples and outputs

    With several outputs it is the root of the overall mean, whereas scikit-learn's
    `root_mean_squared_error` is the mean of the roots of each output.

    Raises
    ------
    TypeError
        If the loss predicts classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.MeanAbsoluteError())
    >>> x = np.array([[1.0], [1.0]])
    >>> model.evaluate(x, [2.0, 8.0], metrics=[mg.RootMeanSquared()])["root_mean_squared_error"]
    5.0
    """

    name = "root_mean_squared_error"
    larger_is_better = False

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        numbers, target = compared_numbers(self, prediction, target, loss)
        return np.asarray(np.square(numbers - target).mean(axis=-1))

    def finish(self, means: Any) -> Any:
        return np.sqrt(means)


class MeanAbsolutePercentageError(Metric):
    """mean |y - t| / max(|t|, 2.2e-16), over samples and outputs; 1 means 100 %

    It is large if a target is close to zero, as in scikit-learn's `mean_absolute_percentage_error`.

    Raises
    ------
    TypeError
        If the loss predicts classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError())
    >>> x = np.array([[1.0], [2.0]])
    >>> found = model.evaluate(x, [2.0, 4.0], metrics=[mg.MeanAbsolutePercentageError()])
    >>> found["mean_absolute_percentage_error"]
    0.5
    """

    name = "mean_absolute_percentage_error"
    larger_is_better = False

    def values(self, prediction: Array, target: Array, loss: Loss) -> Array:
        numbers, target = compared_numbers(self, prediction, target, loss)
        sizes = np.maximum(np.abs(target), EPSILON)
        return np.asarray((np.abs(numbers - target) / sizes).mean(axis=-1))


class R2(Metric):
    """1 - sum (y - t)^2 / sum (t - mean t)^2, averaged over outputs: the explained variance

    A value of 1 is perfect, and 0 is as good as predicting the mean of the targets, taken over all
    samples in all batches. For an output whose targets are all equal, the value is 1 if they are
    predicted exactly, else 0, as in scikit-learn's `r2_score`. The variance is accurate even far
    from zero: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance". Where
    squares leave the range of float64, the value is NaN or infinite: the largest of the errors, and
    of the deviations from the mean, has to be between 1e-154 and 1e154, or 0.

    Raises
    ------
    TypeError
        If the loss predicts classes.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError())
    >>> x = np.array([[1.0], [2.0], [4.0]])
    >>> round(model.evaluate(x, [1.0, 2.0, 3.0], metrics=[mg.R2()])["r2"], 4)
    0.5
    """

    name = "r2"
    larger_is_better = True

    def start(self) -> _Variances:
        return _Variances(self)


class _Variances:
    """For each output: the mean of the targets, and sums of squares around it and of errors.

    Targets are taken relative to the first one that counts, `origin`, so that a common offset does
    not cost digits. Whether they are all equal, and all predicted exactly, is known apart from the
    sums, since rounding may leave a sum that should be 0, and the square of a small number is 0.
    """

    def __init__(self, metric: R2) -> None:
        self.metric = metric
        self.origin: Any = 0.0
        self.weight: Any = np.zeros(1)
        self.mean: Any = 0.0
        self.spread: Any = 0.0
        self.residual: Any = 0.0
        self.least: Any = np.inf
        self.most: Any = -np.inf
        self.exact: Any = True

    def add(self, prediction: Array, target: Array, weights: Array | None, loss: Loss) -> None:
        numbers, target = compared_numbers(self.metric, prediction, target, loss)
        w = np.ones((target.shape[-2], 1)) if weights is None else weights.astype(np.float64)
        self._add_errors(numbers - target, w)
        t, counts = self._relative(target, w)
        weight = w.sum(axis=-2)
        mean = weighted_mean((w * t).sum(axis=-2), weight)
        self._merge(weight, mean, weighted(np.square(t - mean[..., None, :]), w).sum(axis=-2))
        self.least = np.minimum(self.least, t.min(axis=-2, where=counts, initial=np.inf))
        self.most = np.maximum(self.most, t.max(axis=-2, where=counts, initial=-np.inf))

    def _relative(self, target: Array, w: Array) -> tuple[Array, Array]:
        """Return the targets relative to `origin`, 0 in rows of weight 0, and which rows count."""
        target, counts = np.broadcast_arrays(target, w != 0)
        first = np.take_along_axis(target, counts.argmax(axis=-2)[..., None, :], axis=-2)
        self.origin = np.where(self.weight[..., None, :] > 0, self.origin, first)
        t = np.zeros(target.shape)
        return np.subtract(target, self.origin, out=t, where=counts), counts

    def _add_errors(self, errors: Array, w: Array) -> None:
        self.exact = self.exact & ~((w != 0) & (errors != 0)).any(axis=-2)
        self.residual = self.residual + weighted(np.square(errors), w).sum(axis=-2)

    def _merge(self, weight: Array, mean: Array, spread: Array) -> None:
        """Combine two sets of samples, as in Chan, Golub and LeVeque."""
        total = self.weight + weight
        share = weighted_mean(weight, total)
        step = mean - self.mean
        self.spread = self.spread + spread + np.square(step) * self.weight * share
        self.mean = self.mean + step * share
        self.weight = total

    def result(self) -> Any:
        varies = self.least < self.most
        share = self.residual / np.where(varies, self.spread, 1.0)
        return np.where(varies, 1 - share, self.exact).mean(axis=-1)
