"""Losses for one of K classes: the cross-entropy on logits and on probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import (
    Array,
    Shape,
    fitting,
    maxima_buffers,
    ones,
    row_maxima,
    spread,
    spread_buffer,
    sum_rows,
)
from mlpgrad._core.checks import first_row
from mlpgrad.losses.base import Loss, check_smoothing
from mlpgrad.losses.curvature import multinomial_root
from mlpgrad.losses.labels import advice_for_rows, advice_for_several
from mlpgrad.losses.meaning import log_expected, log_mean_exp

TABLE_CLASSES = 256  # up to this, one-hot rows are taken from a K x K table

FEW_CLASSES = 32  # up to this, a product with a square of ones costs less than another call


class _CategoricalLoss(Loss):
    """Targets are one of K classes: indices `(..., B, 1)`, or probabilities `(..., B, K)`."""

    classifies = True
    label_smoothing = 0.0

    def check_target(self, y: Array, out_features: int) -> Array:
        if out_features < 2:
            raise ValueError(
                f"{type(self).__name__} expects a network with one output a class, at least 2, got "
                f"{out_features}; for two classes and one output use SigmoidCrossEntropy"
            )
        if y.shape[-1] == 1:
            return self._check_labels(y, out_features)
        y = super().check_target(y, out_features)
        where = first_row(
            y, lambda rows: (abs(rows.sum(axis=-1) - 1) > 1e-3) | (rows.real < 0).any(axis=-1)
        )
        if where is not None:
            raise ValueError(
                f"{type(self).__name__} expects rows of probabilities that sum to 1 (one-hot), got "
                f"{y[where]} in row {where[-1]} of y; {advice_for_rows(y)}"
            )
        return y

    def _check_labels(self, y: Array, classes: int) -> Array:
        def no_label(rows: Array) -> Array:
            fraction = rows != np.floor(rows.real)
            return fraction | (rows.real < 0) | (rows.real >= classes)  # type: ignore[no-any-return]

        where = first_row(y, no_label)
        if where is not None:
            raise ValueError(
                f"{type(self).__name__} expects class labels 0 to {classes - 1} for a network with "
                f"{classes} outputs, got {y[where]} in row {where[-2]} of y; "
                f"{advice_for_several(y, classes)}"
            )
        return y

    def cast(self, target: Array, dtype: np.dtype[Any]) -> Array:
        if target.shape[-1] == 1:
            return target.real.astype(np.intp, copy=False)
        return target.astype(dtype, copy=False)

    def converts_to(self, target: Array, dtype: np.dtype[Any]) -> np.dtype[Any] | None:
        if type(self).cast is not _CategoricalLoss.cast or target.dtype.kind == "c":
            return None
        return np.dtype(np.intp) if target.shape[-1] == 1 else dtype

    def rows(self, target: Array) -> Array:
        """Return the target as rows of (smoothed) probabilities, `(..., B, K)`, in a buffer."""
        labels = fitting(self._labels, target)
        if target.shape[-1] == 1:
            if self._table is not None:
                return self._table.take(target[..., 0], 0, labels, "clip")  # type: ignore[no-any-return]
            labels.fill(self._low)
            np.put_along_axis(labels, target, self._high, -1)
            return labels
        if not self.label_smoothing:
            return target
        np.multiply(target, self._high - self._low, labels)
        return np.add(labels, self._low, labels)  # type: ignore[no-any-return]

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        classes = shape[-1]
        smoothing = np.ones((), dtype) * self.label_smoothing
        low = np.asarray(smoothing / classes)
        high = np.asarray(1 - smoothing + low)
        table = None
        if classes <= TABLE_CLASSES:
            table = np.full((classes, classes), low)
            np.fill_diagonal(table, high)
        return super().allocate(shape, dtype) | {
            "_labels": np.empty(shape, dtype),
            "_table": table,
            "_low": low,
            "_high": high,
        }

    def classes(self, prediction: Array) -> Array:
        return prediction.real.argmax(axis=-1)  # type: ignore[no-any-return]

    def log_density(self, prediction: Array, target: Array, variance: Array | None) -> Array:
        """sum_k t_k log p_k: the log probability of the class, without smoothing."""
        logarithms = self.log_probabilities(prediction)
        if target.shape[-1] > 1:
            return np.asarray((target * logarithms).sum(axis=-1))
        target = np.broadcast_to(target, (*logarithms.shape[:-1], 1))
        return np.take_along_axis(logarithms, target, axis=-1)[..., 0]

    def log_probabilities(self, prediction: Array) -> Array:
        """log p of each class."""
        raise NotImplementedError

    def true_classes(self, target: Array) -> Array:
        if target.shape[-1] == 1:
            return target[..., 0].real.astype(np.intp, copy=False)
        return target.real.argmax(axis=-1)  # type: ignore[no-any-return]

    def expected_targets(self, prediction: Array) -> Sequence[Array]:
        return [self.probabilities(prediction)]  # second derivatives are linear in the target


class _SoftmaxLoss(_CategoricalLoss):
    """Outputs are logits: softmax(z) gives the probabilities."""

    expects_logits = True

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        rest = np.empty(shape[:-1], dtype)
        return super().allocate(shape, dtype) | {
            **maxima_buffers(shape),
            "_top": np.empty((*shape[:-1], 1), dtype),
            "_spread": spread_buffer(shape, dtype),
            "_shifted": np.empty(shape, dtype),
            "_exponentials": np.empty(shape, dtype),
            "_rest": rest,
            "_rest_column": rest[..., None],
            "_log_total": np.empty(shape[:-1], dtype),
            "_one_hot": np.empty(shape, dtype),
            "_identity": np.eye(shape[-1], dtype=dtype) if shape[-1] <= TABLE_CLASSES else None,
        }

    def _top_rows(self, shifted: Array) -> Array:
        """Return rows with 1 at the largest logit; probabilities may not sum to exactly 1."""
        rows: Array = self._one_hot
        shifted.argmax(-1, self._places, keepdims=True)
        if self._identity is not None:
            return self._identity.take(self._places[..., 0], 0, rows, "clip")  # type: ignore[no-any-return]
        rows.fill(0)
        np.put_along_axis(rows, self._places, 1, -1)
        return rows

    def probabilities(self, prediction: Array) -> Array:
        exponentials = np.exp(prediction - prediction.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]

    def log_probabilities(self, prediction: Array) -> Array:
        return np.asarray(prediction - np.logaddexp.reduce(prediction, axis=-1, keepdims=True))

    def averaged(self, predictions: Array) -> Array:
        """Return the logarithm of the mean probabilities."""
        return np.asarray(log_mean_exp(self.log_probabilities(predictions)), predictions.dtype)

    def moderated(self, prediction: Array, covariance: Array) -> Array:
        """Return log E[softmax(z + R e)], with e ~ N(0, I) and R R^T = cov z."""
        finite = np.isfinite(covariance).all(axis=(-2, -1), keepdims=True)
        apart = np.where(finite, covariance, 0)
        for axis in (-2, -1):  # a softmax does not depend on what is common to the logits
            apart = apart - apart.mean(axis=axis, keepdims=True)
        variances, vectors = np.linalg.eigh(apart)
        root = vectors * np.sqrt(np.maximum(variances, 0))[..., None, :]
        largest_first = np.where(finite, root, np.nan)[..., ::-1]
        return log_expected(self.probabilities, prediction, largest_first)

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        return cls(), np.linspace(-1.3, 1.7, 12).reshape(4, 3), np.array([[0], [2], [1], [2]])


class SoftmaxCrossEntropy(_SoftmaxLoss):
    """l = log sum_k e^z_k - sum_k t_k z_k;  dl/dz = softmax(z) - t

    Cross-entropy of the classes with softmax(z), on logits z: the network does not end with a
    Softmax. It is summed over the classes and averaged over the batch, as in PyTorch's
    `CrossEntropyLoss`. Bridle 1990, "Probabilistic interpretation of feedforward classification
    network outputs".

    The largest logit of a row is subtracted first, so logits may have any size, as long as those
    of a row differ by less than the largest number of the dtype. The small loss of a confident
    prediction is accurate up to the rounding of the differences of logits; its slopes have an
    absolute error of the order of the machine precision.

    Targets are class indices `(B,)`, one-hot rows or rows of probabilities `(B, K)`.

    Parameters
    ----------
    label_smoothing : float, default 0.0
        The fraction of each target that is spread evenly over the classes, at least 0 and below 1.
        Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section
        7.

    Raises
    ------
    ValueError
        If `label_smoothing` is not in [0, 1).

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.SoftmaxCrossEntropy()
    >>> float(loss.forward(np.array([[0.0, 1e4]]), np.array([[1]])))
    0.0
    >>> float(loss.forward(np.array([[0.0, 0.0]]), np.array([[1]])).round(4))
    0.6931
    >>> loss.backward()
    array([[ 0.5, -0.5]])
    """

    repeatable = True

    def __init__(self, label_smoothing: float = 0.0) -> None:
        check_smoothing(self, label_smoothing)
        self.label_smoothing = label_smoothing

    def losses(self, prediction: Array, target: Array) -> Array:
        # log sum_k e^(z_k - top) = log1p(sum_k (e^(z_k - top) - t_k)): the 1 of a confident
        # prediction is subtracted before it can absorb the small terms
        shifted, exponentials, work = self._shifted, self._exponentials, self._work
        losses: Array = self._losses
        row_maxima(prediction, self._starts, self._places, self._top)
        np.subtract(prediction, spread(self._top, self._spread), shifted)
        np.exp(shifted, exponentials)
        self._target_rows = target_rows = self._direct_rows(target)
        labels = target.dtype.kind == "i"
        np.subtract(exponentials, target_rows if labels else self._top_rows(shifted), work)
        sum_rows(work, self._ones, self._rest)
        np.vecdot(target_rows, shifted, losses)
        np.log1p(self._rest, self._log_total)
        return np.subtract(self._log_total, losses, losses)  # type: ignore[no-any-return]

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        total: Array = self._total
        if self._square is not None:
            self._flat_exponentials.dot(self._square, self._flat_total)
        else:
            sum_rows(self._exponentials, self._ones, self._rest)
            total = spread(self._rest_column, self._spread)
        np.divide(self._exponentials, total, out)
        np.subtract(out, self._target_rows, out)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        kept = super().allocate(shape, dtype)
        classes, total = shape[-1], np.empty(shape, dtype)
        few = classes <= FEW_CLASSES
        return kept | {
            "_total": total,
            # a product with a square of ones sums rows and repeats the sums in one call
            "_square": ones((classes, classes), dtype) if few else None,
            "_flat_exponentials": kept["_exponentials"].reshape(-1, classes),
            "_flat_total": total.reshape(-1, classes),
        }

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        return multinomial_root(self.probabilities(prediction))


class CrossEntropy(_CategoricalLoss):
    """l = -sum_k t_k log p_k;  dl/dp_k = -t_k / p_k

    Cross-entropy on probabilities, for instance of a Softmax layer; `SoftmaxCrossEntropy` on
    logits is faster, and accurate where a Softmax saturates. It is summed over the classes and
    averaged over the batch. Good 1952, "Rational decisions". Probabilities are bounded from below
    by the smallest normal number of the dtype (1e-38 in float32).

    Targets are class indices `(B,)`, one-hot rows or rows of probabilities `(B, K)`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.CrossEntropy()
    >>> float(loss.forward(np.array([[0.75, 0.25]]), np.array([[1]])).round(4))
    1.3863
    >>> loss.backward()
    array([[-0., -4.]])
    """

    repeatable = True

    expects_probabilities = True

    def losses(self, prediction: Array, target: Array) -> Array:
        work: Array = self._work
        self._target_rows = target_rows = self._direct_rows(target)
        np.maximum(prediction, self._floor, out=self._probabilities)
        np.log(self._probabilities, work)
        np.multiply(work, target_rows, work)
        return sum_rows(work, self._minus_ones, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.divide(self._target_rows, self._probabilities, out)
        np.negative(out, out)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        return super().allocate(shape, dtype) | {
            "_floor": np.asarray(np.finfo(dtype).tiny, dtype),
            "_probabilities": np.empty(shape, dtype),
            "_minus_ones": -ones(shape[-1:], dtype),
        }

    def probabilities(self, prediction: Array) -> Array:
        return prediction

    def log_probabilities(self, prediction: Array) -> Array:
        return np.asarray(np.log(np.maximum(prediction, np.finfo(prediction.dtype).tiny)))

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        prediction = np.linspace(0.1, 0.9, 12).reshape(4, 3)
        return cls(), prediction, np.array([[0], [2], [1], [2]])
