"""The part of a network with uncertain weights, and the layers before it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.outputs import jacobian_to_parameters
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward, walk
from mlpgrad.network.network import Network
from mlpgrad.network.storage import lay_out


class Part:
    """All layers of a network, or those from the last layer with parameters on, in float64.

    Parameters
    ----------
    network : Network
        The network, which is not changed: the part is a copy without penalties and target scaling.
    layers : "all" or "last"
    """

    def __init__(self, network: Network, layers: str) -> None:
        begin = begin_of(network, layers)
        before = network.lifted(np.float64).layers[:begin] if begin else ()
        self.before: list[Layer] = [layer.reader() for layer in before]
        (params, state), (own_params, own_state) = (
            map(_size, lay_out(some)) for some in (network.layers[:begin], network.layers[begin:])
        )
        described = network._described() | {
            "layers": network.layers[begin:],
            "penalties": (),
            "dtype": np.dtype(np.float64),
            "target_scaling": None,
            "params": network.params[..., params : params + own_params].astype(np.float64),
            "state": network.state[..., state : state + own_state].astype(np.float64),
            "_uncertainty": None,
        }
        self.network = Network.__new__(Network)
        self.network.__setstate__(copy.deepcopy(described))

    def inputs(self, x: Array) -> Array:
        """Return the inputs of the part for checked inputs of the network."""
        with np.errstate(all="ignore"):
            return run_forward(self.before, x.astype(np.float64)).copy()

    def jacobian(self, inputs: Array) -> Array:
        """d(output)/d(parameters of the part), `(..., B, O, P)`, for `inputs(x)`."""
        outputs = self.network.out_features or inputs.shape[-1]
        return jacobian_to_parameters(self.network, inputs, outputs)


def begin_of(network: Network, layers: str) -> int:
    """Return the index of the first layer of a part: 0, or that of the last with parameters."""
    owners = {id(slot.layer) for slot in network.parameters}
    with_parameters = [
        index
        for index, layer in enumerate(network.layers)
        if any(id(inner) in owners for _, inner in walk([layer]))
    ]
    return 0 if layers == "all" or not with_parameters else with_parameters[-1]


def size_of(network: Network, layers: str) -> int:
    """Return the number of parameters of a part."""
    return _size(lay_out(network.layers[begin_of(network, layers) :])[0])


def _size(slots: Any) -> int:
    """Return the number of elements of some slots, from the first on, in a flat array."""
    return int(slots[-1].stop) if slots else 0
