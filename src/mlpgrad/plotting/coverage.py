"""Calibration of intervals: the fraction of targets in them, level by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.losses.base import Loss
from mlpgrad.plotting import inputs, style
from mlpgrad.uncertainty.law import Law

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

LEVELS = np.linspace(0.02, 0.98, 49)


@suggesting
def interval_coverage(
    model: Network, x: Any, y: Any, *, output: int = 0, samples: int | None = None, ax: Any = None
) -> Any:
    """Draw the fraction of targets that lie in the central intervals of each level.

    A calibrated model is on the diagonal: its 80 % intervals contain four in five targets. Below
    the diagonal the model is overconfident, above it underconfident. Use held-out rows. Thin lines
    show the single members of an ensemble.

    Parameters
    ----------
    model : Sequential
        A model for which `predict(x, interval=0.9)` is defined at all levels.
    x : array (n, I)
        The samples.
    y : array (n,) or (n, T)
        The targets.
    output : int, default 0
        The index of the target to count, from 0 to T - 1.
    samples : int, optional
        The number of MC dropout passes, as for `model.predict`.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    TypeError
        If the loss is a classification loss.
    ValueError
        If the uncertainty of predictions is not known, there is no target number `output`, or the
        loss is Quantile, which has an interval of one level only.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.regression(100, random_state=0)
    >>> model = mg.Sequential([mg.Standardize(5), mg.Dense(5, 8), mg.Tanh(), mg.Dense(8, 2)],
    ...                       loss=mg.GaussianNLL(), target_scaling="standard",
    ...                       random_state=0, ensemble_size=3)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.02), epochs=100, verbose=0)
    >>> ax = mg.plotting.interval_coverage(model, x, y)
    >>> [label.get_text() for label in ax.get_legend().get_texts()]
    ['calibrated', 'each network', 'all together']
    """
    style.check_axes(ax)
    x = inputs.samples(model, x)
    targets = inputs.one_target(model, x, y, output, "interval_coverage")
    model.check_fitted()
    law = Law(model, x, samples)
    try:
        together = covered(law, targets, output)
    except ValueError as error:
        if type(model.loss).predicted_interval is Loss.predicted_interval:
            raise
        raise ValueError(
            f"interval_coverage expects a model with intervals of all levels, got {model.loss!r}; "
            f"count the targets in one that it predicts: low, high = model.predict(x, interval=...)"
        ) from error
    ax = style.axes(ax)
    ax.plot([0, 1], [0, 1], ls="--", color=style.GREY, lw=1, label="calibrated")
    if model.lead and samples is None and law.variances is not None:
        for i in range(len(law.outputs)):
            alone = covered(law.of(i), targets, output)
            ax.plot(LEVELS, alone, color=style.SKY, lw=0.8, label=None if i else "each network")
    label = "all together" if len(law.outputs) > 1 else "the network"
    ax.plot(LEVELS, together, color=style.PREDICTED, lw=2.5, label=label)
    ax.set(xlabel="level of the interval", ylabel="share of targets in it", aspect="equal")
    ax.set_title("Intervals of the target" if law.includes_noise else "Intervals of the mean alone")
    ax.legend(loc="upper left")
    return ax


def covered(law: Law, targets: Array, output: int) -> Array:
    """Return the fraction of targets `(n,)` within the interval of each level."""
    bounds = [law.interval(float(level))[:2] for level in LEVELS]
    low, high = np.moveaxis(np.array(bounds)[..., output], 1, 0)
    return np.asarray(((low <= targets) & (targets <= high)).mean(axis=-1))
