"""What a network predicts where targets are numbers, and with which uncertainty."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.losses.likelihood import GaussianNLL, Poisson
from mlpgrad.losses.regression import Quantile

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


class Forecast(NamedTuple):
    """The distribution of one target that a model predicts, for each sample."""

    mean: Array
    """The mean (for Quantile the level nearest to 0.5), averaged over the members."""
    spread: Array | None
    """The standard deviation of the members' means; None for one network."""
    interval: tuple[Array, Array] | None
    """The bounds between which the model expects the target: noise and spread together."""
    interval_label: str = ""


def forecast(model: Network, x: Array, output: int) -> Forecast:
    """The predicted distribution of target number `output` for samples `(n, I)`."""
    outputs = np.asarray(model.predict(x), float)
    outputs = outputs if model.lead else outputs[None]
    loss = model.loss
    targets = loss.target_features(outputs.shape[-1])
    low = high = None
    means = outputs[..., output]
    if isinstance(loss, Poisson):
        means = np.exp(means)
    elif isinstance(loss, Quantile):
        levels = np.atleast_1d(np.asarray(loss.levels, float))
        mine = outputs[..., output * len(levels) :][..., : len(levels)]
        low, high = (mine[..., int(at)].mean(axis=0) for at in (levels.argmin(), levels.argmax()))
        means = mine[..., int(np.abs(levels - 0.5).argmin())]
    mean, spread = means.mean(axis=0), means.std(axis=0) if model.lead else None
    if isinstance(loss, GaussianNLL):
        log_variance = np.maximum(outputs[..., targets + output], math.log(loss.epsilon))
        # the law of total variance: mean of the noise, and variance of the means
        deviation = np.sqrt(np.exp(log_variance).mean(axis=0) + means.var(axis=0))
        interval = mean - 2 * deviation, mean + 2 * deviation
        label = "with the predicted noise" if model.lead else "predicted noise"
        return Forecast(mean, spread, interval, f"{label}, ± 2 s.d.")
    if low is not None and high is not None and np.size(loss.levels) > 1:
        label = f"quantiles {np.min(loss.levels):g} to {np.max(loss.levels):g}"
        return Forecast(mean, spread, (low, high), label)
    return Forecast(mean, spread, None)
