"""The choice of the candidates that predict together, and one ensemble with their members."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.sequential import Sequential
from mlpgrad.sklearn.candidate import Candidate, Table
from mlpgrad.tables.alternatives import joined as joined_encoders

MOST_JOINED = 1 << 26
"""The most features of all training rows and members for which candidates predict together."""


def together(tried: Sequence[Candidate], table: Table) -> list[Candidate]:
    """Return the candidates whose average predicts best out of fold: the best, and those that help.

    Starting with the best, the candidate that lowers the loss of the average most is added, until
    none does: Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble selection from libraries of
    models", without replacement. In a large table, several encodings would take long to predict:
    the best is alone.
    """
    found = [min(tried, key=lambda candidate: candidate.loss)]
    loss = found[0].loss
    left = [one for one in tried if one is not found[0] and one.joinable and found[0].joinable]
    while left:
        losses = [_loss_of_average([*found, one], table) for one in left]
        best = int(np.argmin(losses))
        if losses[best] >= loss:
            break
        loss = losses[best]
        found.append(left.pop(best))
    width = max(one.model.in_features or 0 for one in found)
    members = sum(one.recipe.members for one in found)
    return found[:1] if len(table.target) * members * width > MOST_JOINED else found


def _loss_of_average(candidates: Sequence[Candidate], table: Table) -> float:
    """Return the out-of-fold loss of the average of all members of some candidates."""
    outputs = np.stack([one.outputs for one in candidates]).astype(np.float64)
    outputs = np.repeat(outputs, [one.recipe.members for one in candidates], axis=0)
    first = candidates[0]
    return first.loss_of(first.model.loss.averaged(outputs), table)[0]


def joined(models: Sequence[Sequential], network: Callable[..., Sequential]) -> Sequential:
    """Return one ensemble with the members of several, which predict as before.

    A member has the features of its own encoder among those of the joined one; its weights of the
    other features are 0, as are those of the units that only others have. Layers that only others
    have are the identity for it, which changes nothing after a ReLU. A linear function is written
    with a hidden layer: y = relu(y) - relu(-y).

    Parameters
    ----------
    models : sequence of Sequential
        Ensembles that differ in their encoders and in their hidden layers, which end with a ReLU.
    network : callable
        Makes an ensemble for an encoder, a number of members, and the sizes of hidden layers.
    """
    sizes = [model.ensemble_size or 1 for model in models]
    encoder, places = joined_encoders([model.encoder for model in models], sizes)
    layers = [_with_hidden_layer(model) for model in models]
    whole = network(encoder, sum(sizes), _largest([_widths(arrays) for arrays in layers]))
    params, start = np.zeros_like(whole.params), 0
    for arrays, features, size in zip(layers, places, sizes, strict=True):
        own, start = params[start : start + size], start + size
        _fill(own, whole, arrays, features)
    whole.params = params
    whole.state = np.concatenate([model.state for model in models])
    return whole


def _with_hidden_layer(model: Sequential) -> list[Array]:
    """Return weights and biases of a network's layers, of which there are at least two."""
    arrays = [slot.view(model.params) for slot in model.parameters]
    if len(arrays) > 2:
        return arrays
    weights, bias = arrays
    ones = np.eye(bias.shape[-1], dtype=bias.dtype)
    signs = np.concatenate([ones, -ones])
    return [weights @ signs.T, bias @ signs.T, np.stack([signs] * len(bias)), np.zeros_like(bias)]


def _widths(arrays: Sequence[Array]) -> list[int]:
    """Return the number of units in each hidden layer."""
    return [bias.shape[-1] for bias in arrays[1:-2:2]]


def _largest(widths: Sequence[list[int]]) -> list[int]:
    """Return the sizes of hidden layers that have room for those of all networks."""
    most = max(map(len, widths))
    filled = [own + own[-1:] * (most - len(own)) for own in widths]
    return [max(sizes) for sizes in zip(*filled, strict=True)]


def _fill(params: Array, whole: Sequential, arrays: Sequence[Array], features: Array) -> None:
    """Set the parameters of a joined ensemble for some of its members, which are 0."""
    hidden = len(arrays) - 2
    places = [*whole.parameters[:hidden], *whole.parameters[-2:]]
    for place, values in zip(places, arrays, strict=True):
        target = place.view(params)
        if place is places[0]:
            target[:, features, : values.shape[-1]] = values
        else:
            target[(np.s_[:], *map(slice, values.shape[1:]))] = values
    units = range(arrays[-2].shape[-2])
    for place in whole.parameters[hidden:-2:2]:
        place.view(params)[:, units, units] = 1
