"""`Communicator`: data-parallel training in several processes or threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network


@runtime_checkable
class Communicator(Protocol):
    """The ranks of a data-parallel training, each with its own rows and the same network.

    Before training, the ranks check that they were given the same options. A session then calls
    the communicator in three places: to sum the gradient between the backward pass and the update,
    to sum the totals of an epoch at its end, and to agree on whether to continue. Each call waits
    for all ranks. Arrays of different shapes mean that one rank ran out of batches before the
    others; an implementation must then raise an error.
    """

    rank: int
    """Number of this rank, from 0."""
    size: int
    """Number of ranks."""

    def allreduce(self, array: Array) -> None:
        """Replace the array in place by its sum over all ranks."""

    def broadcast(self, array: Array) -> None:
        """Replace the array in place by that of rank 0."""

    def abort(self, error: BaseException) -> None:
        """Make the calls of all waiting ranks raise an error that says why this rank failed."""


class UnlikeRanksError(ValueError):
    """The ranks were given different arguments; each rank raises this error."""


class Joined:
    """The gradient over the rows of all ranks, and whether a rank has failed or wants to stop.

    With `n_r` samples on rank r, the gradient is sum_r n_r g_r / sum_r n_r.
    """

    def __init__(self, communicator: Communicator, network: Network) -> None:
        self.communicator, self.network = communicator, network
        self.stops = False  # whether any rank wants to stop; the same on all ranks
        rows = network.grads.reshape(-1, network.grads.shape[-1])
        # per member: the gradient, the number of rows, whether to stop, whether not finite
        self.message = np.empty((len(rows), rows.shape[1] + 3), network.dtype)
        self.grads = rows

    def __call__(self, value: Any, samples: int) -> Any:
        """Sum the gradient in place; return this rank's loss, NaN if any rank's is not finite."""
        message, width = self.message, self.grads.shape[1]
        finite = np.isfinite(value).all() and np.isfinite(self.grads).all()
        np.multiply(self.grads, samples, message[:, :width])
        message[:, width] = samples
        message[:, width + 1] = self.network.stop_training
        message[:, width + 2] = not finite
        if not finite:
            message[:, :width] = 0
        self.communicator.allreduce(message)
        total = message[:, width : width + 1]
        np.divide(message[:, :width], np.where(total == 0, 1, total), self.grads)
        if message[0, width + 1]:
            self.stops = self.network.stop_training = True
        return value * np.nan if message[0, width + 2] else value


def summed(communicator: Communicator, *values: Any) -> list[Any]:
    """Return the sum of each value over all ranks; values are numbers or arrays of one shape."""
    message = np.stack(np.broadcast_arrays(*values)).astype(np.float64)
    communicator.allreduce(message)
    return list(message)


def checked(communicator: Communicator | None, class_weight: Any) -> Communicator | None:
    """Return a communicator or None; raise an error for anything else.

    "balanced" class weights are refused, since a rank would count the classes of its own rows only.
    """
    if communicator is None:
        return None
    if not isinstance(communicator, Communicator):
        raise TypeError(
            "communicator expects an object with rank, size, allreduce, broadcast and abort, got "
            f"{shown(communicator)}"
        )
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight expects a dict if there is a communicator, got {shown(class_weight)}; "
            "give all ranks the weights n / (number of classes * n of the class) of all rows"
        )
    return communicator


def check_alike(communicator: Communicator, options: Mapping[str, Any]) -> None:
    """Raise UnlikeRanksError on all ranks if one of these numbers differs between ranks.

    Ranks that exchange different arrays would wait for each other forever.
    """
    values = np.array([*options.values()], np.float64)
    total, squares = summed(communicator, values, values**2)
    alike = communicator.size * squares == total**2
    differing = [name for name, same in zip(options, alike, strict=True) if not same]
    if differing:
        own = ", ".join(f"{name}: {options[name]}" for name in differing)
        raise UnlikeRanksError(
            f"the ranks need the same arguments, but differ in {' and '.join(differing)} "
            f"(rank {communicator.rank} has {own}); give all ranks the same"
        )
