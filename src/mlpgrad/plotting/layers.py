"""The weights of one layer, as a table or as images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arguments import is_integer, shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.plotting import inputs, style

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

SMALLEST_IMAGE = 16
"""A first layer with at least this many inputs, a square number, is assumed to see an image."""


@suggesting
def weights(
    model: Network,
    layer: int | str = 0,
    *,
    image_shape: tuple[int, int] | bool | None = None,
    ax: Any = None,
) -> Any:
    """Draw the weights of one layer: blue above zero, orange below, white at zero.

    If the inputs are the pixels of an image, the weights into each unit are drawn as a small image:
    the pattern to which the unit responds. Otherwise the weights are drawn as a table with one row
    for each input, one column for each unit, and the bias in the last row.

    Parameters
    ----------
    model : Sequential
        One network, not an ensemble.
    layer : int or str, default 0
        The position of a layer with weights, as in `model.summary()`: 0, or "2.0" for a layer
        inside layer 2. Negative numbers count from the last layer.
    image_shape : tuple (height, width), or bool, optional
        The shape of the image that the inputs form. True stands for a square image, False draws a
        table. By default the inputs of the first layer with parameters are assumed to be a square
        image if their number is 16, 25, 36 ..., and all other layers are drawn as tables.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    ValueError
        If the model is an ensemble, there is no layer with weights at that position, or its inputs
        do not form an image of that shape.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.digits()
    >>> model = mg.Sequential([mg.Dense(64, 10)], loss=mg.SoftmaxCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.01), epochs=3, verbose=0)
    >>> ax = mg.plotting.weights(model, image_shape=False)  # 64 inputs and the bias
    >>> ax.images[0].get_array().shape
    (65, 10)
    >>> ax = mg.plotting.weights(model)  # ten images of 8 x 8 with lines between them
    >>> ax.images[0].get_array().shape
    (17, 44)
    """
    style.check_axes(ax)
    inputs.one_network(model, "weights")
    position, chosen = _find(model, layer)
    table, bias = chosen.params.weights, getattr(chosen.params, "bias", None)
    shape = _shape_of_images(model, chosen, image_shape)
    ax = style.axes(ax)
    title = f"Weights of layer {position}, {chosen!r}"
    if shape is None:
        image = _draw_table(ax, table, bias)
    else:
        image = _draw(ax, mosaic(table, shape))
        ax.set(xticks=[], yticks=[])
        title += ": one image for each unit"
        if bias is not None:
            ax.set_xlabel(f"biases (not shown): {bias.min():.2g} to {bias.max():.2g}")
    ax.set_title(title, fontsize="medium")
    ax.figure.colorbar(image, ax=ax, label="weight", shrink=0.8)
    return ax


def mosaic(table: Array, shape: tuple[int, int]) -> Array:
    """Each column of `table: (height * width, O)` as an image, with lines of NaN between images.

    Examples
    --------
    >>> mosaic(np.array([[1.0, 3.0], [2.0, 4.0]]), (1, 2)).tolist()
    [[1.0, 2.0], [nan, nan], [3.0, 4.0]]
    """
    count, (height, width) = table.shape[1], shape
    least = math.ceil(math.sqrt(count * height / width))
    # prefer full rows, with up to twice as many columns as make a square
    columns = next((n for n in range(least, 2 * least + 1) if count % n == 0), least)
    rows = -(-count // columns)
    tiles = np.full((rows * columns, height + 1, width + 1), np.nan)
    tiles[:count, :height, :width] = table.T.reshape(count, height, width)
    laid = tiles.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
    return laid.reshape(rows * (height + 1), -1)[:-1, :-1]


def _draw_table(ax: Any, table: Array, bias: Array | None) -> Any:
    """Draw one row for each input, and one for the bias."""
    if bias is not None:
        table = np.vstack([table, bias])
    image = _draw(ax, table, aspect="auto" if max(table.shape) > 4 * min(table.shape) else None)
    ax.set(xlabel="unit j of this layer", ylabel="input i")
    style.whole_numbers(ax.xaxis)
    last = len(table) - 1
    if bias is None:
        style.whole_numbers(ax.yaxis)
    else:
        ax.axhline(last - 0.5, color=style.INK, lw=1)
        step = -(-last // 10)
        ticks = [i for i in range(0, last, step) if last - i >= step or i == 0]
        ax.set_yticks([*ticks, last], [*map(str, ticks), "bias"])
    return image


def _draw(ax: Any, table: Array, **options: Any) -> Any:
    """Draw numbers in colours, with white at zero."""
    largest = float(np.nanmax(np.abs(table))) or 1.0
    colours = style.signed().with_extremes(bad="#d9d9d9")
    limits = {"vmin": -largest, "vmax": largest}
    return ax.imshow(table, cmap=colours, interpolation="nearest", **limits, **options)


def _find(model: Network, position: int | str) -> tuple[str, Layer]:
    """The position and the layer; raise ValueError if none with weights is there."""
    known = {name: layer for name, layer in walk(model.layers) if "weights" in set(layer.params)}
    name = str(position)
    if isinstance(position, int) and position < 0:
        name = str(len(model.layers) + position)
    if name not in known:
        choices = ", ".join(f"{n} {layer!r}" for n, layer in known.items()) or "none"
        raise ValueError(
            f"layer expects the position of a layer with weights, got {shown(position)}; "
            f"there are: {choices}"
        )
    return name, known[name]


def _shape_of_images(
    model: Network, layer: Layer, asked: tuple[int, int] | bool | None
) -> tuple[int, int] | None:
    """Height and width of the images that a layer's inputs form; None if they form no image."""
    width = len(layer.params.weights)
    side = math.isqrt(width)
    if asked is False:
        return None
    if asked is None or asked is True:
        first = next(found for _, found in walk(model.layers) if len(found.params))
        square = side * side == width and width >= SMALLEST_IMAGE and layer is first
        if asked is True and side * side != width:
            raise ValueError(
                f"image_shape=True expects a square number of inputs, got {width}; "
                f"give image_shape=(height, width)"
            )
        return (side, side) if square or asked else None
    sides = asked if isinstance(asked, (tuple, list)) else ()
    whole = len(sides) == 2 and all(is_integer(side) and side > 0 for side in sides)
    if not whole or sides[0] * sides[1] != width:
        raise ValueError(
            f"image_shape expects (height, width) with height * width = {width} inputs, got "
            f"{shown(asked)}; change the shape, or pass image_shape=False for a table"
        )
    return int(sides[0]), int(sides[1])
