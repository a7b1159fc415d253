"""Parameters that the user has assigned to `coefs_` and `intercepts_` of an estimator."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad.sklearn.building import dense_layers


def are_assigned(estimator: Any) -> bool:
    """Return whether `coefs_` and `intercepts_` have other arrays than those of the network."""
    arrays, views = [*estimator.coefs_, *estimator.intercepts_], _views(estimator)
    return len(arrays) != len(views) or any(a is not b for a, b in zip(arrays, views, strict=True))


def adopt(estimator: Any, trains: bool) -> None:
    """Copy assigned arrays to the network, which may then have hidden layers of other widths.

    Parameters
    ----------
    estimator : BaseMLP
    trains : bool
        Whether the arrays of the network replace the assigned ones, since training changes them.

    Raises
    ------
    ValueError
        If the shapes of the arrays do not fit one another, the input or the output.
    """
    if not are_assigned(estimator):
        return
    arrays, views = [*estimator.coefs_, *estimator.intercepts_], _views(estimator)
    layers = list(dense_layers(estimator.model_))
    sizes = tuple(np.shape(array)[-1] if np.ndim(array) else 0 for array in estimator.coefs_[:-1])
    _check_shapes(estimator, [layers[0].in_features, *sizes, layers[-1].out_features])
    if sizes != tuple(layer.out_features for layer in layers[:-1]):
        given = estimator.coefs_, estimator.intercepts_
        estimator._rebuild(estimator._built_sparse, sizes)
        estimator.coefs_, estimator.intercepts_ = given
        vars(estimator).pop("_optimizer", None)  # its state has other shapes
        views = _views(estimator)
    for array, view in zip(arrays, views, strict=True):
        if array is not view:
            view[...] = array
    if trains:
        estimator.coefs_, estimator.intercepts_ = estimator._views()


def _views(estimator: Any) -> list[Any]:
    """Return the arrays of the network: all weights, then all biases."""
    return list(itertools.chain(*estimator._views()))


def _check_shapes(estimator: Any, widths: Sequence[int]) -> None:
    """Raise an error unless the assigned arrays are those of layers with these widths."""
    members = estimator.model_.ensemble_size
    lead = () if members is None else (members,)
    pairs = list(itertools.pairwise(widths))
    for name, shapes in (("coefs_", pairs), ("intercepts_", [pair[1:] for pair in pairs])):
        found = [np.shape(array) for array in getattr(estimator, name)]
        expected = [(*lead, *shape) for shape in shapes]
        if found != expected:
            raise ValueError(f"{name} expects arrays of the shapes {expected}, got {found}")
