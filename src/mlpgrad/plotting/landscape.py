"""The loss on a plane through the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.network.prediction import ROWS_AT_ONCE
from mlpgrad.plotting import inputs, style
from mlpgrad.training.evaluate import evaluate

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

LARGEST_SPAN = 1_000_000
AT_ONCE = 1 << 22
"""The largest total size of networks that are evaluated together: 16 MB in float32."""


@suggesting
def loss_landscape(
    model: Network,
    x: Any,
    y: Any,
    *,
    directions: Sequence[Any] | None = None,
    span: float = 1.0,
    resolution: int = 41,
    random_state: int | np.random.Generator | None = 0,
    ax: Any = None,
) -> Any:
    """Draw L(params + a d_1 + b d_2) for a and b between -span and span.

    A star marks the network itself, at a = b = 0. By default the directions d_1 and d_2 are random
    and filter-normalized: in each direction the weights into each unit form a vector as long as
    the unit's own weight vector, and biases do not change (Li, Xu, Taylor, Studer and Goldstein
    2018, "Visualizing the loss landscape of neural nets"). The colour scale is logarithmic if the
    loss spans more than a factor of ten. The model is not changed.

    Parameters
    ----------
    model : Sequential
        One network, not an ensemble.
    x : array (n, I)
        The samples on which the loss is evaluated.
    y : array (n, O), or classes (n,)
        The targets.
    directions : two arrays (P,), optional
        d_1 and d_2 in the order of `model.params`, for instance the difference to the parameters
        of another network; by default random.
    span : float, default 1.0
        The largest step along each direction, in units of that direction's length.
    resolution : int, default 41
        The number of points along each direction; with an odd number one point is the network
        itself.
    random_state : int, numpy.random.Generator or None, default 0
        The seed or generator for the random directions; with None they differ at each call.
    ax : matplotlib Axes, optional
        Where to draw; by default the Axes of a new figure.

    Returns
    -------
    matplotlib Axes
        The Axes with the picture.

    Raises
    ------
    ValueError
        If the model is an ensemble, an option is outside its range, `directions` are not two
        arrays of finite numbers in the shape of `model.params`, or no loss on the plane is finite.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.1), epochs=100, verbose=0)
    >>> ax = mg.plotting.loss_landscape(model, x, y, resolution=21, random_state=0)
    >>> ax.get_title()
    'Loss around the network (star)'
    """
    style.check_axes(ax)
    inputs.one_network(model, "loss_landscape")
    resolution = arguments.count(resolution, "resolution", 3, 1000, fix="41 is usual")
    if not checks.is_within(span, 0, LARGEST_SPAN, open_below=True):
        raise ValueError(
            f"span expects a number > 0, got {arguments.shown(span)}; below {LARGEST_SPAN:,}, "
            f"1 is usual"
        )
    span = float(span)
    if directions is None:
        directions = filter_normalised(model, random_state)
    plane = _checked(directions, model)
    steps = np.linspace(-span, span, resolution)
    across, up = (part.ravel() for part in np.meshgrid(steps, steps))
    losses = losses_at(model, x, y, np.stack([across, up], axis=1), plane)
    ax = style.axes(ax)
    _draw(ax, steps, losses.reshape(resolution, resolution))
    ax.plot([0], [0], marker="*", ms=14, color="white", mec="black", ls="")
    ax.set(xlabel="step along direction 1", ylabel="step along direction 2")
    ax.set_title("Loss around the network (star)")
    return ax


def filter_normalised(
    model: Network, random_state: int | np.random.Generator | None
) -> tuple[Array, Array]:
    """Two random directions: for each unit as long as the vector of the weights into that unit."""
    (rng,) = checks.random_generators(random_state, 1)
    directions = np.zeros((2, model.params.size))
    for slot in model.parameters:
        if len(slot.shape) != 2:
            continue  # biases and gains do not change, as in the paper
        weights = slot.view(model.params)
        for direction in directions:
            drawn = rng.standard_normal(slot.shape)
            drawn *= np.linalg.norm(weights, axis=0) / np.linalg.norm(drawn, axis=0)
            slot.view(direction)[...] = drawn
    return directions[0], directions[1]


def losses_at(model: Network, x: Any, y: Any, steps: Array, plane: Array) -> Array:
    """The objective at `params + steps @ plane` in prediction mode, for many networks at once."""
    data = model.checked(x, y, None)
    rows = min(data[0].shape[-2], ROWS_AT_ONCE)
    widths = sum(layer.out_features or 0 for layer in model.layers) + (model.in_features or 1)
    together = max(1, AT_ONCE // (2 * rows * widths + 4 * model.params.size))
    losses = []
    for part in np.array_split(steps, -(-len(steps) // together)):
        networks = model.tiled(len(part))
        networks.params = model.params + part @ plane
        with np.errstate(over="ignore", invalid="ignore"):  # far away a loss may overflow
            losses.append(evaluate(networks, *data, [])["loss"])
    return np.concatenate(losses)


def _draw(ax: Any, steps: Array, losses: Array) -> None:
    """Draw filled contours, contour lines and a colour bar."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        raise ValueError("loss_landscape found no finite loss on the plane; lower span")
    low, high = float(finite.min()), float(finite.max())
    high = high if high > low else low + 1.0
    logarithmic = low > 0 and high / low > 10
    levels = np.geomspace(low, high, 25) if logarithmic else np.linspace(low, high, 25)
    levels[0], levels[-1] = low, high  # exactly, since rounding must not exclude the extreme values
    shown = np.ma.masked_invalid(losses)
    options = {"norm": "log"} if logarithmic else {}
    filled = ax.contourf(steps, steps, shown, levels=levels, cmap=style.AMOUNT, **options)
    ax.contour(steps, steps, shown, levels=levels[::4], colors="white", linewidths=0.6, alpha=0.7)
    bar = ax.figure.colorbar(filled, ax=ax, label="loss", format="%.3g")
    bar.set_ticks(levels[::4])
    bar.minorticks_off()


def _checked(directions: Any, model: Network) -> Array:
    """Two directions as rows `(2, P)`."""
    try:
        given = [arguments.numbers(d, "directions", "biuf") for d in directions]
        plane = np.array([direction.astype(float) for direction in given])
    except (TypeError, ValueError):
        plane = np.empty(0)
    if plane.shape != (2, model.params.size):
        shapes = arguments.shown(directions)
        raise ValueError(
            f"directions expects two arrays of shape {model.params.shape}, as model.params, "
            f"got {shapes}; leave them out for random ones"
        )
    checks.finite(plane, "directions")
    return plane
