"""The mode in which a network is differentiated, and checks that it is differentiable in it."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.derivatives.plan import is_of_users, plan_of
from mlpgrad.layers.chain import run_forward, walk
from mlpgrad.network.network import Network
from mlpgrad.network.storage import lay_out

AnyNetwork = TypeVar("AnyNetwork", bound=Network)

FEW = 16  # rows that suffice to see whether samples depend on one another


def set_mode(network: Network, training: bool) -> None:
    """Set every layer to training mode or prediction mode."""
    for _, layer in walk(network.layers):
        layer.training = training


def predicting(network: AnyNetwork) -> AnyNetwork:
    """Return a network in prediction mode on the same arrays, with other layers and buffers.

    The network itself need not change its mode and back, which Ctrl-C could leave half done.
    """
    twin = object.__new__(type(network))
    layers = [layer.reader() for layer in network.layers]
    parameters, statistics = lay_out(layers)
    own = {"layers": layers, "parameters": parameters, "statistics": statistics}
    vars(twin).update(vars(network) | own)
    return twin


def refuse_complex(network: Network, what: str) -> None:
    """Raise TypeError for a complex network: complex steps need its imaginary parts."""
    if network.dtype.kind == "c":
        got = f"got {network.dtype}; use model.lifted(float)"
        raise TypeError(f"{what} expects a real model, {got}")


def refuse_in_training(network: Network, what: str) -> None:
    """Raise ValueError if, in training, a sample's output depends on others or is random.

    Parameters
    ----------
    network : Network
    what : str
        The requested derivative.
    """
    if not plan_of(network).coupled:
        return
    for position, layer in walk(network.layers):
        reason = "the other samples of its batch" if layer.mixes_samples else "chance"
        if layer.mixes_samples or layer.is_random:
            _refuse(f"layer {position} {layer!r}", reason, what)


def refuse_mixing(network: Network, x: Array, what: str, *, training: bool = True) -> None:
    """Raise ValueError if a user-defined layer is `coupled` without declaring it."""
    if not coupled(network, x, training=training):
        return
    if training:
        _refuse("a layer", "the other samples of its batch, or on chance", what)
    own = " or ".join(repr(layer) for layer in plan_of(network).layers if is_of_users(layer))
    raise ValueError(
        f"{what} expects predictions that depend on a single sample each, but those of this "
        f"network depend on the other samples of the batch, or on chance; when self.training is "
        f"False, forward must treat each row alone in {own}"
    )


def coupled(network: Network, x: Array, *, training: bool = True) -> bool:
    """Return whether layers mix samples or draw random numbers, declared or not.

    If there are user-defined layers, the outputs of some rows in a batch are compared with those
    of the same rows computed one by one.
    """
    if training and plan_of(network).coupled:
        return True
    if x.shape[-2] < 2 or not plan_of(network).foreign:
        return False
    twin = network.copy()
    twin = twin if training else predicting(twin)
    rows = x[..., :FEW, :].astype(twin.dtype, copy=False)
    together = run_forward(twin.layers, rows).copy()
    apart = run_forward(twin.layers, rows[..., :1, :])
    close = np.sqrt(np.finfo(twin.dtype).eps) * np.abs(together).max(initial=1)
    return not np.abs(together[..., :1, :] - apart).max() <= close


def parts_of_users(network: Network) -> list[Any]:
    """Return the user-defined layers, loss and penalties."""
    return list(filter(is_of_users, network._parts()))


def _refuse(layer: str, reason: str, what: str) -> None:
    raise ValueError(
        f"{what} cannot be computed in training mode: the output of {layer} for a sample depends "
        f"on {reason}; write training=False to differentiate what the model predicts, with "
        f"running statistics and without dropout"
    )
