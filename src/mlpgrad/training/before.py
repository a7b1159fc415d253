"""`Before`: the state of a network before a fit, which is restored if the fit raises early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from mlpgrad._core.stateful import generator_state, restore_generator
from mlpgrad.network.network import Network
from mlpgrad.training.divergence import DivergenceError

LEARNT = ("_labels", "_columns", "encoder", "_uncertainty", "compiled_because")


class Before:
    """The state that a fit may change before it trains: scalings, names, classes, generators.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    begun : bool
        Whether the first epoch has begun: from then on, an error restores the state only if the
        parameters have not changed.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.begun = network, False
        self._learnt = {name: getattr(network, name) for name in LEARNT}
        self._flats: tuple[np.ndarray, ...] | None = network.params.copy(), network.state.copy()
        self._generators = [(rng, generator_state(rng)) for rng in (*network.rngs, network.rng)]
        self._streams = {name: generator_state(rng) for name, rng in network.streams.items()}

    def forget(self) -> None:
        """Forget the state, since training has begun."""
        self._flats = None

    @contextmanager
    def put_back_if_refused(self) -> Iterator[None]:
        """Restore the network if the block raises before the first step, except on divergence."""
        try:
            yield
        except DivergenceError:
            raise
        except BaseException:
            self._put_back()
            raise

    def _put_back(self) -> None:
        network = self.network
        if self._flats is None:
            return
        params, state = self._flats
        if self.begun and not np.array_equal(network.params, params, equal_nan=True):
            return
        with network._writing():
            network.params[...], network.state[...] = params, state
        vars(network).update(self._learnt)
        for rng, known in self._generators:
            restore_generator(rng, known)
        for name, rng in [*network.streams.items()]:
            if name in self._streams:
                restore_generator(rng, self._streams[name])
            else:
                del network.streams[name]  # it is made again on its next use
