"""How far values lie from predictions: measured on rows not trained on, saved, and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.models import About
from mlpgrad.cli.results import quantity, root_mean_square

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential

LEVEL = 0.95
LEAST_FREEDOM = 5  # degrees of freedom with finite kurtosis
FEW = 30  # with fewer rows the standard deviation has a standard error of more than 13 %


def measure_noise(model: Sequential, x: Any, y: Array) -> int:
    """Set `model.uncertainty` to the noise on rows that the model was not trained on.

    Returns
    -------
    int
        The number of rows; 0 if the noise cannot be measured, because the model is exact there or
        because a variance in the unit of the target does not fit into float64.
    """
    from mlpgrad.uncertainty import Noise

    try:
        with np.errstate(all="ignore"):
            found, rows = Noise.fit(model, x, y), len(y)
            # the distribution of one more value after `rows` of unknown deviation is Student's
            # with `rows` degrees of freedom
            freedom = max(rows, LEAST_FREEDOM)
            kurtosis = max(found.kurtosis, 6 / (freedom - 4))
            model.uncertainty = Noise(found.std * np.sqrt(freedom / (freedom - 2)), kurtosis)
    except ValueError:
        return 0
    return rows


def typical_error(model: Sequential, about: About, x: Any) -> str:
    """Return the standard deviation of values around the predictions for `x`, in words."""
    if about.classes:
        return ""
    if not about.noise_rows:
        return "how far values lie from the predictions is not known: it could not be measured"
    size = quantity(root_mean_square(model.predict(x, std=True).std))
    unit = f" {about.unit}" if about.unit else ""
    rough = "; rough, since they are few" if about.noise_rows < FEW else ""
    return (
        f"typical error of a prediction: {size}{unit} (standard deviation, from the "
        f"{about.noise_rows:,} validation rows{rough})"
    )


def covered(model: Sequential, x: Any, y: Array, what: str) -> str:
    """Return a line with the share of values in their intervals; empty if there are none."""
    if model.loss.classifies or not knows_noise(model):
        return ""
    low, high = model.predict(x, interval=LEVEL)
    inside = 100 * np.mean((low[:, 0] <= y) & (y <= high[:, 0]))
    return f"intervals for {100 * LEVEL:.0f} % of all values hold {inside:.1f} % of {what}"


def knows_noise(model: Sequential) -> bool:
    """Return whether a model of a quantity knows how far values scatter around its predictions."""
    if model.loss.noise(np.zeros((1, model.out_features or 1))) is not None:
        return True
    return model.uncertainty is not None and model.uncertainty.noise_variance(model) is not None


def described(model: Sequential, about: About | None) -> str:
    """Return what a saved model knows about its errors, for `mlpgrad info`; empty for classes."""
    from mlpgrad.uncertainty import Noise

    if model.loss.classifies:
        return ""
    members = model.ensemble_size
    disagreement = f"the disagreement of the {members} members" if members else ""
    if not knows_noise(model):
        left_out = "how far values scatter around the predictions is not known"
        if not disagreement:
            return f"--std and --interval: not possible, since {left_out}"
        return f"--std and --interval: {disagreement} only, since {left_out}"
    known, rows = model.uncertainty, 0 if about is None else about.noise_rows
    if isinstance(known, Noise) and rows:
        unit = f" {about.unit}" if about is not None and about.unit else ""
        noise = (
            f"noise with a standard deviation of {quantity(float(np.max(known.std)))}{unit}, "
            f"measured on {rows:,} rows that were not trained on"
        )
    else:
        noise = type(model.loss if known is None else known).__name__
    return f"--std and --interval: {noise}" + (f", and {disagreement}" if disagreement else "")
