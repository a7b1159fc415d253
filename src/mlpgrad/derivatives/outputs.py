"""The Jacobian of a network's outputs with respect to its parameters or inputs."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.modes import predicting
from mlpgrad.derivatives.samples import write_gradients
from mlpgrad.layers.chain import giving_input_delta, run_backward, run_forward
from mlpgrad.network.network import Network

ROWS_AT_ONCE = 1024  # rows of a batch, one for each output of a sample; bounds the memory


def jacobian_to_parameters(network: Network, x: Array, out_features: int) -> Array:
    """Return d(output)/d(params) of predictions, `(..., B, O, P)`, for a checked `x`."""
    parameters = network.params.shape[-1]
    samples = x.shape[-2]
    out = np.empty((*network.lead, samples * out_features, parameters), network.dtype)
    network = predicting(network)
    for rows in _blocks(samples, out_features):
        _send_back(network, x[..., rows, :], out_features)
        part = out[..., rows.start * out_features : rows.stop * out_features, :]
        write_gradients(network, 1, part)
    return out.reshape(*network.lead, samples, out_features, parameters)


def jacobian_to_inputs(network: Network, x: Array, out_features: int) -> Array:
    """Return d(output)/d(x) of predictions, `(..., B, O, I)`, for a checked `x`."""
    samples = x.shape[-2]
    out = np.empty((*network.lead, samples * out_features, x.shape[-1]), network.dtype)
    network = predicting(network)
    with giving_input_delta(network.layers):
        for rows in _blocks(samples, out_features):
            delta = _send_back(network, x[..., rows, :], out_features)
            out[..., rows.start * out_features : rows.stop * out_features, :] = delta
    return out.reshape(*network.lead, samples, out_features, x.shape[-1])


def _blocks(samples: int, out_features: int) -> list[slice]:
    """Return slices of some samples at a time."""
    size = max(ROWS_AT_ONCE // out_features, 1)
    return [slice(i, min(i + size, samples)) for i in range(0, samples, size)]


def _send_back(network: Network, x: Array, out_features: int) -> Array | None:
    """Run each sample once for each output, with a delta for that output only."""
    rows = x.repeat(out_features, axis=-2).astype(network.dtype, copy=False)
    prediction = run_forward(network.layers, rows)
    one = np.eye(out_features, dtype=network.dtype)
    delta = np.tile(one, (x.shape[-2], 1))
    return run_backward(network.layers, np.broadcast_to(delta, prediction.shape).copy())
