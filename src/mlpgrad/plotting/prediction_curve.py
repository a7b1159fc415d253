"""The prediction of a network with one input, as a curve with its uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlpgrad._core.described import suggesting
from mlpgrad.plotting import inputs, style
from mlpgrad.plotting.forecast import forecast

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


@suggesting
def regression_curve(
    model: Network,
    x: Any,
    y: Any,
    *,
    output: int = 0,
    resolution: int = 200,
    samples: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw what a model with one input predicts, its uncertainty, and the samples.

    The inner band shows the uncertainty of the mean, plus and minus two standard deviations: the
    spread of an ensemble's members or of MC dropout passes, or the posterior standard deviation of
    a Laplace approximation. The outer band shows in addition the noise, if it is known: predicted
    by GaussianNLL or Poisson, or estimated in `model.uncertainty`. For Quantile it is the range
    from the lowest to the highest level.

    Parameters
    ----------
    model : Sequential
        A model with one input and a regression loss.
    x : array (n, 1)
        The samples; the curve covers their range and a margin of 15 %.
    y : array (n,) or (n, T)
        The targets, drawn as dots.
    output : int, default 0
        The index of the target to draw, from 0 to T - 1.
    resolution : int, default 200
        The number of points at which the network is evaluated.
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
        If the model does not have one input, there is no target number `output`, `resolution` is
        not an int >= 2, or `samples` is given without Dropout layers.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> model = mg.Sequential([mg.Dense(1, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.HalfSquaredError(), random_state=0, ensemble_size=5)
    >>> history = model.fit(x, x**2, optimizer=mg.Adam(0.02), epochs=200, verbose=0)
    >>> ax = mg.plotting.regression_curve(model, x, x**2)
    >>> [label.get_text() for label in ax.get_legend().get_texts()]
    ['disagreement of 5 networks, ± 2 s.d.', 'prediction', 'samples']
    """
    style.check_axes(ax)
    fix = "draw a model of one feature, or use regression_surface for two"
    x = inputs.samples_of_width(model, x, 1, "regression_curve", fix)
    targets = inputs.one_target(model, x, y, output, "regression_curve")
    (across,), points = inputs.grid(x, resolution)
    law = forecast(model, points, output, samples)
    ax = style.axes(ax)
    if law.interval is not None:
        band = {"color": style.PREDICTED, "alpha": 0.15, "lw": 0, "label": law.interval_label}
        ax.fill_between(across, *law.interval, **band)
    if law.spread is not None:
        edges = law.mean - 2 * law.spread, law.mean + 2 * law.spread
        band = {"color": style.PREDICTED, "alpha": 0.35, "lw": 0, "label": law.spread_label}
        ax.fill_between(across, *edges, **band)
    ax.plot(across, law.mean, color=style.PREDICTED, lw=2, label="prediction")
    ax.scatter(x[:, 0], targets, s=14, color=style.INK, alpha=0.7, lw=0, label="samples", zorder=3)
    ax.set(xlabel="x", ylabel="y", xlim=(across[0], across[-1]))
    ax.set_title("Prediction")
    ax.legend()
    return ax
