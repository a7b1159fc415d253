"""`Noise`: constant noise of the targets around the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.network.uncertain import Uncertainty
from mlpgrad.uncertainty.law import outputs, shared
from mlpgrad.uncertainty.tails import LARGEST, kurtosis_of

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

SMALLEST = 1e-6
"""The lower end of the range searched for the noise, as a fraction of the errors' size."""


class Noise(Uncertainty):
    """t = y(x) + e,  E[e] = 0,  E[e^2] = std^2: noise of targets that no loss predicts.

    With `model.uncertainty = mg.Noise(...)`, the uncertainty of an ensemble or of MC dropout
    includes the noise, `predict(x, std=True)` also works for a single network, and
    `log_likelihood` is defined. The noise is normal, or has heavier tails with `kurtosis`.

    Parameters
    ----------
    std : float or sequence of float
        The standard deviation of the noise, positive, in the units of the target: one number for
        all targets of a sample, or one for each. Its square must be a float64 number.
    kurtosis : float or sequence of float, default 0.0
        The excess kurtosis of the noise of all targets, or of each. If it is above 0, the noise has
        Student's distribution with 4 + 6 / kurtosis degrees of freedom, whose tails are heavier
        than those of the normal distribution.

    Raises
    ------
    ValueError
        If a number is not positive and finite, or `kurtosis` is negative.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError())
    >>> model.uncertainty = mg.Noise.fit(model, [[0.0], [1.0]], [3.0, -2.0])
    >>> model.uncertainty
    Noise(3.0)
    >>> model.predict([[5.0]], std=True)
    Estimate(mean=array([[5.]], dtype=float32), std=array([[3.]], dtype=float32))
    """

    def __init__(self, std: Any, kurtosis: Any = 0.0) -> None:
        found = np.atleast_1d(arguments.numbers(std, "Noise: std", "biuf").astype(np.float64))
        with np.errstate(over="ignore", under="ignore"):
            squares = np.square(found)
        sound = np.isfinite(squares) & (squares > 0) & (found > 0)
        if found.ndim != 1 or not found.size or not sound.all():
            raise ValueError(
                f"Noise expects a positive std, or one for each target, got {arguments.shown(std)}"
            )
        self.std = _one_or_each(found)
        each = np.atleast_1d(arguments.numbers(kurtosis, "Noise: kurtosis", "iuf"))
        for number in each.ravel():
            arguments.number(number, "Noise: kurtosis", 0, 1e100)
        if each.shape not in ((1,), found.shape):
            raise ValueError(
                f"Noise: kurtosis expects one number, or one for each of {len(found)} std, got "
                f"{arguments.shown(kurtosis)}"
            )
        self.kurtosis = _one_or_each(each)

    @classmethod
    @suggesting
    def fit(cls, model: Network, x: Any, y: Any, *, samples: int | None = None) -> Self:
        """Return the maximum-likelihood noise for these targets, at the current weights.

        For a single network, `std` is the root mean squared error of each target. The variance
        between members or passes is not counted twice. `kurtosis` stays 0 unless Student's
        distribution is clearly likelier than the normal distribution, as in `mg.Laplace`.

        Parameters
        ----------
        model : Sequential
            A model trained with a loss on numbers that does not predict noise.
        x, y
            Held-out rows, since errors on training rows are smaller.
        samples : int, optional
            Number of MC dropout passes, as for `predict`; use the same number in predictions.

        Returns
        -------
        Noise
            To be assigned to `model.uncertainty`.

        Raises
        ------
        TypeError
            If the loss predicts classes, its own noise, or quantiles without the median.
        ValueError
            If all errors are 0, or targets differ between the members of an ensemble.
        """
        with model.reading() as network:
            x, target, _ = network.checked(x, y, None)
            _check_loss(network)
            network.check_fitted()
            found = network.loss.numbers(network.in_own_unit(outputs(network, x, samples)))
            target = network.loss.cast(shared(target, "targets"), np.dtype(np.float64))
        errors = found.reshape(-1, *found.shape[-2:]) - target
        std = np.array([_likeliest(errors[..., k]) for k in range(errors.shape[-1])])
        kurtosis = _kurtosis(errors.mean(axis=0), std)
        return cls(std, kurtosis if kurtosis.any() else 0.0)

    def check(self, network: Network) -> None:
        _check_loss(network)
        targets = network.loss.target_features(network.out_features or 1)
        if np.size(self.std) not in (1, targets):
            raise ValueError(
                f"{self!r} expects a model with {np.size(self.std)} targets, got {targets}; give "
                f"one std, or one for each target"
            )

    def noise_kurtosis(self, network: Network) -> Array | None:
        return np.atleast_1d(self.kurtosis) if np.any(self.kurtosis) else None

    def noise_variance(self, network: Network) -> Array:
        variance = np.asarray(np.square(np.atleast_1d(self.std)))
        scaling = network.scaling_of_targets
        return variance if scaling is None else scaling.scaled_variance(variance)


def _check_loss(network: Network) -> None:
    """Raise TypeError if the loss already predicts the noise, or its targets are classes."""
    loss = network.loss
    if loss.classifies or loss.noise(np.zeros((1, network.out_features or 1))) is not None:
        what = "its targets are classes" if loss.classifies else "it predicts the noise itself"
        raise TypeError(
            f"Noise expects a loss on numbers without noise, got {loss!r}: {what}; leave "
            f"model.uncertainty at None"
        )
    if not loss.predicts_centre:
        raise TypeError(
            f"Noise expects predictions of the mean or the median, got {loss!r}; train with the "
            f"level 0.5 among its levels"
        )


def _one_or_each(numbers: Array) -> Any:
    """Return a number, or a tuple of several."""
    return float(numbers[0]) if len(numbers) == 1 else tuple(map(float, numbers))


def _kurtosis(errors: Array, std: Array) -> Array:
    """Return the excess kurtosis of the noise of each target, `(T,)`, from the errors of a mean.

    The other part of the errors is taken as normal: see `tails` for how kurtosis adds up.
    """
    parts = np.square(errors).mean(axis=0) / np.square(std)
    return np.asarray(np.minimum(kurtosis_of(errors, None) * np.square(parts), LARGEST))


def _likeliest(errors: Array) -> float:
    """Return the s that maximizes the mean of log(1/D sum_d N(e_d; 0, s^2)) for errors `(D, B)`."""
    from scipy.optimize import minimize_scalar

    size = float(np.sqrt(np.square(errors).mean()))
    if size == 0 or not np.isfinite(size):
        raise ValueError(
            "Noise.fit expects errors that are finite and not all 0, got a root mean square of "
            f"{size}; give held-out rows"
        )
    if len(errors) == 1:
        return size

    def surprise(log_std: float) -> float:
        exponents = -0.5 * np.square(errors * np.exp(-log_std))
        return float(log_std - np.logaddexp.reduce(exponents, axis=0).mean())

    bounds = np.log(size) + np.array([np.log(SMALLEST), 0.1])
    return float(np.exp(minimize_scalar(surprise, bounds=bounds, options={"xatol": 1e-6}).x))
