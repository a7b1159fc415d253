"""Checks of full-batch methods: errors for what they cannot train, with the alternative."""

from __future__ import annotations

from mlpgrad.layers.chain import walk
from mlpgrad.training.session import Session


def check_smooth(session: Session) -> None:
    """Raise ValueError if the objective is not a single smooth function of the parameters."""
    network, name = session.network, type(session.method).__name__
    for penalty in network.penalties:
        if penalty.kink_signature(network.params) is not None:
            raise ValueError(
                f"{name} expects a smooth objective, got {penalty!r}, which has a kink at 0, "
                "where it drives the weights; use L2, or an optimizer such as Adam(1e-3)"
            )
    for position, layer in walk(network.layers):
        reason = ""
        if layer.is_random:
            reason = "it makes every value of the objective random"
        elif layer.mixes_samples:
            reason = (
                "its output depends on which rows are computed together, and its running "
                "statistics are not updated"
            )
        if reason:
            raise ValueError(
                f"{name} expects an objective that depends on the parameters alone, got layer "
                f"{position} {layer!r}: {reason}; leave the layer out (use L2 to regularize, "
                "LayerNorm to normalize), or use an optimizer such as Adam(1e-3)"
            )
    if session.communicator is not None:
        raise ValueError(
            f"{name} trains on the rows of one process; leave communicator out, or use an "
            f"optimizer such as Adam(1e-3)"
        )
