"""Activations, deltas and gradients of each layer over training."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.advice import nearest
from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.plotting import style
from mlpgrad.plotting.curves import mean_and_range
from mlpgrad.plotting.signal_recorder import LayerSignals

LABELS = {
    "activation": "activations, root mean square",
    "delta": "delta of a sample, root mean square",
    "gradient": "gradient, root mean square",
    "saturated": "share of saturated or dead units",
}


@suggesting
def layer_signals(recorder: LayerSignals, *, what: str = "delta", ax: Any = None) -> Any:
    """Draw the signals of each layer over the epochs, one line per layer, dark (first) to light.

    Where deltas vanish on their way back through the network, the lines lie far apart with the
    dark ones lowest, and the first layers hardly learn. Where deltas explode, the dark lines are
    highest. In a network that trains well the lines lie close together. For an ensemble a line is
    the mean of the members, and a band reaches from the lowest to the highest member.

    Parameters
    ----------
    recorder : LayerSignals
        A callback that was passed to `fit`.
    what : {"delta", "activation", "gradient", "saturated"}, default "delta"
        The signal to draw: one of the names in `recorder.records`, which `LayerSignals` describes.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    TypeError
        If `recorder` is not a LayerSignals.
    ValueError
        If `what` is not one of these names, or nothing was recorded under it.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(100, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> recorder = mg.LayerSignals()
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.01), callbacks=[recorder], verbose=0)
    >>> ax = mg.plotting.layer_signals(recorder)
    >>> [line.get_label() for line in ax.lines]
    ['0 Dense(2, 8)', '2 Dense(8, 1)']
    """
    style.check_axes(ax)
    lines = _recorded(recorder, what)
    ax = style.axes(ax)
    for (layer, table), colour in zip(lines.items(), style.depth_colours(len(lines)), strict=True):
        mean_and_range(ax, table, color=colour, label=layer, lw=1.8)
    ax.set(xlabel="epoch", ylabel=LABELS[what])
    style.whole_numbers(ax.xaxis)
    if what == "saturated":
        ax.set_ylim(-0.02, 1.02)
        ax.set_title("Units that pass on no delta")
    else:
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        if high < 10 * low:  # show at least a decade, so that close lines look close
            middle = np.sqrt(low * high)
            ax.set_ylim(middle / 10**0.5, middle * 10**0.5)
        ax.set_title(_at_a_glance(what, list(lines.values())), fontsize="medium")
    _legend(ax)
    return ax


def _recorded(recorder: LayerSignals, what: str) -> dict[str, Array]:
    """The values of each layer, `(epochs,)` or `(epochs, E)`; raise an error if there are none."""
    if not isinstance(what, str) or what not in LABELS:
        advice = nearest(what, LABELS) if isinstance(what, str) else ""
        raise ValueError(f"what expects one of {sorted(LABELS)}, got {shown(what)}{advice}")
    records = getattr(recorder, "records", None)
    if not isinstance(records, dict):
        raise TypeError(
            f"layer_signals expects an mg.LayerSignals, got {type(recorder).__name__}; "
            f"pass it to fit(callbacks=[recorder]) first"
        )
    lines = {layer: np.array(values, float) for layer, values in records[what].items() if values}
    if not lines:
        raise ValueError(
            f"layer_signals found no {what} recorded; pass the recorder to fit(callbacks=[...])"
            + ("" if what in ("delta", "gradient") else " of a network with activations")
        )
    return lines


def _legend(ax: Any) -> None:
    """Name the layers beside the picture, with the last layer on top: deltas flow down."""
    ax.legend(handles=list(reversed(ax.lines)), title="layer", **style.BESIDE)


def _at_a_glance(what: str, tables: list[Any]) -> str:
    """A title that compares the first layer's signal with the last layer's after the last epoch."""
    first, last = (float(np.mean(tables[i][-1])) for i in (0, -1))
    if len(tables) == 1 or not last or what == "activation":
        return f"Size of each layer's {what}"
    return f"First layer's {what} in the end: {first / last:.1g} times the last's"
