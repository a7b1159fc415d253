"""Copies of a network: of all or some members, tiled, in another dtype, on shared memory."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.network.fitting import Threaded
from mlpgrad.network.storage import check_memory
from mlpgrad.network.uncertain import Uncertainty

MOST_MEMBERS = 1_000_000  # networks of an ensemble, each of which has a random generator


class Copied(Threaded):
    """The part of a network that makes copies, each with a consistent set of weights."""

    encoder: Any
    _uncertainty: Uncertainty | None = None

    @property
    def uncertainty(self) -> Uncertainty | None:
        """The noise and posterior model of the predictions: `Laplace`, `Noise` or None.

        It is saved with the model. `fit` resets it to None, since it is not valid for new weights.
        """
        return self._uncertainty

    @uncertainty.setter
    def uncertainty(self, found: Uncertainty | None) -> None:
        if found is not None:
            arguments.instance(found, "uncertainty", Uncertainty, "Noise(0.1)")
        self._uncertainty = found

    @suggesting
    def member(self, index: int) -> Self:
        """Return a copy of network `index` of an ensemble as a separate model."""
        if self.ensemble_size is None:
            raise ValueError("member(i) expects an ensemble, got one network; use copy()")
        size = self.ensemble_size
        if not arguments.is_integer(index) or not -size <= index < size:
            kind = IndexError if arguments.is_integer(index) else TypeError
            raise kind(f"member expects an int from 0 to {size - 1}, got {arguments.shown(index)}")
        with self.reading() as network:
            params, state = network._params[index], network._state[index]
            member = self._rebuilt(params, state, [self.rngs[index]])
        known = self._uncertainty
        member._uncertainty = None if known is None else known.member(int(index))
        if self.encoder is not None:
            vars(member)["encoder"] = self.encoder.member(int(index))
        return member

    @suggesting
    def members(self, indices: Sequence[int] | Array) -> Self:
        """Return a copy of some networks of an ensemble as a separate ensemble.

        It keeps `uncertainty` only if it has all members in their order.
        """
        if self.ensemble_size is None:
            raise ValueError("members(indices) expects an ensemble, got one network; use copy()")
        size, indices = self.ensemble_size, arguments.rows(indices, "members: indices")
        whole = indices.ndim == 1 and indices.size > 0 and indices.dtype.kind in "iu"
        if not whole or indices.min() < 0 or indices.max() >= size:
            shown = arguments.shown(indices)
            raise ValueError(f"members expects ints from 0 to {size - 1} in a list, got {shown}")
        rngs = [self.rngs[index] for index in indices]
        with self.reading() as network:
            some = self._rebuilt(network._params[indices], network._state[indices], rngs)
        if not np.array_equal(indices, np.arange(size)):
            some._uncertainty = None  # it is for all members, in their order
        if self.encoder is not None:
            vars(some)["encoder"] = self.encoder.of_members(list(indices))
        return some

    def share(self, networks: slice) -> Self:
        """Return some networks of an ensemble on the same memory, but with their own layers.

        This is for a thread that trains them while other threads train the rest.
        """
        if self.ensemble_size is None or not isinstance(networks, slice):
            raise TypeError(
                f"share expects an ensemble and a slice such as slice(0, 2), "
                f"got {'one network' if self.ensemble_size is None else arguments.shown(networks)}"
            )
        part: Self = type(self).__new__(type(self))
        arrays = ("rngs", "rng")
        part.__dict__.update(
            copy.deepcopy({k: v for k, v in self._described().items() if k not in arrays})
        )
        part.rngs, part.rng = self.rngs[networks], self.rng
        vars(part)["ensemble_size"] = len(part.rngs)
        part._uncertainty = None  # it is for all members
        part._bind((self._params[networks], self._grads[networks], self._state[networks]))
        return part

    def tiled(self, count: int) -> Self:
        """Return an ensemble of `count` copies of this single network, with equal random states."""
        if self.ensemble_size is not None:
            raise ValueError("tiled(count) expects one network, got an ensemble; use member(i)")
        count = arguments.count(count, "count", 1, MOST_MEMBERS)
        check_memory(count * self._params.nbytes, f"{count} copies")
        with self.reading() as network:
            params, state = (np.tile(a, (count, 1)) for a in (network._params, network._state))
        return self._rebuilt(params, state, self.rngs * count)

    def lifted(self, dtype: Any = np.float64) -> Self:
        """Return a copy with the same values that computes in another dtype."""
        dtype = arguments.floating(dtype)
        with self.reading() as network:
            params = _cast(network._params, dtype, "params")
            state = _cast(network._state, dtype, "state")
        return self._rebuilt(params, state, self.rngs)

    def _rebuilt(self, params: Array, state: Array, rngs: Sequence[np.random.Generator]) -> Self:
        twin: Self = type(self).__new__(type(self))
        described = self._described() | {
            "params": params,
            "state": state,
            "dtype": params.dtype,
            "ensemble_size": len(params) if params.ndim == 2 else None,
        }
        # each generator is copied separately: the copies of a tiled network must not share one
        described["rngs"] = [copy.deepcopy(rng) for rng in rngs]
        if described["ensemble_size"] != self.ensemble_size:
            described["_uncertainty"] = None
        twin.__setstate__({k: v if k == "rngs" else copy.deepcopy(v) for k, v in described.items()})
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Keep arguments, arrays and generators; views, buffers and readers are made again."""
        params, state = self._weights()
        return self._described() | {"params": params, "state": state}

    def _described(self) -> dict[str, Any]:
        """Return everything but the arrays."""
        given = ("layers", "loss", "penalties", "dtype", "random_state", "ensemble_size")
        kept = (*given, "target_scaling", "rngs", "rng", "streams", "_stop_training")
        state = (*kept, "_uncertainty", "classes", "_labels", "_columns", "encoder")
        return {name: getattr(self, name) for name in state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        params, statistics = state.pop("params"), state.pop("state")
        super().__setstate__(state)
        self._bind()
        self.params, self.state = params, statistics


def _cast(flat: Array, dtype: np.dtype[Any], name: str) -> Array:
    """Return a copy in another dtype; imaginary parts that are all 0 are dropped without a word."""
    if flat.dtype.kind == "c" and dtype.kind != "c" and not flat.imag.any():
        flat = flat.real
    fitted = arguments.cast(flat, dtype, f"lifted: {name}")
    return fitted.copy() if np.may_share_memory(fitted, flat) else fitted
