"""Per-example gradients, from what the layers hold after one step.

After a step each layer has its inputs x and deltas, a row for each sample. The gradient of sample
b in a Dense layer is the outer product of row b of both, x_b^T delta_b. Nothing is therefore
computed twice, and the squared norm ||x_b||^2 ||delta_b||^2 does not need the outer product.
Goodfellow 2015, "Efficient per-example gradient computations". Layers of other kinds are run once
more, as an ensemble with a copy of the parameters for each sample.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.plan import plan_of
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_backward, run_forward, walk
from mlpgrad.layers.dense import Dense
from mlpgrad.network.network import Network
from mlpgrad.network.storage import Slot, bind, lay_out


def write_gradients(network: Network, scale: Any, out: Array) -> None:
    """Write the gradient of each row of the last step, without penalties.

    Parameters
    ----------
    network : Network
        The network after a step.
    scale : number or array (..., 1, 1)
        Factor of the rows' deltas.
    out : array (..., B, P)
        The result; the sum over B, divided by `scale`, is that of the step.
    """
    for layer, slots in plan_of(network).units:
        assert layer._inputs is not None
        assert layer._delta is not None
        x, delta = layer._inputs, layer._delta * scale
        if type(layer) is Dense:
            _outer_products(x, delta, slots, out)
        else:
            part = out[..., slots[0].start : slots[-1].stop]
            part[...] = _one_by_one(layer, slots, network, x, delta)


def squared_norms(network: Network, added: Array | None) -> Array:
    """Return the squared norms, `(..., B)`, of the gradients of rows, each plus `added (..., P)`.

    They are computed from ||g + r||^2 = ||g||^2 + 2 g r + ||r||^2, without forming gradients of
    Dense layers.
    """
    total: Any = None
    for layer, slots in plan_of(network).units:
        x, delta = layer._inputs, layer._delta
        assert x is not None
        assert delta is not None
        if type(layer) is Dense:
            norms = _dense_norms(x, delta, layer.bias, slots, added)
        else:
            own = _one_by_one(layer, slots, network, x, delta)
            norms = np.vecdot(own, own)
            if added is not None:
                rest = added[..., None, slots[0].start : slots[-1].stop]
                norms += 2 * np.vecdot(own, rest)
        total = norms if total is None else np.add(total, norms, total)
    if total is None:  # there are no parameters
        outputs = network.layers[-1]._outputs
        assert outputs is not None
        return np.zeros(outputs.shape[:-1], network.dtype)
    if added is None:
        return np.asarray(total)
    total += np.vecdot(added, added)[..., None]
    return np.asarray(np.maximum(total, 0.0, out=total))  # where g and r cancel


def _dense_norms(
    x: Array, delta: Array, bias: bool, slots: Sequence[Slot], added: Array | None
) -> Array:
    """`squared_norms` of a Dense layer without ||r||^2; a bias is the weight of an input of 1."""
    norms: Array = np.vecdot(delta, delta)
    norms *= np.vecdot(x, x) + 1.0 if bias else np.vecdot(x, x)
    if added is not None:
        products = x @ slots[0].view(added)
        if bias:
            products = products + slots[1].view(added)[..., None, :]
        norms = norms + 2 * np.vecdot(products, delta)
    return norms


def _outer_products(x: Array, delta: Array, slots: Sequence[Slot], out: Array) -> None:
    """Write x_b^T delta_b and delta_b for each sample."""
    for slot in slots:
        if slot.kind == "bias":
            slot.view(out)[...] = delta
        else:
            np.einsum("...i,...o->...io", x, delta, out=slot.view(out))


def _one_by_one(
    layer: Layer, slots: Sequence[Slot], network: Network, x: Array, delta: Array
) -> Array:
    """Return the gradients `(..., B, p)` of any layer, with each sample as the batch of a copy."""
    lead, count = delta.shape[:-1], int(np.prod(delta.shape[:-1]))

    def repeated(flat: Array) -> Array:
        return np.broadcast_to(flat[..., None, :], (*lead, flat.shape[-1])).reshape(count, -1)

    twin = copy.deepcopy(layer)
    laid_out = lay_out([twin])
    params = repeated(network.params[..., slots[0].start : slots[-1].stop]).copy()
    state = _state_of(layer, network)
    flats = params, np.empty_like(params), repeated(state).copy()
    bind([twin], laid_out, flats, network.rngs)
    run_forward([twin], np.broadcast_to(x, (*lead, x.shape[-1])).reshape(count, 1, -1))
    run_backward([twin], delta.reshape(count, 1, -1))
    return flats[1].reshape(*lead, -1)


def _state_of(layer: Layer, network: Network) -> Array:
    """Return the statistics of a layer and of those inside it."""
    inside = {id(part) for _, part in walk([layer])}
    slots = [slot for slot in network.statistics if id(slot.layer) in inside]
    start, stop = (slots[0].start, slots[-1].stop) if slots else (0, 0)
    return network.state[..., start:stop]
