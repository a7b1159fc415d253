"""The loss or a metric on the training rows with the current weights, after an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad.metrics.base import weighted_mean
from mlpgrad.network.network import Network
from mlpgrad.training.batches import Minibatches
from mlpgrad.training.communicator import summed
from mlpgrad.training.evaluate import as_number, evaluate
from mlpgrad.training.session import Session
from mlpgrad.training.streams import Stream


def evaluate_again(session: Session, network: Network, name: str, logged: Any) -> Any:
    """Evaluate the value that `session` logged as `name` again, with the weights of `network`.

    A value measured on the training batches is a mean over the different weights of each step.
    Batches from an iterable are read again for the loss; if that is not possible, the logged value
    is returned.

    Parameters
    ----------
    session : Session
    network : Network
        A network with the weights to evaluate.
    name : str
        `"loss"`, or the name of a training metric.
    logged : number or array (E,)
        The value that was measured on the batches.
    """
    batches = session.batches
    if isinstance(batches, Minibatches):
        data = batches.trained()
        value = evaluate(network, *data, session.metrics or [])[name]
        weight = data[0].shape[-2] if data[2] is None else _sum_of(data[2])
    elif isinstance(batches, Stream) and name == "loss" and not _once(batches):
        value, weight = _loss_of_stream(network, batches)
    else:
        return logged
    if session.communicator is None:
        return value
    return as_number(weighted_mean(*summed(session.communicator, value * weight, weight)))


def evaluate_now(session: Session, name: str) -> Any:
    """Return a value that `session` logs as `name`, with the current weights of its network.

    The result is None if only a callback logs it, or if it cannot be measured again.
    """
    network, rows = session.network, session.validation
    if name.startswith("val_"):
        if rows is None:
            return None
        found = session._agreed(evaluate(network, *rows, session.metrics), rows[0].shape[-2])
        return found.get(name.removeprefix("val_"))
    known = name == "loss" or any(metric.name == name for metric in session.metrics or ())
    return evaluate_again(session, network, name, None) if known else None


def _once(batches: Stream) -> bool:
    """Whether the iterable cannot be iterated again."""
    return isinstance(batches.source, Iterator)


def _loss_of_stream(network: Network, batches: Stream) -> tuple[Any, Any]:
    """The loss of the batches of an iterable, read again, and the sum of their weights."""
    loss = network.loss.reader()
    total: Any = 0.0
    weight: Any = 0.0
    for x, target, weights in batches:
        share = x.shape[-2] if weights is None else _sum_of(weights)
        value = loss._direct_forward(network._predict(x), target, weights)
        total = total + share * np.float64(value)
        weight = weight + share
    return as_number(weighted_mean(total, weight) + network.penalty()), weight


def _sum_of(weights: Any) -> Any:
    """The sum of the weights of some rows, a number or `(E,)`."""
    rows = weights[..., :, :]
    return rows.sum(axis=(-2, -1), dtype=np.float64)
