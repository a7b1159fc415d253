"""The prediction of a network with two inputs, as a surface in colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.described import suggesting
from mlpgrad._core.extras import require
from mlpgrad.plotting import inputs, style
from mlpgrad.plotting.forecast import forecast

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


@suggesting
def regression_surface(
    model: Network,
    x: Any,
    y: Any,
    *,
    output: int = 0,
    resolution: int = 100,
    samples: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw what a model with two inputs predicts as colours, and the samples in the same colours.

    A sample that hardly stands out is predicted well. Dashed lines are contours of the standard
    deviation, as in `model.predict(x, std=True)`: of the members of an ensemble, of a Laplace
    approximation, and of the noise if it is known.

    Parameters
    ----------
    model : Sequential
        A model with two inputs and a regression loss.
    x : array (n, 2)
        The samples; the picture covers their range and a margin of 15 %.
    y : array (n,) or (n, T)
        The targets: the colours of the dots.
    output : int, default 0
        The index of the target to draw, from 0 to T - 1.
    resolution : int, default 100
        The number of points along each axis at which the network is evaluated.
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
        If the model does not have two inputs, there is no target number `output`, `resolution` is
        not an int >= 2, or `samples` is given without Dropout layers.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> x = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.HalfSquaredError(), random_state=0)
    >>> y = x[:, 0] * x[:, 1]
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=100, verbose=0)
    >>> ax = mg.plotting.regression_surface(model, x, y)
    >>> ax.collections[-1].get_offsets().shape
    (50, 2)
    """
    style.check_axes(ax)
    fix = "choose two features, or use regression_curve for one"
    x = inputs.samples_of_width(model, x, 2, "regression_surface", fix)
    targets = inputs.one_target(model, x, y, output, "regression_surface")
    (across, up), points = inputs.grid(x, resolution)
    law = forecast(model, points, output, samples)
    ax = style.axes(ax)
    surface = law.mean.reshape(resolution, resolution)
    low, high = min(targets.min(), surface.min()), max(targets.max(), surface.max())
    locator = require("matplotlib.ticker", "plot").MaxNLocator(20)
    levels = locator.tick_values(low, high if high > low else low + 1)
    filled = ax.contourf(across, up, surface, levels=levels, cmap=style.AMOUNT)
    deviation = law.std
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
