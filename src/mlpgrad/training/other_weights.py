"""A network with other weights than it has: made once, and kept for as long as it is the same."""

from __future__ import annotations

from mlpgrad._core.arrays import Array
from mlpgrad._core.changes import Watched
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network
from mlpgrad.training.recorded_step import repeatable


class OtherWeights:
    """A copy of a network that is given other parameters each time.

    Copying the objects of a small network takes longer than evaluating it. The copy is made anew
    where an option has been changed, and always where a class does not say that it keeps nothing
    of its own (`repeatable`).
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._copy: Network | None = None
        self._watched = Watched(())

    def with_params(self, params: Array) -> Network:
        """The network with these parameters; the next call gives the same object others."""
        copied = self._copy
        if copied is None or self._watched.changed(self._things()):
            copied = self.network.copy()
            self._watched = Watched(self._things())
            self._copy = copied if repeatable(self.network, self.network.loss) else None
        copied.params, copied.state = params, self.network.state
        for own, given in zip(copied.rngs, self.network.rngs, strict=True):
            own.bit_generator.state = given.bit_generator.state
        return copied

    def _things(self) -> list[object]:
        network = self.network
        return [*(layer for _, layer in walk(network.layers)), network.loss, *network.penalties]
