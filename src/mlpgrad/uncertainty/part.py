"""The part of a network whose weights a posterior is about, and what comes before it."""

from __future__ import annotations

import copy

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.outputs import jacobian_to_parameters
from mlpgrad.layers.chain import run_forward, walk
from mlpgrad.network.network import Network
from mlpgrad.network.storage import lay_out


class Part:
    """All layers of a network, or those from the last one with parameters on, in float64.

    Parameters
    ----------
    network : Network
        It stays as it is: the part is a copy.
    layers : "all" or "last"
    """

    def __init__(self, network: Network, layers: str) -> None:
        lifted = network.lifted(np.float64)
        begin = begin_of(network, layers)
        self.before = [layer.reader() for layer in lifted.layers[:begin]]
        slots, statistics = lay_out(lifted.layers[:begin])
        self.first = slots[-1].stop if slots else 0
        """The index of its first parameter among those of the network."""
        self.network = Network(
            copy.deepcopy(lifted.layers[begin:]),
            loss=lifted.loss,
            dtype=np.float64,
            ensemble_size=lifted.ensemble_size,
            random_state=0,
        )
        self.network.params = lifted.params[..., self.first :]
        begin = statistics[-1].stop if statistics else 0  # a scaling of targets may come after
        self.network.state = lifted.state[..., begin : begin + self.network.state.shape[-1]]

    def inputs(self, x: Array) -> Array:
        """What the part takes for checked inputs of the network."""
        with np.errstate(all="ignore"):
            return run_forward(self.before, x.astype(np.float64)).copy()

    def jacobian(self, inputs: Array) -> Array:
        """d(output)/d(parameters of the part), `(..., B, O, P)`, for `inputs(x)`."""
        outputs = self.network.out_features or inputs.shape[-1]
        return jacobian_to_parameters(self.network, inputs, outputs)


def begin_of(network: Network, layers: str) -> int:
    """The index of the first layer of a part: 0, or that of the last one that has parameters."""
    owners = {id(slot.layer) for slot in network.parameters}
    with_parameters = [
        index
        for index, layer in enumerate(network.layers)
        if any(id(inner) in owners for _, inner in walk([layer]))
    ]
    return 0 if layers == "all" or not with_parameters else with_parameters[-1]
