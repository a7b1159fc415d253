"""Predictions of numeric targets with their uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.losses.regression import Quantile
from mlpgrad.uncertainty.law import Law

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


class Forecast(NamedTuple):
    """The distribution of one target that a model predicts, for each sample."""

    mean: Array
    """The mean (for Quantile, the level nearest to 0.5), averaged over the members."""
    spread: Array | None
    """The standard deviation of the mean over members and the posterior, if known."""
    spread_label: str
    interval: tuple[Array, Array] | None
    """The bounds of the predicted interval of the target, including noise and spread."""
    interval_label: str
    std: Array | None
    """The standard deviation, including the noise if it is known."""


def forecast(model: Network, x: Array, output: int, samples: int | None = None) -> Forecast:
    """Return the predicted distribution of target number `output` for samples `(n, I)`."""
    model.check_fitted()
    law = Law(model, x, samples)
    if isinstance(model.loss, Quantile):
        return _of_quantiles(law, output)
    mean = law.mean[:, output]
    spread = _spread(law, law.means[..., output], output)
    if law.noise is None:
        return Forecast(mean, spread, _source(law, samples), None, "", spread)
    std = np.sqrt(law.variance[:, output])
    label = "predicted noise" if spread is None else "with the predicted noise"
    if model.loss.noise(law.outputs) is None:
        label = label.replace("predicted noise", "noise")
    bounds = mean - 2 * std, mean + 2 * std
    return Forecast(mean, spread, _source(law, samples), bounds, f"{label}, ± 2 s.d.", std)


def _of_quantiles(law: Law, output: int) -> Forecast:
    """Return the level nearest to 0.5, and the range of the levels."""
    levels = np.atleast_1d(np.asarray(law.loss.levels, float))
    mine = law.outputs[..., output * len(levels) :][..., : len(levels)]
    means = mine[..., int(np.abs(levels - 0.5).argmin())]
    spread = _spread(law, means, output)
    interval, label = None, ""
    if len(levels) > 1:
        low, high = (mine[..., int(at)].mean(axis=0) for at in (levels.argmin(), levels.argmax()))
        interval, label = (low, high), f"quantiles {levels.min():g} to {levels.max():g}"
    source = _source(law, None)
    return Forecast(means.mean(axis=0), spread, source, interval, label, spread)


def _spread(law: Law, means: Array, output: int) -> Array | None:
    """Return the standard deviation of the mean; None if it is not known."""
    if len(means) == 1 and law.open is None:
        return None
    left_open = 0.0 if law.open is None else law.open[..., output].mean(axis=0)
    return np.asarray(np.sqrt(means.var(axis=0) + left_open))


def _source(law: Law, samples: int | None) -> str:
    """Return the source of the spread, for the legend."""
    if law.open is not None:
        return "left open by the data, ± 2 s.d."
    count, what = len(law.outputs), "networks" if samples is None else "passes"
    return f"disagreement of {count} {what}, ± 2 s.d."
