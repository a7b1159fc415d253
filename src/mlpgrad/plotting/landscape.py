"""The loss on a plane through the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.arrays import Array
from mlpgrad.plotting import inputs, style
from mlpgrad.training.evaluate import evaluate

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

AT_ONCE = 1 << 22
"""Numbers that the networks evaluated together may hold: 16 MB of float32."""
ROWS_AT_ONCE = 1024  # of `evaluate`


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

    The star is where the network is. The directions are random and filter-normalised: the
    weights into each unit change by as much as their own length, and biases stay (Li, Xu, Taylor,
    Studer and Goldstein 2018, "Visualizing the loss landscape of neural nets"). The scale of the
    colours is logarithmic where the loss spans more than a factor of ten. The model stays as it
    is.

    Parameters
    ----------
    model : Sequential
        One network.
    x, y : arrays
        As for `evaluate`.
    directions : two arrays (P,), optional
        In the order of `model.params`, for instance to another solution.
    span : float
        How far to go, in lengths of the directions.
    resolution : int
        Points along each direction; odd, so that one is the network itself.
    random_state : int, numpy.random.Generator or None
        Of the random directions.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> ax = mg.plotting.loss_landscape(model, x, y, resolution=11)
    >>> ax.get_title()
    'Loss around the network (star)'
    """
    inputs.one_network(model, "loss_landscape")
    if not isinstance(resolution, (int, np.integer)) or resolution < 3:
        raise ValueError(f"resolution expects an int >= 3, got {resolution!r}; 41 is usual")
    if not span > 0:
        raise ValueError(f"span expects a number > 0, got {span!r}; 1 is usual")
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
    """Two random directions whose part for each unit is as long as the weights into that unit."""
    (rng,) = checks.random_generators(random_state, 1)
    directions = np.zeros((2, model.params.size))
    for slot in model.parameters:
        if len(slot.shape) != 2:
            continue  # biases and scales stay, as in the paper
        weights = slot.view(model.params)
        for direction in directions:
            drawn = rng.standard_normal(slot.shape)
            drawn *= np.linalg.norm(weights, axis=0) / np.linalg.norm(drawn, axis=0)
            slot.view(direction)[...] = drawn
    return directions[0], directions[1]


def losses_at(model: Network, x: Any, y: Any, steps: Array, plane: Array) -> Array:
    """The objective at `params + steps @ plane`, in prediction mode, many networks at a time."""
    rows = min(len(x), ROWS_AT_ONCE)
    widths = sum(layer.out_features or 0 for layer in model.layers) + (model.in_features or 1)
    together = max(1, AT_ONCE // (2 * rows * widths + 4 * model.params.size))
    losses, data = [], model.checked(x, y, None)
    for part in np.array_split(steps, -(-len(steps) // together)):
        networks = model.tiled(len(part))
        networks.params = model.params + part @ plane
        with np.errstate(over="ignore", invalid="ignore"):  # far away a loss may overflow
            losses.append(evaluate(networks, *data, [])["loss"])
    return np.concatenate(losses)


def _draw(ax: Any, steps: Array, losses: Array) -> None:
    """Draw filled contours with lines, and their colour bar."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        raise ValueError("loss_landscape found no finite loss on the plane; lower span")
    low, high = float(finite.min()), float(finite.max())
    high = high if high > low else low + 1.0
    logarithmic = low > 0 and high / low > 10
    levels = np.geomspace(low, high, 25) if logarithmic else np.linspace(low, high, 25)
    levels[0], levels[-1] = low, high  # exactly: the ends are values that must be inside
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
        plane = np.array([np.asarray(d, float) for d in directions])
    except (TypeError, ValueError):
        plane = np.empty(0)
    if plane.shape != (2, model.params.size):
        shapes = [np.shape(d) for d in directions] if np.iterable(directions) else directions
        raise ValueError(
            f"directions expects two arrays of shape {model.params.shape}, as model.params, "
            f"got {shapes}; leave them out for random ones"
        )
    checks.finite(plane, "directions")
    return plane
