"""A step of training: the gradient on a batch, and the update of the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer


class Step(Protocol):
    """One step of training on a batch; made for a network and an optimizer.

    Attributes
    ----------
    gradient : callable (x, target, weights) -> loss
        Writes the gradient on a batch into `network.grads`; the loss is a number or an array
        `(E,)`.
    update : callable ()
        Updates the parameters from the gradient.
    mean_weight : number or array (E, 1, 1)
        Divisor of the sample weights in `gradient`: see `Loss.forward`. Set by `choose_step`.
    """

    mean_weight: Any

    @property
    def gradient(self) -> Callable[[Array, Array, Array | None], Any]: ...

    @property
    def update(self) -> Callable[[], None]: ...

    def __init__(self, network: Network, optimizer: Optimizer) -> None: ...

    @classmethod
    def serves(
        cls, network: Network, optimizer: Optimizer, batch_size: int | None, steps: int | None
    ) -> bool:
        """Return whether this kind of step can make `steps` such steps, and is worth it."""
        ...

    def refresh(self) -> None:
        """Notice what the user's code may have changed; called at the beginning of an epoch."""
        ...


class LayerStep:
    """The step that calls the layers and the optimizer, the reference for every other kind."""

    mean_weight: Any = 1.0

    def __init__(self, network: Network, optimizer: Optimizer) -> None:
        self.network = network
        self.update = functools.partial(optimizer._direct_step, network.params, network.grads)

    @property
    def gradient(self) -> Callable[[Array, Array, Array | None], Any]:
        return functools.partial(self.network._step, mean_weight=self.mean_weight)

    @classmethod
    def serves(cls, *_: Any) -> bool:
        """Return True: it can always be used."""
        return True

    def refresh(self) -> None:
        """Do nothing: layers and optimizer are called at every step."""
