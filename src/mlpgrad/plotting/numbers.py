"""What a network predicts where targets are numbers: a curve or a surface, and how surely."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.extras import require
from mlpgrad.losses.likelihood import GaussianNLL, Poisson
from mlpgrad.losses.regression import Quantile
from mlpgrad.plotting import inputs, style

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


class Forecast(NamedTuple):
    """The law of one target that a model predicts, for each sample."""

    mean: Array
    """The mean, or what the loss predicts instead of it; of an ensemble, its average."""
    spread: Array | None
    """Standard deviation of the members' means."""
    interval: tuple[Array, Array] | None
    """Where the target lies by the model's own account: noise and spread together."""
    interval_label: str = ""


def forecast(model: Network, x: Array, output: int) -> Forecast:
    """The law of target number `output` for samples `(n, I)`."""
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


def regression_curve(
    model: Network, x: Any, y: Any, *, output: int = 0, resolution: int = 200, ax: Any = None
) -> Any:
    """Draw what a model with one input predicts, with its uncertainty, and the samples.

    The inner band is what an ensemble's members disagree about: their mean plus and minus two
    standard deviations. The outer one is the noise that the model expects, where its loss
    predicts one: two standard deviations for GaussianNLL (the members' spread included), the
    outer levels for Quantile.

    Parameters
    ----------
    model : Sequential
        With one input, and a loss for numbers.
    x : array (n, 1)
    y : array (n,) or (n, T)
    output : int
        Which of the T targets to draw.
    resolution : int
        Number of points at which the network is evaluated.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> model = mg.Sequential([mg.Dense(1, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.HalfSquaredError(), random_state=0, ensemble_size=5)
    >>> history = model.fit(x, x**2, optimizer=mg.Adam(0.05), epochs=20, verbose=0)
    >>> ax = mg.plotting.regression_curve(model, x, x**2)
    >>> [label.get_text() for label in ax.get_legend().get_texts()]
    ['disagreement of 5 networks, ± 2 s.d.', 'prediction', 'samples']
    """
    fix = "draw a model of one feature, or regression_surface for two"
    x = inputs.samples_of_width(model, x, 1, "regression_curve", fix)
    targets = _targets(model, x, y, output, "regression_curve")
    (across,), points = inputs.grid(x, resolution)
    law = forecast(model, points, output)
    ax = style.axes(ax)
    if law.interval is not None:
        band = {"color": style.PREDICTED, "alpha": 0.15, "lw": 0, "label": law.interval_label}
        ax.fill_between(across, *law.interval, **band)
    if law.spread is not None:
        label = f"disagreement of {model.ensemble_size} networks, ± 2 s.d."
        edges = law.mean - 2 * law.spread, law.mean + 2 * law.spread
        ax.fill_between(across, *edges, color=style.PREDICTED, alpha=0.35, lw=0, label=label)
    ax.plot(across, law.mean, color=style.PREDICTED, lw=2, label="prediction")
    ax.scatter(x[:, 0], targets, s=14, color=style.INK, alpha=0.7, lw=0, label="samples", zorder=3)
    ax.set(xlabel="x", ylabel="y", xlim=(across[0], across[-1]))
    ax.set_title("Prediction")
    ax.legend()
    return ax


def regression_surface(
    model: Network, x: Any, y: Any, *, output: int = 0, resolution: int = 100, ax: Any = None
) -> Any:
    """Draw what a model with two inputs predicts as colours, and the samples in the same colours.

    A sample that can hardly be seen is predicted well. Dashed lines are the standard deviation
    of the members of an ensemble, or what GaussianNLL predicts as the noise (with the spread).

    Parameters
    ----------
    model : Sequential
        With two inputs, and a loss for numbers.
    x : array (n, 2)
    y : array (n,) or (n, T)
    output : int
        Which of the T targets to draw.
    resolution : int
        Points along each axis at which the network is evaluated.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> x = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.HalfSquaredError(), random_state=0)
    >>> ax = mg.plotting.regression_surface(model, x, x[:, 0] * x[:, 1])
    >>> ax.collections[-1].get_offsets().shape
    (50, 2)
    """
    fix = "choose two features, or regression_curve for one"
    x = inputs.samples_of_width(model, x, 2, "regression_surface", fix)
    targets = _targets(model, x, y, output, "regression_surface")
    (across, up), points = inputs.grid(x, resolution)
    law = forecast(model, points, output)
    ax = style.axes(ax)
    surface = law.mean.reshape(resolution, resolution)
    low, high = min(targets.min(), surface.min()), max(targets.max(), surface.max())
    locator = require("matplotlib.ticker", "plot").MaxNLocator(20)
    levels = locator.tick_values(low, high if high > low else low + 1)
    filled = ax.contourf(across, up, surface, levels=levels, cmap=style.AMOUNT)
    deviation = law.spread
    if isinstance(model.loss, GaussianNLL) and law.interval is not None:
        deviation = (law.interval[1] - law.interval[0]) / 4
    title = "Prediction (surface) and targets (dots)"
    if deviation is not None and np.ptp(deviation) > 0:
        table = deviation.reshape(resolution, resolution)
        lines = ax.contour(across, up, table, 5, colors="white", linestyles="--", linewidths=1.0)
        ax.clabel(lines, fontsize="small")
        title += "; dashed: standard deviation"
    shown = {"c": targets, "cmap": filled.cmap, "norm": filled.norm}
    ax.scatter(*x.T, **shown, s=28, edgecolors="white", linewidths=0.7, zorder=3)
    ax.figure.colorbar(filled, ax=ax, label="y")
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    ax.set_title(title, fontsize="medium")
    return ax


def _targets(model: Network, x: Array, y: Any, output: int, picture: str) -> Array:
    """The target to draw, `(n,)`."""
    if model.loss.classifies:
        raise TypeError(
            f"{picture} expects a model that predicts numbers, got {model.loss!r}, which is for "
            f"classes; use decision_boundary or confusion_matrix"
        )
    targets = model.checked(x, y, None)[1]
    if targets.ndim == 3 or not 0 <= output < targets.shape[-1]:
        raise ValueError(
            f"output expects one of the targets 0 to {targets.shape[-1] - 1}, got {output!r} "
            f"for y of shape {np.shape(y)}; number them from 0"
        )
    return targets[:, output]
