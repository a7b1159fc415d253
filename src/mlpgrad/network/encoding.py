"""A table's encoder in a network: copied, fitted once, and applied to each input."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, Shape
from mlpgrad.losses.base import Loss

if TYPE_CHECKING:
    from mlpgrad.tables import TableEncoder
    from mlpgrad.tables.features import Features


def own_encoder(encoder: Any) -> TableEncoder | None:
    """Return a copy of an encoder that belongs to one network; None stays None."""
    if encoder is None:
        return None
    from mlpgrad.tables import TableEncoder  # also loads the readers of tables

    return copy.deepcopy(
        arguments.instance(encoder, "encoder", TableEncoder, "mg.tables.TableEncoder()")
    )


def features_of(encoder: TableEncoder, x: Any, lead: Shape) -> Features:
    """Return the features of a table; raise ValueError if the encoder is not fitted."""
    if not encoder.fitted:
        raise ValueError(
            "the model's encoder has not been fitted to a table yet; train with model.fit, or give "
            "an encoder that is fitted: Sequential(..., encoder=encoder.fit(table, y))"
        )
    features = encoder.features(x)
    if len(features.shape) == 3 and features.shape[:1] != lead:
        raise ValueError(
            f"the encoder is fitted for {features.shape[0]} members, but the model has "
            f"{lead[0] if lead else 1}; fit another encoder"
        )
    return features


def check_width(encoder: TableEncoder, in_features: int | None) -> None:
    """Raise ValueError unless the network's input width is the number of the encoder's features."""
    if in_features not in (None, encoder.width):
        raise ValueError(
            f"the encoder makes {encoder.width} features of this table, but the first layer "
            f"expects {in_features}; call encoder.plan(table) and make that layer with "
            "encoder.width, as in Dense(encoder.width, 32)"
        )


def target_of_encoder(loss: Loss, target: Array) -> Array:
    """Return a checked target as encodings take it: numbers `(n, O)`, or one column per class."""
    if target.ndim == 3:
        target = target[0]
    if loss.classifies:
        labels = loss.true_classes(target)
        if labels.ndim == 1:
            return np.asarray(labels[:, None] == np.unique(labels), np.float64)
    return target.astype(np.float64)
