"""The predictive distribution of several equally weighted networks: a mixture."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.cached import Cached
from mlpgrad.losses.base import Loss
from mlpgrad.losses.meaning import log_mean_exp
from mlpgrad.network.network import Network
from mlpgrad.uncertainty.mc_dropout import dropped_out, has_dropout
from mlpgrad.uncertainty.tails import half_width, log_density


def outputs(network: Network, x: Array, samples: int | None) -> Array:
    """Return the outputs for checked inputs in float64, `(..., B, O)` or `(samples, ..., B, O)`."""
    found = network._predict(x) if samples is None else dropped_out(network, x, samples)
    return np.asarray(found.real, np.float64)


def expected_outputs(network: Network, x: Array, samples: int | None) -> tuple[Array, Any]:
    """Return the outputs for checked inputs in float64, and their covariance if it is known.

    Parameters
    ----------
    network : Network
    x : array (B, I) or (E, B, I)
        Checked inputs.
    samples : int or None
        Number of MC dropout passes; None is one pass without dropout.

    Returns
    -------
    tuple of array (..., B, O) and array (..., B, O, O) or None
        `(samples, ..., B, O)` if `samples` is given. Logits are those of the expected
        probabilities. The covariance is that of a Laplace approximation, which MC dropout
        replaces.
    """
    found, known = outputs(network, x, samples), network.uncertainty
    if known is None:
        return found, None
    known.check(network)
    covariance = known.output_covariance(network, x) if samples is None else None
    return found if covariance is None else network.loss.moderated(found, covariance), covariance


class Law:
    """A mixture of D distributions, one for each member and each pass of MC dropout.

    Each component has the mean that its network predicts, and a variance of two parts: the noise
    of the targets, and the posterior variance due to the weights (Laplace). Values are float64, in
    the units of the data. It is normal, or Student's law where the noise has heavy tails: see
    `tails`.

    Parameters
    ----------
    network, x, samples
        As for `expected_outputs`.
    """

    def __init__(self, network: Network, x: Array, samples: int | None) -> None:
        self.network, self.loss = network, network.loss
        found, covariance = expected_outputs(network, x, samples)
        noise, known = self.loss.noise(found), network.uncertainty
        if noise is None and known is not None:
            noise = known.noise_variance(network)
        open_ = None if covariance is None else self.loss.variance_of_numbers(found, covariance)
        if network.scaling_of_targets is not None:
            to_own = network.scaling_of_targets.variance
            noise, open_ = (None if part is None else to_own(part) for part in (noise, open_))
            found = network.in_own_unit(found)
        self.outputs = found.reshape(-1, *found.shape[-2:])
        heavy = None if known is None else known.noise_kurtosis(network)
        heavy = None if noise is None or heavy is None else np.atleast_1d(heavy)
        self.noise, self.open, self.kurtosis = (
            None if part is None else _of_each(part, found) for part in (noise, open_, heavy)
        )

    def of(self, index: int) -> Law:
        """Return the distribution of one network or one pass."""
        one: Law = copy.copy(self)
        for name in ("means", "mean", "variance", "average"):
            vars(one).pop(name, None)
        for name in ("outputs", "noise", "open", "kurtosis"):
            whole = getattr(self, name)
            setattr(one, name, None if whole is None else whole[[index]])
        return one

    @property
    def includes_noise(self) -> bool:
        """Whether the noise of the targets is known."""
        return self.noise is not None

    @Cached
    def means(self) -> Array:
        """The mean of each component, `(D, B, T)`."""
        return self.loss.numbers(self.outputs)

    @property
    def variances(self) -> Any:
        """The known variance of each component, `(D, B, T)`; None if it is not known."""
        if self.noise is None or self.open is None:
            return self.open if self.noise is None else self.noise
        return self.noise + self.open

    @Cached
    def average(self) -> Array:
        """Return the outputs of a single network equivalent to the mixture, `(B, O)`."""
        return self.loss.averaged(self.outputs)

    @Cached
    def mean(self) -> Array:
        """The mean of the mixture, `(B, T)`."""
        return np.asarray(self.means.mean(axis=0))

    @Cached
    def variance(self) -> Array:
        """The variance of the mixture, `(B, T)`: the mean variance, plus that of the means."""
        variances = self.variances
        spread = np.asarray(self.means.var(axis=0))  # a loss without means raises its own error
        if variances is None and len(self.outputs) == 1:
            raise ValueError(
                "std and interval expect a model whose uncertainty is known, got one network "
                f"with {self.loss!r}; {ways(self.network, of_mean=True)}"
            )
        return spread if variances is None else spread + variances.mean(axis=0)

    def interval(self, level: float) -> tuple[Array, Array, bool]:
        """Return the bounds of the central interval, and whether they include the noise.

        The mixture is replaced by one law with its mean and variance, normal or, with heavy tails,
        Student's, whose excess kurtosis is the mean of the components'. If these differ in tails,
        the interval for 95 % holds 94.6 to 96.7 % of the mixture, and that for 80 % at least 75 %.
        """
        predicted = self.loss.predicted_interval(self.average, level)
        if predicted is not None:
            return (*predicted, True)
        if self.kurtosis is None or self.noise is None:
            return (*self.loss.interval(self.mean, self.variance, level), self.includes_noise)
        heavy = (self.kurtosis * np.square(self.noise / self.variance)).mean(axis=0)
        half = half_width(level, self.variance, heavy)
        return self.mean - half, self.mean + half, True

    def log_density(self, target: Array) -> Array:
        """Return the log density of the mixture at each target, `(B,)`."""
        if self.noise is None and not self.loss.classifies:
            self.loss.numbers(self.outputs)  # a loss without them has no use for the advice below
            raise ValueError(
                f"log_likelihood expects the noise of the targets, got {self.loss!r}, which does "
                f"not predict it; {ways(self.network, of_mean=False)}"
            )
        if self.kurtosis is None or self.noise is None:
            density = self.loss.log_density(self.outputs, target, self.variances)
        else:
            heavy = self.kurtosis * np.square(self.noise / self.variances)
            density = log_density(self.means - target, self.variances, heavy).sum(axis=-1)
        return np.asarray(log_mean_exp(density))


def _of_each(variance: Array, outputs: Array) -> Array:
    """Return a variance that may be common to networks or rows as `(D, B, T)`."""
    rows, width = outputs.shape[-2], variance.shape[-1]
    whole = np.broadcast_to(variance, (*outputs.shape[:-1], width))
    return whole.reshape(-1, rows, width)


def ways(network: Network, *, of_mean: bool) -> str:
    """Return the ways in which a network's uncertainty can be estimated.

    Parameters
    ----------
    network : Network
    of_mean : bool
        Whether the uncertainty of the mean suffices, without the noise.
    """
    found = ["call model.laplace(x, y)"] if network.loss.leaves_noise_open else []
    if of_mean:
        found.append("train an ensemble (ensemble_size=5)")
    if of_mean and has_dropout(network.layers):
        found.append("give samples=100, which uses the Dropout layers")
    found.append("train with GaussianNLL(), which predicts the noise")
    if network.loss.predicts_centre:
        found.append("set model.uncertainty = mg.Noise.fit(model, x, y), on rows not trained on")
    return ", or ".join(filter(None, (", ".join(found[:-1]), found[-1])))


def instead(loss: Loss) -> str:
    """Return what tells how sure a model of classes is."""
    if type(loss).probabilities is Loss.probabilities:
        return "train with a cross-entropy, and use predict_proba(x, average=True)"
    return "use predict_proba(x, average=True)"


def shared(array: Any, what: str) -> Any:
    """Return the part of an array that is common to all members."""
    if array is None or array.ndim == 2:
        return array
    if not (array == array[0]).all():
        raise ValueError(
            f"the members of an ensemble are judged together, by {what} that are the same for all, "
            f"got others for each; judge model.member(i) alone"
        )
    return array[0]
