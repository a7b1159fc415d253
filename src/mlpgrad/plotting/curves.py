"""Learning curves: the values recorded in training, by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.advice import nearest
from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.plotting import style
from mlpgrad.training.monitor import larger_is_better

PAIRS = (
    (style.BLUE, style.VERMILLION),
    (style.GREEN, style.PURPLE),
    (style.SKY, style.ORANGE),
    (style.GREY, style.BROWN),
)
"""The colours of a quantity: on the training set, and on the validation set."""


@suggesting
def learning_curves(
    history: Mapping[str, Any], *, names: Sequence[str] | None = None, ax: Any = None
) -> Any:
    """Draw losses or metrics over the epochs, and mark the best epoch of the validation set.

    The best epoch is that of the first of `names` that was measured on the validation set: the
    epoch with the lowest loss or the best value of the metric. A metric that does not declare
    whether larger values are better is not marked.

    Training values are a solid line, validation values a dashed one. For an ensemble the line is
    the mean of the members, and a band reaches from the lowest to the highest member. The scale
    is logarithmic if only losses are drawn and all of them are positive.

    Parameters
    ----------
    history : History, or mapping of str to list
        The result of `fit`: for each name one value per epoch, a number or an array (E,).
    names : str or sequence of str, optional
        The names to draw; by default `loss` and, if it was recorded, `val_loss`.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    KeyError
        If one of `names` was not recorded.
    TypeError
        If `history` is not a mapping.
    ValueError
        If no epoch was recorded.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(100, noise=0.2, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.1), epochs=40, validation_split=0.2,
    ...                     verbose=0)
    >>> ax = mg.plotting.learning_curves(history)
    >>> [line.get_label() for line in ax.lines[:2]]
    ['training loss', 'validation loss']
    """
    style.check_axes(ax)
    names = _chosen(history, names)
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in names))
    ax = style.axes(ax)
    watched = next((n for n in names if n.startswith("val_")), "")
    for name in names:
        base, held_out = name.removeprefix("val_"), name.startswith("val_")
        table = np.array(history[name], float)
        colour = PAIRS[bases.index(base) % len(PAIRS)][held_out]
        mean_and_range(ax, table, color=colour, label=_label(name), ls="--" if held_out else "-")
        if name == watched:
            _mark_best(ax, _mean(table), colour, larger_is_better(name))
    ax.set(xlabel="epoch", ylabel=bases[0].replace("_", " ") if len(bases) == 1 else "value")
    ax.set_title("Training")
    losses = all(base.endswith("loss") for base in bases)
    if losses and all(np.min(history[name]) > 0 for name in names):
        ax.set_yscale("log")
    style.whole_numbers(ax.xaxis)
    ax.legend()
    return ax


def mean_and_range(ax: Any, table: Array, *, color: Any, **options: Any) -> None:
    """Draw values `(epochs,)` as a line, values `(epochs, E)` as their mean and their range."""
    epochs = np.arange(1, len(table) + 1)
    marker = "o" if len(table) == 1 else None  # a line through one point is invisible
    ax.plot(epochs, _mean(table), color=color, marker=marker, **options)
    if table.ndim == 2:
        low, high = table.min(axis=1), table.max(axis=1)
        ax.fill_between(epochs, low, high, color=color, alpha=0.2, lw=0)


def _mean(table: Array) -> Array:
    return table if table.ndim == 1 else table.mean(axis=1)


def _mark_best(ax: Any, mean: Array, colour: str, larger: bool | None) -> None:
    if larger is None or np.isnan(mean).all():
        return
    best = int(np.nanargmax(mean) if larger else np.nanargmin(mean))
    label = f"best epoch: {best + 1}"
    ax.plot([best + 1], [mean[best]], ls="", marker="o", color=colour, mec=style.INK, label=label)


def _chosen(history: Any, names: Sequence[str] | None) -> list[str]:
    """The names to draw; raise an error if one of them is not recorded."""
    if not isinstance(history, Mapping):
        raise TypeError(
            f"learning_curves expects the History that fit returns, got {type(history).__name__}; "
            f"write history = model.fit(...)"
        )
    chosen = [n for n in ("loss", "val_loss") if n in history] if names is None else names
    if not isinstance(chosen, (str, list, tuple, set, dict)):
        raise TypeError(f"names expects a list of names such as ['loss'], got {shown(chosen)}")
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    for name in chosen:
        if not isinstance(name, str):
            raise TypeError(f"names expects names such as 'loss', got {shown(name)}")
        if name not in history:
            raise KeyError(f"names: the history has no {name!r}{nearest(name, history)}")
    if not chosen or not all(len(history[name]) for name in chosen):
        raise ValueError("learning_curves expects at least one epoch, got none; call fit first")
    return chosen


def _label(name: str) -> str:
    """A recorded name in words: `val_loss` is the validation loss."""
    if name == "learning_rate":
        return "learning rate"
    part = "validation" if name.startswith("val_") else "training"
    return f"{part} {name.removeprefix('val_').replace('_', ' ')}"
