"""The loss at each learning rate of a range test."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.described import suggesting
from mlpgrad.plotting import style


@suggesting
def range_test(test: Any, *, ax: Any = None) -> Any:
    """Draw the smoothed loss at each learning rate, and mark the suggestion.

    Both scales are logarithmic, that of the loss only if all losses are positive. A good learning
    rate is where the curve falls steeply, well before its minimum.

    Parameters
    ----------
    test : RangeTest
        The result of `model.learning_rate_range_test`.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    TypeError
        If `test` is not the result of a range test.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 16), mg.Tanh(), mg.Dense(16, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> test = model.learning_rate_range_test(x, y, optimizer=mg.Adam())
    >>> ax = mg.plotting.range_test(test)
    >>> ax.get_xscale(), len(ax.lines)
    ('log', 2)
    """
    if not hasattr(test, "suggestion"):
        raise TypeError(
            f"test expects what model.learning_rate_range_test(...) returns, "
            f"got {arguments.shown(test)}"
        )
    style.check_axes(ax)
    ax = style.axes(ax)
    ax.plot(test.learning_rates, test.losses, color=style.BLUE, label="training loss, smoothed")
    suggestion = f"suggestion: {test.suggestion:.2g}"
    ax.axvline(test.suggestion, color=style.VERMILLION, ls="--", label=suggestion)
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss", title="Learning-rate range test")
    if np.min(test.losses) > 0:
        ax.set_yscale("log")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax
