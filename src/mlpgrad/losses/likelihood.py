"""Negative log likelihoods of counts, and of numbers with a predicted uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, Shape, constant, sum_rows
from mlpgrad._core.checks import first_row, is_within
from mlpgrad.losses.base import Loss
from mlpgrad.losses.curvature import diagonal
from mlpgrad.losses.meaning import log_mean_exp

MANY = 1e9
"""Above this mean, counts are taken as gamma distributed, since SciPy's quantiles of counts are
NaN there, or take forever."""


class Poisson(Loss):
    """l = 1/O sum_k (e^y_k - t_k y_k);  dl/dy_k = (e^y_k - t_k) / O

    The negative log likelihood of counts t under a Poisson distribution with predicted log rate y,
    without the constant log t!. It is averaged over outputs and batch, as in PyTorch's
    `PoissonNLLLoss`.

    The value is infinite if e^y overflows: for y above 88 in float32, 709 in float64, 11 in
    float16. If its two terms cancel, the error is a few units of the precision of the larger term;
    the same holds for the slope.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.Poisson()
    >>> float(loss.forward(np.array([[0.0]]), np.array([[3.0]])))
    1.0
    >>> loss.backward()
    array([[-2.]])
    """

    repeatable = True

    fixed_unit = True

    def losses(self, prediction: Array, target: Array) -> Array:
        work: Array = self._work
        with np.errstate(over="ignore"):
            np.exp(prediction, self._rate)
        np.multiply(prediction, target, work)
        np.minimum(work, self._largest, out=work)  # else both terms may be infinite
        np.subtract(self._rate, work, work)
        return sum_rows(work, self._output_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        np.subtract(self._rate, target, out)
        np.multiply(out, self._per_output, out)

    def check_target(self, y: Array, out_features: int) -> Array:
        y = super().check_target(y, out_features)
        where = first_row(y, lambda rows: rows.real < 0)
        if where is not None:
            raise ValueError(
                f"Poisson expects targets >= 0 (counts), got {y[where]} in row {where[-2]} of y; "
                f"use MeanSquaredError for signed numbers"
            )
        return y

    def likelihood_scale(self, out_features: int) -> float:
        return 1 / out_features

    def log_constant(self, target: Array) -> Array:
        """-log t!, summed over the targets."""
        from scipy.special import gammaln

        return np.asarray(-gammaln(target + 1).sum(axis=-1))

    def curvature_root(self, prediction: Array, target: Array) -> Array:
        """sqrt(e^y / O) for each output."""
        return diagonal(np.exp(0.5 * prediction) / math.sqrt(prediction.shape[-1]))

    def numbers(self, prediction: Array) -> Array:
        """The rates."""
        return np.asarray(np.exp(prediction))

    def noise(self, prediction: Array) -> Array:
        """The rates, since the variance of a Poisson distribution is its mean."""
        return self.numbers(prediction)

    def variance_of_numbers(self, prediction: Array, covariance: Array) -> Array:
        """e^2y var y, since the outputs are logarithms of the rates."""
        return np.asarray(np.exp(2 * prediction) * np.diagonal(covariance, 0, -2, -1))

    def averaged(self, predictions: Array) -> Array:
        """Return the logarithm of the mean rate."""
        return np.asarray(log_mean_exp(predictions), predictions.dtype)

    def interval(self, mean: Array, variance: Array, level: float) -> tuple[Array, Array]:
        """Bounds of a Poisson distribution, or a negative binomial one for larger variances."""
        from scipy import stats

        tails = (1 - level) / 2, (1 + level) / 2
        many = mean > MANY
        ratio = np.divide(variance, mean, np.ones_like(mean), where=mean > 0)
        gamma = stats.gamma(np.where(many, mean / ratio, 1.0), scale=ratio)
        mean = np.where(many, 1.0, mean)
        more = _exceeds(variance, mean) & ~many
        share = np.where(more, 1 / ratio, 0.5)
        size = mean * share / (1 - share)
        conditions = [many, more, np.ones_like(more)]
        laws = [law.ppf for law in (gamma, stats.nbinom(size, share), stats.poisson(mean))]
        low, high = (np.select(conditions, [law(tail) for law in laws]) for tail in tails)
        return low, high

    def log_density(self, prediction: Array, target: Array, variance: Array | None) -> Array:
        """t y - e^y - log t!, summed over the targets; as in `interval` for larger variances."""
        from scipy.special import betaln, gammaln

        largest, rate = np.finfo(prediction.dtype).max, np.exp(prediction)
        terms = np.minimum(target * prediction, largest) - rate  # else both may be infinite
        terms -= gammaln(target + 1)
        if variance is not None:
            with np.errstate(all="ignore"):  # where the variance is not larger
                size = rate / (variance / rate - 1)
                wide = -target * np.log1p(size / rate) - size * np.log1p(rate / size)
                wide -= betaln(size, target + 1) + np.log(size + target)
            terms = np.where(_exceeds(variance, rate), wide, terms)
        return np.asarray(terms.sum(axis=-1))

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        largest = constant(np.finfo(dtype).max, dtype)
        kept = {"_rate": np.empty(shape, dtype), "_largest": largest}
        return super().allocate(shape, dtype) | kept

    def expected_targets(self, prediction: Array) -> Sequence[Array]:
        return [prediction]  # the second derivatives do not depend on the target

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        return cls(), np.linspace(-1.3, 1.7, 12).reshape(4, 3), np.arange(12.0).reshape(4, 3) % 5


def _exceeds(variance: Array, mean: Array) -> Array:
    """Return whether a count scatters more than under a Poisson distribution."""
    return np.asarray(variance > mean * (1 + 1e-9))


class GaussianNLL(Loss):
    """l = 1/T sum_k (s_k + (m_k - t_k)^2 e^-s_k) / 2;  outputs [m_1 .. m_T, s_1 .. s_T]

    dl/dm = (m - t) e^-s / T,  dl/ds = (1 - (m - t)^2 e^-s) / 2T. The negative log likelihood under
    a normal distribution with mean m and log variance s, without its constant. It is averaged over
    targets and batch, as in PyTorch's `GaussianNLLLoss` with `var = e^s`. Nix and Weigend 1994,
    "Estimating the mean and variance of the target probability distribution".

    If the two terms of l or dl/ds cancel, the error is a few units of the precision of the larger
    term. The log variance should stay below 86 in float32, 707 in float64 and 8 in float16: above,
    e^-s loses digits.

    Parameters
    ----------
    epsilon : float, default 1e-6
        The smallest variance, positive, in the squared unit of the target (with `target_scaling`,
        in units of the target's variance). Smaller predicted variances are replaced by this one,
        which prevents overflow, and have dl/ds = 0. In float16, it is at least 1.7e-5.

    Raises
    ------
    ValueError
        If `epsilon` is not positive.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> loss = mg.GaussianNLL()
    >>> float(loss.forward(np.array([[3.0, 0.0]]), np.array([[1.0]])))
    2.0
    >>> loss.backward()
    array([[ 2. , -1.5]])
    """

    repeatable = True

    def __init__(self, epsilon: float = 1e-6) -> None:
        if not is_within(epsilon, 0, open_below=True):
            raise ValueError(
                f"GaussianNLL expects epsilon > 0, got {shown(epsilon)}; 1e-6 is usual"
            )
        self.epsilon = epsilon

    def losses(self, prediction: Array, target: Array) -> Array:
        mean, log_variance = self._halves(prediction)
        difference, precision, work = self._difference, self._precision, self._square
        np.subtract(mean, target, difference)
        np.maximum(log_variance, self._floor, out=work)
        np.negative(work, precision)
        np.exp(precision, precision)
        np.multiply(difference, precision, self._weighted)
        np.multiply(difference, self._weighted, self._surprise)
        np.add(work, self._surprise, work)
        return sum_rows(work, self._half_weights, self._losses)

    def slopes(self, prediction: Array, target: Array, out: Array) -> None:
        of_mean, of_log_variance = self._halves(out)
        np.multiply(self._weighted, self._per_target, of_mean)
        np.subtract(constant(1, out.dtype), self._surprise, of_log_variance)
        np.multiply(of_log_variance, self._half_per_target, of_log_variance)
        np.less_equal(self._halves(prediction)[1].real, self._floor.real, self._at_floor)
        np.copyto(of_log_variance, 0, "same_kind", self._at_floor)  # also for infinity

    def _least(self, dtype: np.dtype[Any]) -> float:
        """The smallest log variance that counts: the inverse must be a number of the dtype."""
        return max(math.log(self.epsilon), -0.99 * float(np.log(np.finfo(dtype).max)))

    def _halves(self, outputs: Array) -> tuple[Array, Array]:
        """Return the columns of the means and those of the log variances."""
        targets = outputs.shape[-1] // 2
        return outputs[..., :targets], outputs[..., targets:]

    def target_features(self, out_features: int) -> int:
        if out_features % 2:
            raise ValueError(
                f"GaussianNLL expects two outputs for each target (mean, log variance), got "
                f"{out_features} outputs; change the last layer"
            )
        return out_features // 2

    def numbers(self, prediction: Array) -> Array:
        """The means."""
        return self._halves(prediction)[0]

    def noise(self, prediction: Array) -> Array:
        """The variances, at least `epsilon`."""
        log_variance = self._halves(prediction)[1]
        return np.asarray(np.exp(np.maximum(log_variance, self._least(prediction.dtype))))

    def variance_of_numbers(self, prediction: Array, covariance: Array) -> Array:
        return self.numbers(super().variance_of_numbers(prediction, covariance))

    def averaged(self, predictions: Array) -> Array:
        """Return mean and log variance of the mixture of the distributions.

        The variance is the mean of the variances plus the variance of the means. Lakshminarayanan,
        Pritzel and Blundell 2017, "Simple and scalable predictive uncertainty estimation using deep
        ensembles", section 2.4.
        """
        means = self.numbers(predictions)
        variance = self.noise(predictions).mean(axis=0) + means.var(axis=0)
        return np.concatenate([means.mean(axis=0), np.log(variance)], axis=-1)

    def rescaled(self, prediction: Array, mean: Array, deviation: Array) -> Array:
        """Return m deviation + mean, and s + 2 log deviation."""
        means, log_variances = self._halves(prediction)
        parts = means * deviation + mean, log_variances + 2 * np.log(deviation)
        return np.concatenate(parts, axis=-1)

    def kink_signature(self, prediction: Array, target: Array) -> Array | None:
        return self._halves(prediction)[1].real > self._least(prediction.dtype)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> dict[str, Any]:
        targets = self.target_features(shape[-1])
        names = ("_difference", "_precision", "_square", "_weighted", "_surprise")
        buffers = {name: np.empty((*shape[:-1], targets), dtype) for name in names}
        per_target = np.asarray(np.ones((), dtype) / targets)
        return {
            **super().allocate(shape, dtype),
            **buffers,
            "_at_floor": np.empty((*shape[:-1], targets), bool),
            "_floor": constant(self._least(dtype), dtype),
            "_per_target": per_target,
            "_half_per_target": np.asarray(per_target / 2),
            "_half_weights": np.full(targets, per_target / 2),
        }

    def expected_targets(self, prediction: Array) -> Sequence[Array]:
        # one standard deviation on either side: they are of degree 2 in the target
        mean, log_variance = self._halves(prediction)
        deviation = np.exp(0.5 * np.maximum(log_variance, self._least(prediction.dtype)))
        return [mean + deviation, mean - deviation]

    @classmethod
    def example(cls) -> tuple[Self, Array, Array]:
        prediction = np.linspace(-1.3, 1.7, 16).reshape(4, 4)
        return cls(), prediction, np.cos(3 * prediction[:, :2])
