"""Binary losses: the cross-entropy on logits and on probabilities, and the hinge loss."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array, Shape, constant, fitting, sum_rows
from mlpgrad._core.checks import first_row
from mlpgrad.losses.base import Loss, check_smoothing
from mlpgrad.losses.curvature import diagonal
from mlpgrad.losses.labels import advice_for_two
from mlpgrad.losses.meaning import log_expected, log_mean_exp


class _BinaryLoss(Loss):
    """Each output is a separate binary decision: targets in [0, 1], a column for each output."""

    classifies = True

    def check_target(self, y: Array, out_features: int) -> Array:
        y = super().check_target(y, out_features)
        where = first_row(y, lambda rows: (rows.real < 0) | (rows.real > 1))
        if where is not None:
            raise ValueError(
                f"{type(self).__name__} expects targets from 0 to 1, got {y[where]} in row "
                f"{where[-2]} of y; {advice_for_two(y, probabilities=self.expects_probabilities)}"
            )
        return y

    def true_classes(self, target: Array) -> Array:
        return _decided(target.real > 0.5)

    def expected_targets(self, prediction: Array) -> Sequence[Array]:
        return [self.probabilities(prediction)]  # second derivatives are linear in the target

    def log_density(self, prediction: Array, target: Array, variance: Array | None) -> Array:
        """t log p + (1 - t) log(1 - p), summed over the outputs."""
        yes, no = self.log_probabilities(prediction)
        return np.asarray((target * yes + (1 - target) * no).sum(axis=-1))

    def log_probabilities(self, prediction: Array) -> tuple[Array, Array]:
        """log p and log(1 - p) for each output."""
        raise NotImplementedError


class _SigmoidLoss(_BinaryLoss):
    """Outputs are logits: sigmoid(z) is the probability of class 1."""

    expects_logits = True

    def probabilities(self, prediction: Array) -> Array:
        return 0.5 * np.tanh(0.5 * prediction) + 0.5

    def log_probabilities(self, prediction: Array) -> tuple[Array, Array]:
        zero = np.zeros((), prediction.dtype)
        return -np.logaddexp(zero, -prediction), -np.logaddexp(zero, prediction)

    def averaged(self, predictions: Array) -> Array:
        """Return the logit of the mean probability."""
        yes, no = map(log_mean_exp, self.log_probabilities(predictions))
        return np.asarray(yes - no)

    def moderated(self, prediction: Array, covariance: Array) -> Array:
        """Return the logits of E[sigmoid(z + s e)], with e ~ N(0, 1) and s^2 = var z."""
        from scipy.special import expit

        root = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))[..., None]
        yes, no = (log_expected(expit, sign * prediction, root) for sign in (1, -1))
        return yes - no

    def classes(self, prediction: Array) -> Array:
        """Return 0 or 1: `(..., B)` for one output, `(..., B, O)` for several labels."""
        return _decided(prediction.real > 0)

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        return cls(), np.linspace(-1.3, 1.7, 12).reshape(4, 3), np.arange(12).reshape(4, 3) % 2


class SigmoidCrossEntropy(_SigmoidLoss):
    """l = 1/O sum_k (log(1 + e^z_k) - t_k z_k);  dl/dz_k = (sigmoid(z_k) - t_k) / O

    Binary cross-entropy of targets with sigmoid(z), on logits z: the network does not end with a
    Sigmoid. It is averaged over outputs and batch, as in PyTorch's `BCEWithLogitsLoss`. Several
    outputs are separate labels. Logits may have any size, and small losses and slopes of confident
    predictions are accurate to all digits.

    Parameters
    ----------
    label_smoothing : float, default 0.0
        The fraction s by which targets are moved towards 1/2, at least 0 and below 1: t <- t (1 -
        s) + s/2. Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision",
        section 7.

    Raises
    ------
    ValueError
        If `label_smoothing` is not in [0, 1).

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.SigmoidCrossEntropy()
    >>> float(loss.forward(np.array([[-1e4]]), np.array([[1.0]])))
    10000.0
    >>> loss.backward()
    array([[-1.]])
    """

    repeatable = True

    def __init__(self, label_smoothing: float = 0.0) -> None:
        check_smoothing(self, label_smoothing)
        self.label_smoothing = label_smoothing

    def losses(self, prediction: Array, target: Array) -> Array:
        # log(1 + e^z) - t z = (h - t) z + log1p(e^-|z|), with h = 1 where z > 0 and else 0: no
        # overflow, and for a correct prediction h - t is exactly 0
        work, small, sign, rest = self._work, self._small, self._sign, self._rest
        half = constant(0.5, rest.dtype)
        np.copysign(constant(1, sign.real.dtype), prediction.real, sign.real)
        np.multiply(prediction, sign, small)
        np.exp(np.negative(small, small), small)
        np.multiply(sign, half, rest)
        np.add(rest, half, rest)
        np.subtract(rest, self._smooth(target), rest)
        np.multiply(rest, prediction, work)
        np.add(work, np.log1p(small, self._log), work)
        return sum_rows(work, self._output_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        # sigmoid(z) - t = (h - t) - s sign, with s = sigmoid(-|z|) = e / (1 + e) and e =
        # e^-|z|: the small slope of a correct prediction is accurate to all digits
        small, work = self._small, self._work
        np.divide(small, np.add(small, constant(1, out.dtype), work), work)
        np.multiply(work, self._sign, work)
        np.subtract(self._rest, work, out)
        if out.shape[-1] > 1:
            np.multiply(out, self._per_output, out)

    def _smooth(self, target: Array) -> Array:
        if not self.label_smoothing:
            return target
        smoothed = fitting(self._labels, target)
        np.multiply(target, constant(1 - self.label_smoothing, target.dtype), smoothed)
        return np.add(smoothed, constant(self.label_smoothing / 2, target.dtype), smoothed)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        return super().allocate(shape, dtype) | {
            "_small": np.empty(shape, dtype),
            "_log": np.empty(shape, dtype),
            "_rest": np.empty(shape, dtype),
            "_sign": np.zeros(shape, dtype),  # real, also where predictions are complex
            "_labels": np.empty(shape, dtype),
        }

    def likelihood_scale(self, out_features: int) -> float:
        return 1 / out_features

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        """sqrt(p (1 - p) / O) for each output: 1 / (2 cosh(z/2)) keeps its digits in the tails."""
        cosh = np.cosh(0.5 * np.clip(prediction, -1400, 1400))
        return diagonal(0.5 / (cosh * np.sqrt(prediction.shape[-1])))


class BinaryCrossEntropy(_BinaryLoss):
    """l = -1/O sum_k (t_k log p_k + (1 - t_k) log(1 - p_k));  dl/dp = (p - t) / (O p (1 - p))

    Binary cross-entropy on probabilities, for instance of a Sigmoid layer; `SigmoidCrossEntropy`
    on logits is faster, and accurate where a Sigmoid saturates. It is averaged over outputs and
    batch, as in PyTorch's `BCELoss`. Good 1952, "Rational decisions". p and 1 - p are bounded from
    below by the smallest normal number of the dtype (1e-38 in float32).

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.BinaryCrossEntropy()
    >>> float(loss.forward(np.array([[0.25]]), np.array([[1.0]])).round(4))
    1.3863
    >>> loss.backward()
    array([[-4.]])
    """

    repeatable = True

    expects_probabilities = True

    def losses(self, prediction: Array, target: Array) -> Array:
        work, yes, no, lost = self._work, self._yes, self._no, self._lost
        one = constant(1, work.dtype)
        np.maximum(prediction, self._floor, out=yes)
        np.subtract(one, prediction, no)
        np.add(np.subtract(no, one, lost), prediction, lost)  # by rounding: 1 - p is no - lost
        np.maximum(no, self._floor, out=no)
        np.log(yes, work)
        np.multiply(work, target, work)
        sum_rows(work, self._output_weights, self._losses)
        # log(1 - p) = log(no - lost) is accurate for small p, and ten times as fast as log1p
        np.subtract(np.log(no, work), np.divide(lost, no, lost), work)
        np.multiply(work, np.subtract(one, target, fitting(self._rest, target)), work)
        sum_rows(work, self._output_weights, self._others)
        losses = np.add(self._losses, self._others, self._losses)
        return np.negative(losses, losses)  # type: ignore[no-any-return]

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(prediction, target, out)
        np.divide(out, self._yes, out)
        np.divide(out, self._no, out)
        np.multiply(out, self._per_output, out)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        buffers = {name: np.empty(shape, dtype) for name in ("_yes", "_no", "_lost", "_rest")}
        buffers |= {"_others": np.empty(shape[:-1], dtype)}
        floor = np.asarray(np.finfo(dtype).tiny, dtype)
        return {**super().allocate(shape, dtype), **buffers, "_floor": floor}

    def probabilities(self, prediction: Array) -> Array:
        return prediction

    def log_probabilities(self, prediction: Array) -> tuple[Array, Array]:
        floor = np.finfo(prediction.dtype).tiny
        return np.log(np.maximum(prediction, floor)), np.log(np.maximum(1 - prediction, floor))

    def classes(self, prediction: Array) -> Array:
        """Return 0 or 1: `(..., B)` for one output, `(..., B, O)` for several labels."""
        return _decided(prediction.real > 0.5)

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        return cls(), np.linspace(0.1, 0.9, 12).reshape(4, 3), np.arange(12).reshape(4, 3) % 2


class Hinge(Loss):
    """l = 1/O sum_k max(0, 1 - t_k z_k),  t = +-1;  dl/dz_k = -t_k [t_k z_k < 1] / O

    The margin loss of support vector machines. Targets are -1 and 1, or 0 and 1; the predicted
    class is 1 where z > 0. It is averaged over outputs and batch. The slope at t z = 1 is 0.
    Cortes and Vapnik 1995, "Support-vector networks".

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.Hinge()
    >>> float(loss.forward(np.array([[0.5], [3.0]]), np.array([[1.0], [1.0]])))
    0.25
    >>> loss.backward()
    array([[-0.5],
           [-0. ]])
    """

    repeatable = True

    classifies = True

    takes_signs = True

    def losses(self, prediction: Array, target: Array) -> Array:
        work, zero = self._work, constant(0, self._work.dtype)
        np.multiply(prediction, target, work)
        np.subtract(constant(1, work.dtype), work, work)
        np.greater(work, zero, self._inside)
        np.maximum(work, zero, out=work)
        return sum_rows(work, self._output_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.multiply(self._inside, self._minus_per_output, out)
        np.multiply(out, target, out)

    def check_target(self, y: Array, out_features: int) -> Array:
        y = super().check_target(y, out_features)
        other = first_row(y, lambda rows: (rows != 1) & (rows != -1) & (rows != 0))
        zero, minus = (first_row(y, functools.partial(np.equal, n)) for n in (0, -1))
        if other is not None or (zero is not None and minus is not None):
            got = np.unique(y)[:5]
            raise ValueError(
                f"Hinge expects targets -1 and 1, or 0 and 1, got values {got} in y; "
                f"{advice_for_two(y)}"
            )
        return y

    def cast(self, target: Array, dtype: np.dtype[Any]) -> Array:
        signs: Array = np.where(target == 1, dtype.type(1), dtype.type(-1))
        return signs

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        kept = super().allocate(shape, dtype)
        minus = np.asarray(-kept["_per_output"])
        return kept | {"_inside": np.empty(shape, dtype), "_minus_per_output": minus}

    def classes(self, prediction: Array) -> Array:
        """Return 0 or 1: `(..., B)` for one output, `(..., B, O)` for several labels."""
        return _decided(prediction.real > 0)

    def true_classes(self, target: Array) -> Array:
        return _decided(target.real > 0)

    def kink_signature(self, prediction: Array, target: Array) -> Array | None:
        return np.sign(1 - prediction.real * target.real).astype(np.int8)  # type: ignore[no-any-return]

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        return (
            cls(),
            np.linspace(-1.3, 1.7, 12).reshape(4, 3),
            2.0 * (np.arange(12).reshape(4, 3) % 2) - 1,
        )


def _decided(positive: Array) -> Array:
    """Return booleans `(..., B, O)` as classes 0 and 1, without the last axis if O is 1."""
    classes = positive.astype(np.intp)
    return classes[..., 0] if classes.shape[-1] == 1 else classes
