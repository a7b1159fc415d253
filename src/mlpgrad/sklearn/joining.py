"""Ensembles that differ in the encoding of the table, joined to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlpgrad.sequential import Sequential
from mlpgrad.tables import TableEncoder
from mlpgrad.tables.alternatives import joined as joined_encoders


def joined(
    models: Sequence[Sequential], network: Callable[[TableEncoder, int], Sequential]
) -> Sequential:
    """Return one ensemble with the members of several, which predict as before.

    A member has the features of its own encoder among those of the joined one; its weights of the
    other features are 0.

    Parameters
    ----------
    models : sequence of Sequential
        Ensembles that differ in their encoders, and so in the width of the first layer, only.
    network : callable
        Makes an ensemble of this kind for an encoder and a number of members.
    """
    sizes = [model.ensemble_size or 1 for model in models]
    encoder, places = joined_encoders([model.encoder for model in models], sizes)
    whole = network(encoder, sum(sizes))
    params, start = np.zeros_like(whole.params), 0
    for model, features, size in zip(models, places, sizes, strict=True):
        members = slice(start, start := start + size)
        for to, slot in zip(whole.parameters, model.parameters, strict=True):
            values, target = slot.view(model.params), to.view(params)[members]
            target[:, features if to is whole.parameters[0] else slice(None)] = values
    whole.params = params
    whole.state = np.concatenate([model.state for model in models])
    return whole
