"""Warnings about training that cannot learn, after the first epoch and at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, counting, weighted
from mlpgrad._core.training_warning import warn
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.layers.dense import Dense
from mlpgrad.layers.normalization import BatchNorm
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network
from mlpgrad.network.warnings import bounded_last, constant_layers
from mlpgrad.training.batches import Batches

UNSCALED = 10.0  # targets above this size are far from the outputs of initial weights
MOST = 0.6  # of the targets; if so many lie beyond the limits of the last activation, it is named
BEYOND = 0.35  # in the units of the outputs; SiLU and Mish go 0.31 below their limit of 0
UNSCALED_INPUTS = 100.0  # inputs above this size saturate units, or make large outputs


def warn_after_first_epoch(network: Network, batches: Batches) -> bool:
    """Give a TrainingWarning if the first epoch shows that the network cannot learn.

    Parameters
    ----------
    network : Network
    batches : Batches
        The training data, of which some rows are examined.

    Returns
    -------
    bool
        Whether the reason is known, so that no more warnings follow.
    """
    if any(constant_layers(network.layers)):  # said when the network was built
        return True
    looks: list[Callable[[Network, Batches], str | None]]
    looks = [_single_rows, _alike, _out_of_reach, _dead]
    message = next((text for look in looks if (text := look(network, batches))), None)
    if message is not None:
        warn(message)
    return message is not None


def warn_at_end(network: Network, batches: Batches) -> None:
    """Give a TrainingWarning if training has ended without a use for the inputs."""
    message = _constant(network, batches)
    if message is not None:
        warn(message)
    else:
        _warn_of_large_numbers(network, batches)


def _constant(network: Network, batches: Batches) -> str | None:
    """Check for predictions that are the same for every row, as those of units that have died."""
    outputs = network.layers[-1]._outputs
    found = None if outputs is None or _varies(outputs).all() else batches.sample()
    if found is None:
        return None
    x, target, _ = found
    same = ~_varies(network._predict(x)) & _varies(x).any() & _varies(target).any()
    if not same.any():
        return None
    return (
        f"training ended with the same output for all of {x.shape[-2]} training rows"
        f"{_members(same)}; remove an activation after the last weights if targets lie outside "
        f"its range; else lower the learning rate or the penalties, scale the inputs, or use an "
        f"activation with a slope everywhere, such as LeakyReLU()"
    )


def _warn_of_large_numbers(network: Network, batches: Batches) -> None:
    """Give a TrainingWarning if large targets or inputs lead to no better than the mean target."""
    loss = network.loss
    rows = _counted(batches) if _predicts_numbers(loss) else None
    if rows is None:
        return
    x, target, weights = rows
    reason = _large_targets(network, target) or _large_inputs(network, x)
    if not reason:
        return
    prediction, reader = network._predict(x), loss.reader()
    if prediction.shape[-1] != target.shape[-1]:  # several outputs describe one number
        return
    each = np.ones((x.shape[-2], 1)) if weights is None else weights
    with np.errstate(all="ignore"):
        total = each.sum(axis=-2, keepdims=True, dtype=np.float64)
        mean = weighted(target, each).sum(axis=-2, keepdims=True) / total
        constant = np.broadcast_to(mean, prediction.shape).astype(network.dtype)
        found = np.atleast_1d(np.float64(reader.forward(prediction, target, weights)))
        baseline = np.atleast_1d(np.float64(reader.forward(constant, target, weights)))
    worse = (found >= 0.99 * baseline) & (baseline > 0)
    if worse.any():
        warn(
            f"training ended with a loss of {found[worse].mean():.4g}{_members(worse)}, which is "
            f"no better than predicting the mean of the targets ({baseline.mean():.4g}); {reason}, "
            "or train longer"
        )


def _large_targets(network: Network, target: Array) -> str:
    """Return what to do about targets that are far from the outputs of initial weights, or ""."""
    size = _largest_column(target) if network.scaling_of_targets is None else 0.0
    if not size > UNSCALED:
        return ""
    return (
        f"they are as large as {size:.4g}, while initial weights give outputs of about 1: make "
        'the model with target_scaling="standard"'
    )


def _large_inputs(network: Network, x: Array) -> str:
    """Return what to do about inputs that are far from what initial weights expect, or ""."""
    first = network.layers[0]
    size = _largest_column(x) if isinstance(first, Dense) else 0.0
    if not size > UNSCALED_INPUTS:
        return ""
    return (
        f"inputs are as large as {size:.4g}, while initial weights are drawn for numbers of about "
        f"1: put Standardize({x.shape[-1]}) before layer 0"
    )


def _largest_column(array: Array) -> float:
    """Return the largest root mean square of a column."""
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.square(array, dtype=np.float64).mean(axis=-2).max()))


def _single_rows(network: Network, batches: Batches) -> str | None:
    """Check for BatchNorm in batches of one sample, which have no variance to normalize by."""
    if batches.largest != 1:
        return None
    for position, layer in walk(network.layers):
        if isinstance(layer, BatchNorm):
            return (
                f"layer {position} {layer!r} gets batches of one sample: its output is its bias "
                f"whatever the input is, and the layers before it cannot learn; use a larger "
                f"batch_size, or LayerNorm({layer.features})"
            )
    return None


def _alike(network: Network, batches: Batches) -> str | None:
    """Check for units with equal weights, which get equal gradients and so remain equal."""
    layers = [(p, layer) for p, layer in walk(network.layers) if isinstance(layer, Dense)]
    for position, layer in layers[:-1]:
        weights = layer.params.weights
        if weights.shape[-1] < 2 or not (weights[..., 0, 0] == weights[..., 0, 1]).any():
            continue
        same = np.atleast_1d((weights == weights[..., :1]).all(axis=(-2, -1)))
        if same.any():
            return (
                f"all {weights.shape[-1]} units of layer {position} {layer!r} have the same "
                f"weights after the first epoch{_members(same)}: units that start with equal "
                "weights get equal gradients and act as a single unit; draw the initial weights "
                "at random, as by default, for instance with initializer=HeNormal()"
            )
    return None


def _out_of_reach(network: Network, batches: Batches) -> str | None:
    """Check for targets beyond the limits of an activation after the last weights."""
    told, low, high = bounded_last(network.layers)
    looks = bool(told) and network.params.size > 0 and _predicts_numbers(network.loss)
    found = _counted(batches) if looks else None
    if found is None:
        return None
    _, target, _ = found
    beyond = np.zeros(target.shape, bool)
    for limit, sign in ((low, -1), (high, 1)):
        if limit is not None:
            beyond |= sign * (target - limit) > BEYOND
    share = float(beyond.mean())
    if not share > MOST:
        return None
    scaled = " as scaled for the training" * (network.scaling_of_targets is not None)
    return f"{told}, but {share:.0%} of the targets{scaled} lie beyond; remove that layer"


def _counted(batches: Batches) -> Any:
    """Return some training rows (inputs, targets, weights) with a weight; None without any."""
    found = batches.sample()
    if found is None:
        return None
    x, target, weights = found
    return None if weights is not None and not weights.any() else counting(weights, x, target)


def _predicts_numbers(loss: Loss) -> bool:
    """Return whether the outputs are compared with the targets as they are."""
    return type(loss).numbers is Loss.numbers and not loss.classifies


def _dead(network: Network, batches: Batches) -> str | None:
    """Check for a layer whose output is the same for every row, or that passes no gradient back."""
    found = batches.sample() if _suspicious(network) else None
    if found is None:
        return None
    x, target, weights = found
    if not (_varies(x).any() and _varies(target).any()):
        return None
    twin, rows = network.copy(), x.shape[-2]
    with np.errstate(all="ignore"):
        lost = np.atleast_1d(twin._step(x, target, weights) - twin.penalty()) > 0
    for position, layer in enumerate(twin.layers):
        dead = ~_varies(layer._outputs)
        if dead.any():
            return _dead_message(position, layer, "gives the same output", dead, rows)
    for position in range(len(twin.layers) - 1, 0, -1):
        above, below = twin.layers[position], twin.layers[position - 1]
        dead = lost & _is_zero(below._delta) & ~_is_zero(above._delta)
        if dead.any():
            return _dead_message(position, above, "passes no gradient", dead, rows)
    return None


def _dead_message(position: int, layer: Layer, does: str, dead: Array, rows: int) -> str:
    return (
        f"layer {position} {layer!r} {does} for all of {rows} training rows{_members(dead)}, so "
        f"the weights before it cannot learn; if it is the last layer of a regression, remove "
        f"it; else use an activation with a slope everywhere, such as LeakyReLU(), scale the "
        f"inputs, lower the learning rate, or try another random_state"
    )


def _suspicious(network: Network) -> bool:
    """Return whether the last batch, which the layers still hold, suggests a dead layer."""
    outputs = network.layers[-1]._outputs
    if outputs is None:
        return False
    flat = not _varies(outputs).all()
    return flat or any(_is_zero(layer._delta).any() for layer in network.layers)


def _varies(array: Array | None) -> Array:
    """Return whether the rows differ, for each network: `(1,)` or `(E,)`."""
    if array is None:
        return np.array([True])
    return np.atleast_1d((array != array[..., :1, :]).any(axis=(-2, -1)))


def _is_zero(array: Array | None) -> Array:
    """Return whether all numbers are 0, for each network; False without an array."""
    return np.array([False]) if array is None else np.atleast_1d(~array.any(axis=(-2, -1)))


def _members(mask: Array) -> str:
    """Say for how many members of an ensemble something holds."""
    return f" in {mask.sum()} of {mask.size} members" if mask.size > 1 else ""
