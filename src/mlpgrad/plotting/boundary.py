"""The decision boundary of a classifier with two inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.plotting import inputs, style

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

STRENGTH = 0.65
"""The opacity of a class's colour where the network is certain: samples must stand out."""


@suggesting
def decision_boundary(
    model: Network, x: Any, y: Any, *, resolution: int = 200, ax: Any = None
) -> Any:
    """Draw the class that a classifier with two inputs predicts, and how certain it is.

    Each point has the colour of its most probable class. The less probable that class is, the
    paler is the colour: it is white where all classes are equally probable. The black line is the
    decision boundary. For an ensemble the colours show the mean probability, and thin lines show
    the boundary of each member: where these lines spread, the members disagree.

    Parameters
    ----------
    model : Sequential
        A model with two inputs and a classification loss.
    x : array (n, 2)
        The samples, drawn as markers; the picture covers their range and a margin of 15 %.
    y : array (n,)
        The true class of each sample.
    resolution : int, default 200
        The number of points along each axis at which the network is evaluated.
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
        If the model does not have two inputs, its loss gives a sample several labels, or
        `resolution` is not an int >= 2.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(100, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=20, verbose=0)
    >>> ax = mg.plotting.decision_boundary(model, x, y, resolution=50)
    >>> ax.images[0].get_array().shape
    (50, 50, 3)
    """
    style.check_axes(ax)
    fix = "choose two features, or use confusion_matrix(model, x, y)"
    x = inputs.samples_of_width(model, x, 2, "decision_boundary", fix)
    inputs.classifier(model, "decision_boundary", "use regression_surface(model, x, y)")
    target = inputs.targets_of(model, x, y)
    (across, up), points = inputs.grid(x, resolution)
    probabilities = inputs.class_probabilities(model, points)
    probabilities = probabilities.reshape(*model.lead, resolution, resolution, -1)
    mean = probabilities.mean(axis=0) if model.lead else probabilities
    ax = style.axes(ax)
    half = np.array([across[1] - across[0], up[1] - up[0]]) / 2  # a pixel's centre is its point
    extent = (across[0] - half[0], across[-1] + half[0], up[0] - half[1], up[-1] + half[1])
    ax.imshow(shades(mean), extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    for member in probabilities if model.lead else ():
        _draw_boundary(ax, across, up, member, colors=style.INK, linewidths=0.7, alpha=0.45)
    _draw_boundary(ax, across, up, mean, colors="black", linewidths=2.0)
    _draw_samples(ax, x, model.loss.true_classes(target), _names(model, mean.shape[-1]))
    title = "Class (colour) and certainty (strength)"
    if model.lead:
        title += f"\nthin lines: the boundary of each of {model.ensemble_size} networks"
    ax.set(xlabel="$x_1$", ylabel="$x_2$", xlim=extent[:2], ylim=extent[2:])
    ax.set_title(title, fontsize="medium")
    return ax


def shades(probabilities: Array) -> Array:
    """The most probable class's colour `(..., 3)` for probabilities `(..., K)`; white at 1/K.

    Examples
    --------
    >>> shades(np.array([[0.5, 0.5]])).tolist()
    [[1.0, 1.0, 1.0]]
    """
    classes = probabilities.shape[-1]
    certainty = (probabilities.max(axis=-1, keepdims=True) * classes - 1) / (classes - 1)
    strength = STRENGTH * np.clip(certainty, 0, 1)
    colours = style.class_colours(classes)[probabilities.argmax(axis=-1)]
    return 1 - strength * (1 - colours)  # type: ignore[no-any-return]


def _draw_boundary(ax: Any, across: Array, up: Array, probabilities: Array, **options: Any) -> None:
    """Draw where the most probable class changes: P(k) - max of the others is 0, for each k > 0."""
    # from 1, since a boundary of class 0 is also that of another class
    for k in range(1, probabilities.shape[-1]):
        others = np.delete(probabilities, k, axis=-1).max(axis=-1)
        margin = probabilities[..., k] - others
        if margin.min() < 0 < margin.max():
            ax.contour(across, up, margin, levels=[0.0], **options)


def _names(model: Network, count: int) -> list[str]:
    """Return the names of the classes in the legend."""
    labels = model.labels
    if labels is None or labels.are_indices:
        return [f"class {k}" for k in range(count)]
    return [str(label) for label in labels.classes.tolist()]


def _draw_samples(ax: Any, x: Array, classes: Array, names: list[str]) -> None:
    colours = style.class_colours(len(names))
    for k, name in enumerate(names):
        rows = x[classes == k]
        if len(rows):
            options = {"color": colours[k], "edgecolors": "white", "linewidths": 0.6, "s": 28}
            ax.scatter(*rows.T, marker=style.marker(k), label=name, zorder=3, **options)
    if len(names) <= len(style.CLASSES):
        ax.legend(loc="best", framealpha=0.9)
    else:
        ax.legend(**style.BESIDE)
