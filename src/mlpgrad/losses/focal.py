"""Focal losses: cross-entropies in which confident correct predictions have little weight."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import (
    Array,
    Shape,
    constant,
    fitting,
    row_maxima,
    spread,
    sum_rows,
)
from mlpgrad._core.checks import is_within
from mlpgrad.losses.base import Loss
from mlpgrad.losses.binary import _SigmoidLoss
from mlpgrad.losses.categorical import _SoftmaxLoss


class SigmoidFocal(_SigmoidLoss):
    """l = -1/O sum_k (a t_k (1 - p_k)^g log p_k + (1 - a) (1 - t_k) p_k^g log(1 - p_k))

    Here p = sigmoid(z), on logits z: the network does not end with a Sigmoid. For t = 1 the slope
    dl/dz is a (1 - p)^g (g p log p - (1 - p)) / O. The cross-entropy of each output is multiplied
    by the g-th power of the predicted probability of the wrong class, so that the many easy
    samples of an imbalanced data set do not dominate the few hard ones. Lin et al. 2017, "Focal
    loss for dense object detection", equations 4 and 5.

    It is averaged over outputs and batch, as torchvision's `sigmoid_focal_loss` with reduction
    "mean". Several outputs are separate labels. A target between 0 and 1 gives the weighted mean
    of the losses for both classes. The network learns to rank the samples; its probabilities are
    biased towards 1/2.

    Logits may have any size, and small losses and slopes of confident predictions are accurate;
    the power g adds about g units of the precision to the rounding error.

    Parameters
    ----------
    focus : float, default 2.0
        The power g, not negative. 0 gives the cross-entropy, `SigmoidCrossEntropy`.
    balance : float, default None
        The weight a of class 1, between 0 and 1; that of class 0 is 1 - a. The paper uses 0.25
        with a focus of 2. By default both have the weight 1. For a single output, `class_weight`
        of `fit` also weights classes, and does not change the validation figures.

    Raises
    ------
    ValueError
        If `focus` is negative, or `balance` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> z, target = np.array([[3.0], [-3.0]]), np.array([[1.0], [1.0]])
    >>> for loss in mg.SigmoidCrossEntropy(), mg.SigmoidFocal():  # an easy sample, a hard one
    ...     print([float(loss.forward(z[i:i + 1], target[i:i + 1]).round(5)) for i in (0, 1)])
    [0.04859, 3.04859]
    [0.00011, 2.76628]
    """

    repeatable = True

    expected_targets = Loss.expected_targets  # it is not a negative log likelihood

    def __init__(self, focus: float = 2.0, balance: float | None = None) -> None:
        check_focus(self, focus)
        if balance is not None and not is_within(balance, 0, 1, open_below=True):
            raise ValueError(
                f"SigmoidFocal expects balance between 0 and 1, or None, got {shown(balance)}; "
                f"0.25 is usual"
            )
        self.focus, self.balance = focus, balance

    def losses(self, prediction: Array, target: Array) -> Array:
        # p = e^min(z, 0) / (1 + e^-|z|) and -log p = log1p(e^-|z|) - min(z, 0); 1 - p and its
        # logarithm are those of -z: each keeps all its digits, and nothing overflows
        work, total, yes, no = self._work, self._total, self._yes, self._no
        np.minimum(prediction, self._zero, out=self._yes_surprise)
        np.minimum(np.negative(prediction, work), self._zero, out=self._no_surprise)
        np.exp(self._yes_surprise, yes)
        np.exp(self._no_surprise, no)
        np.multiply(yes, no, work)  # one of them is 1
        np.add(work, constant(1, work.dtype), total)
        np.log1p(work, work)
        for p, surprise in ((yes, self._yes_surprise), (no, self._no_surprise)):
            np.divide(p, total, p)
            np.subtract(work, surprise, surprise)
        self._weigh_answers(target)
        np.multiply(self._yes_weight, self._yes_surprise, work)
        np.multiply(self._no_weight, self._no_surprise, total)
        np.add(work, total, work)
        return sum_rows(work, self._output_weights, self._losses)

    def _weigh_answers(self, target: Array) -> None:
        """Write a t (1 - p)^g and (1 - a) (1 - t) p^g."""
        one, share = constant(1, target.dtype), fitting(self._share, target)
        np.multiply(target, self._balance, share)
        raised(self._no, self.focus, self._yes_weight)
        np.multiply(self._yes_weight, share, self._yes_weight)
        np.subtract(one, target, share)
        np.multiply(share, self._counterbalance, share)
        raised(self._yes, self.focus, self._no_weight)
        np.multiply(self._no_weight, share, self._no_weight)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        # yes: -a t (1 - p)^g (g p (-log p) + 1 - p); no: the same of -z, with the other sign
        rest = self._total
        self._slope_of(self._no, self._yes, self._no_surprise, self._no_weight, out)
        self._slope_of(self._yes, self._no, self._yes_surprise, self._yes_weight, rest)
        np.subtract(out, rest, out)
        np.multiply(out, self._per_output, out)

    def _slope_of(self, p: Array, wrong: Array, surprise: Array, weight: Array, out: Array) -> None:
        """weight (g p surprise + 1 - p), with `wrong` = 1 - p."""
        np.multiply(p, surprise, out)
        np.multiply(out, self._focus, out)
        np.add(out, wrong, out)
        np.multiply(out, weight, out)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        names: tuple[str, ...] = ("_total", "_yes", "_no", "_yes_surprise", "_no_surprise")
        names += ("_yes_weight", "_no_weight", "_share")
        buffers = {name: np.empty(shape, dtype) for name in names}
        weights = (1, 1) if self.balance is None else (self.balance, 1 - self.balance)
        return {
            **super().allocate(shape, dtype),
            **buffers,
            "_zero": constant(0, dtype),
            "_focus": constant(self.focus, dtype),
            "_balance": constant(weights[0], dtype),
            "_counterbalance": constant(weights[1], dtype),
        }


class SoftmaxFocal(_SoftmaxLoss):
    """l = -sum_k t_k (1 - p_k)^g log p_k

    Here p = softmax(z), on logits z: the network does not end with a Softmax. The slopes are
    dl/dz_j = p_j sum_k t_k c_k - t_j c_j with c = (1 - p)^g (1 - g p log(p) / (1 - p)). The
    cross-entropy of each sample is multiplied by the g-th power of the predicted probability of
    the wrong classes, so that the many easy samples of an imbalanced data set do not dominate the
    few hard ones. Lin et al. 2017, "Focal loss for dense object detection", equation 4, for
    several classes. It is summed over the classes and averaged over the batch.

    Logits may have any size, as long as those of a row differ by less than the largest number of
    the dtype. Small losses and slopes of confident predictions are accurate up to the power g of
    the rounding of the differences of logits. Targets are class indices `(B,)`, one-hot rows or
    rows of probabilities `(B, K)`, which give the weighted mean of the classes' losses. The
    network's probabilities are biased towards equal ones. To weight classes, use `class_weight` of
    `fit`.

    Parameters
    ----------
    focus : float, default 2.0
        The power g, not negative. 0 gives the cross-entropy, `SoftmaxCrossEntropy`.

    Raises
    ------
    ValueError
        If `focus` is negative.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> z, target = np.array([[0.0, 3.0], [0.0, -3.0]]), np.array([[1], [1]])
    >>> for loss in mg.SoftmaxCrossEntropy(), mg.SoftmaxFocal():  # an easy sample, a hard one
    ...     print([float(loss.forward(z[i:i + 1], target[i:i + 1]).round(5)) for i in (0, 1)])
    [0.04859, 3.04859]
    [0.00011, 2.76628]
    """

    repeatable = True

    expected_targets = Loss.expected_targets  # it is not a negative log likelihood

    def __init__(self, focus: float = 2.0) -> None:
        check_focus(self, focus)
        self.focus = focus

    def losses(self, prediction: Array, target: Array) -> Array:
        shifted, p, wrong, work = self._shifted, self._exponentials, self._wrong, self._work
        row_maxima(prediction, self._starts, self._places, self._top)
        np.subtract(prediction, spread(self._top, self._spread), shifted)
        np.exp(shifted, p)
        rows = self._direct_rows(target)
        self._sum_others(rows if target.dtype.kind == "i" else self._top_rows(shifted))
        np.divide(p, self._total_column, p)
        np.divide(wrong, self._total_column, wrong)
        np.subtract(self._log_column, shifted, self._surprise)
        raised(wrong, self.focus, self._weight)
        np.multiply(self._weight, rows, self._weight)
        np.multiply(self._weight, self._surprise, work)
        return sum_rows(work, self._ones, self._losses)

    def _sum_others(self, marked: Array) -> None:
        """Compute the sum of the exponentials, its logarithm, and the sums of all but one.

        One class of each row is `marked`: the true class, or the most probable one if targets are
        probabilities. The sum of the others is small if the marked class is nearly certain, so it
        is computed before that class is added, whose 1 would absorb it.
        """
        wrong, work, one = self._wrong, self._work, constant(1, self._work.dtype)
        np.multiply(self._exponentials, marked, work)
        sum_rows(work, self._ones, self._own)
        np.subtract(self._exponentials, work, work)
        sum_rows(work, self._ones, self._rest)
        np.add(self._rest, self._own, self._total)
        np.subtract(one, marked, wrong)
        np.multiply(wrong, self._own_column, wrong)
        np.subtract(self._rest_column, work, work)
        np.add(wrong, work, wrong)
        np.subtract(self._own, one, self._own)
        np.add(self._own, self._rest, self._own)
        np.log1p(self._own, self._log_total)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        # p_j (sum_k t_k c_k - t_j c_j) - t_j c_j (1 - p_j): for one class the bracket is exactly 0
        # in its place, and its small slope keeps its digits
        p, work, wrong = self._exponentials, self._work, self._wrong
        np.maximum(wrong, self._smallest, out=work)
        np.divide(self._surprise, work, work)
        np.multiply(work, p, work)
        np.multiply(work, self._focus, work)
        np.add(work, constant(1, work.dtype), work)
        np.multiply(work, self._weight, work)
        sum_rows(work, self._ones, self._own)
        np.subtract(self._own_column, work, out)
        np.multiply(out, p, out)
        np.multiply(work, wrong, work)
        np.subtract(out, work, out)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        buffers = {name: np.empty(shape, dtype) for name in ("_wrong", "_surprise", "_weight")}
        own, total = np.empty(shape[:-1], dtype), np.empty(shape[:-1], dtype)
        kept = super().allocate(shape, dtype)
        return {
            **kept,
            **buffers,
            "_log_column": kept["_log_total"][..., None],
            "_own": own,
            "_own_column": own[..., None],
            "_total": total,
            "_total_column": total[..., None],
            "_focus": constant(self.focus, dtype),
            "_smallest": constant(float(np.finfo(dtype).smallest_subnormal), dtype),
        }


def check_focus(loss: Loss, focus: float) -> None:
    """Raise ValueError if `focus` is not a finite number >= 0."""
    if not is_within(focus, 0):
        raise ValueError(
            f"{type(loss).__name__} expects focus >= 0, got {shown(focus)}; 2 is usual"
        )


def raised(base: Array, power: float, out: Array) -> None:
    """Write `base ** power`; a square is several times as fast, and can be compiled."""
    if power == 2:
        np.square(base, out)
    else:
        np.power(base, constant(power, base.dtype), out)
