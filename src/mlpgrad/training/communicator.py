"""`Communicator`: what joins the trainings of several processes or threads to one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network


class Communicator(Protocol):
    """The ranks of a data-parallel training, each with rows of its own and the same network.

    Before training the ranks find out whether they have been asked for the same. Then a session
    calls it in three places: the gradient is summed between backward pass and update, an epoch's
    sums are summed at its end, and ranks agree on whether to go on. Each of the calls
    waits for all ranks. Arrays of different shapes mean that one rank has run out of batches
    before the others: an implementation raises an error then.
    """

    rank: int
    """Number of this rank, from 0."""
    size: int
    """Number of ranks."""

    def allreduce(self, array: Array) -> None:
        """Replace the array by its sum over all ranks."""

    def broadcast(self, array: Array) -> None:
        """Replace the array by that of rank 0."""

    def abort(self, error: BaseException) -> None:
        """End the waiting of all ranks with an error that says what this one has failed of."""


class UnlikeRanksError(ValueError):
    """Ranks have been asked for different things; each of them raises it."""


class Joined:
    """The gradient of all ranks' rows, and whether one of them has failed or wants to stop.

    With `n_r` samples on rank r it is sum_r n_r g_r / sum_r n_r.
    """

    def __init__(self, communicator: Communicator, network: Network) -> None:
        self.communicator, self.network = communicator, network
        self.stops = False  # whether any rank has wanted to stop, as all of them know
        rows = network.grads.reshape(-1, network.grads.shape[-1])
        # per member: the gradient, the number of rows, whether to stop, whether not finite
        self.message = np.empty((len(rows), rows.shape[1] + 3), network.dtype)
        self.grads = rows

    def __call__(self, value: Any, samples: int) -> Any:
        """Sum the gradient in place; the loss of this rank, or NaN where one is not finite."""
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
    """Numbers, or arrays of one shape, each as its sum over all ranks."""
    message = np.stack(np.broadcast_arrays(*values)).astype(np.float64)
    communicator.allreduce(message)
    return list(message)


def check_alike(communicator: Communicator, options: Mapping[str, Any]) -> None:
    """Raise UnlikeRanksError, on all ranks, where one of these numbers is not the same on each.

    Ranks that measure different things would wait for each other forever.
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
