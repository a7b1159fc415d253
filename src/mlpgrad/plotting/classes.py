"""The confusion matrix: which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.plotting import inputs, style

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


def confusion_matrix(
    model: Network,
    x: Any,
    y: Any,
    *,
    labels: Sequence[Any] | None = None,
    normalize: bool = False,
    ax: Any = None,
) -> Any:
    """Draw how many samples of each class (rows) are predicted as which class (columns).

    Right answers are on the diagonal. An ensemble answers with its mean probability.

    Parameters
    ----------
    model : Sequential
        With a loss for classes.
    x : array (n, I)
    y : array (n,)
        Classes.
    labels : sequence, optional
        Names of the classes; by default their numbers.
    normalize : bool
        Whether to show shares of each row instead of counts.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> ax = mg.plotting.confusion_matrix(model, x, y)
    >>> ax.images[0].get_array().sum()
    np.int64(4)
    """
    x = inputs.samples(model, x)
    fix = "use regression_curve or regression_surface"
    inputs.classifier(model, "confusion_matrix", fix)
    true = model.loss.true_classes(model.checked(x, y, None)[1])
    probabilities = inputs.class_probabilities(model, x)
    mean = probabilities.mean(axis=0) if model.lead else probabilities
    counts = np.zeros((mean.shape[-1],) * 2, int)
    np.add.at(counts, (true, mean.argmax(axis=-1)), 1)
    names = list(range(len(counts))) if labels is None else list(labels)
    if len(names) != len(counts):
        raise ValueError(
            f"labels expects {len(counts)} names, one a class, got {len(names)}; "
            f"leave it out to show the classes' numbers"
        )
    right = np.trace(counts) / counts.sum()
    ax = style.axes(ax)
    _draw(ax, _shares(counts) if normalize else counts, "{:.2f}" if normalize else "{:,}")
    ticks = range(len(names))
    rotation = 45 if max(len(str(name)) for name in names) > 3 else 0
    ax.set_xticks(ticks, names, rotation=rotation)
    ax.set_yticks(ticks, names)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.set_title(f"{right:.1%} of {counts.sum():,} samples are right")
    return ax


def _shares(counts: Array) -> Array:
    """Each row's shares; a class without samples has none."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # type: ignore[no-any-return]


def _draw(ax: Any, table: Array, form: str) -> None:
    """Draw the cells, each with its number in ink that can be read on it."""
    image = ax.imshow(table, cmap="Blues", vmin=0)
    size = "medium" if len(table) <= 12 else "x-small"
    for (row, column), value in np.ndenumerate(table):
        ink = style.ink_on(image.to_rgba(value)) if value else style.GREY
        text = form.format(value) if value else "0"
        ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
