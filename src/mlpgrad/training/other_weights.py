"""A copy of a network for other weights, kept as long as the options stay the same."""

from __future__ import annotations

from mlpgrad._core.arrays import Array
from mlpgrad._core.changes import Watched
from mlpgrad.network.network import Network
from mlpgrad.training.recorded_step import repeatable


class OtherWeights:
    """A copy of a network that gets other parameters each time.

    Copying the objects of a small network takes longer than evaluating it, so the copy is reused.
    A new one is made if an option has changed, and on every call if some class is not declared
    `repeatable`, since its objects may keep state.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._copy: Network | None = None
        self._watched = Watched(())

    def with_params(self, params: Array) -> Network:
        """Return the copy with these parameters; the next call replaces them in the same object."""
        copied = self._copy
        if copied is None or self._watched.changed(self.network._parts()):
            copied = self.network.copy()
            self._watched = Watched(self.network._parts())
            self._copy = copied if repeatable(self.network) else None
        copied.params, copied.state = params, self.network.state
        for own, given in zip(copied.rngs, self.network.rngs, strict=True):
            own.bit_generator.state = given.bit_generator.state
        return copied
