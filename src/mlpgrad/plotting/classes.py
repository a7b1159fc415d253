"""The confusion matrix: which class is mistaken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arguments import flag, rows
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.plotting import inputs, style

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


@suggesting
def confusion_matrix(
    model: Network,
    x: Any,
    y: Any,
    *,
    labels: Sequence[Any] | None = None,
    normalize: bool = False,
    ax: Any = None,
) -> Any:
    """Draw how many samples of each true class (rows) are predicted as each class (columns).

    Correct predictions are on the diagonal. An ensemble predicts the class with the largest mean
    probability.

    Parameters
    ----------
    model : Sequential
        A model with a classification loss.
    x : array (n, I)
        The samples.
    y : array (n,)
        The true class of each sample.
    labels : sequence of length K, optional
        The names of the K classes; by default their indices, 0 to K - 1.
    normalize : bool, default False
        Whether to show each row's fractions instead of counts.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    TypeError
        If the loss is not a classification loss.
    ValueError
        If the loss gives a sample several labels, or `labels` does not have K names.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.digits()
    >>> model = mg.Sequential([mg.Dense(64, 10)], loss=mg.SoftmaxCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.01), epochs=3, verbose=0)
    >>> ax = mg.plotting.confusion_matrix(model, x, y)
    >>> ax.images[0].get_array().sum()
    np.int64(1797)
    """
    style.check_axes(ax)
    x = inputs.samples(model, x)
    fix = "use regression_curve or regression_surface"
    inputs.classifier(model, "confusion_matrix", fix)
    counts = _counts(model, x, y)
    normalize = flag(normalize, "normalize")
    known = model.classes_
    names: list[Any] = list(range(len(counts))) if known is None else known.tolist()
    if labels is not None:
        names = rows(labels, "labels").tolist()
    if len(names) != len(counts):
        raise ValueError(
            f"labels expects {len(counts)} names, one per class, got {len(names)}; "
            f"leave it out to show those of the model"
        )
    correct = np.trace(counts) / counts.sum()
    ax = style.axes(ax)
    _draw(ax, _fractions(counts) if normalize else counts, "{:.2f}" if normalize else "{:,}")
    ticks = range(len(names))
    rotation = 45 if max(len(str(name)) for name in names) > 3 else 0
    ax.set_xticks(ticks, names, rotation=rotation)
    ax.set_yticks(ticks, names)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.set_title(f"{correct:.1%} of {counts.sum():,} samples are classified correctly")
    return ax


def _counts(model: Network, x: Array, y: Any) -> Array:
    """Count the samples of each true class (rows) that are predicted as each class (columns)."""
    true = model.loss.true_classes(inputs.targets_of(model, x, y))
    probabilities = inputs.class_probabilities(model, x)
    mean = probabilities.mean(axis=0) if model.lead else probabilities
    counts = np.zeros((mean.shape[-1],) * 2, int)
    np.add.at(counts, (true, mean.argmax(axis=-1)), 1)
    return counts


def _fractions(counts: Array) -> Array:
    """Each count as a fraction of its row; 0 in the row of a class without samples."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # type: ignore[no-any-return]


def _draw(ax: Any, table: Array, form: str) -> None:
    """Draw the cells, each with its number in black or white, whichever is legible on it."""
    image = ax.imshow(table, cmap="Blues", vmin=0)
    size = "medium" if len(table) <= 12 else "x-small"
    for (row, column), value in np.ndenumerate(table):
        ink = style.ink_on(image.to_rgba(value)) if value else style.GREY
        text = form.format(value) if value else "0"
        ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
