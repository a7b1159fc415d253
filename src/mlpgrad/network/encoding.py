"""A table's encoder that belongs to a network: taken as a copy, fitted once, used at each input."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, Shape
from mlpgrad.losses.base import Loss

if TYPE_CHECKING:
    from mlpgrad.tables import TableEncoder


def own_encoder(encoder: Any) -> TableEncoder | None:
    """A copy of an encoder, which belongs to one network; None stays None."""
    if encoder is None:
        return None
    from mlpgrad.tables import TableEncoder  # loads the readers of tables, too

    return copy.deepcopy(
        arguments.instance(encoder, "encoder", TableEncoder, "mlpgrad.tables.TableEncoder()")
    )


def encoded(encoder: TableEncoder, x: Any, lead: Shape) -> Array:
    """The features of a table, in float32; raise ValueError if nothing is learnt yet."""
    if not encoder.fitted:
        raise ValueError(
            "the model's encoder has not been fitted to a table yet; train with model.fit, or give "
            "an encoder that is fitted: Sequential(..., encoder=encoder.fit(table, y))"
        )
    features = encoder.transform(x)
    if features.ndim == 3 and features.shape[:1] != lead:
        raise ValueError(
            f"the encoder has learnt for {features.shape[0]} members, and the model has "
            f"{lead[0] if lead else 1}; fit another one"
        )
    return features


def check_width(encoder: TableEncoder, in_features: int | None) -> None:
    """Raise ValueError unless a network takes as many features as the encoder makes."""
    if in_features not in (None, encoder.width):
        raise ValueError(
            f"the encoder makes {encoder.width} features of this table, and the first layer "
            f"expects {in_features}; call encoder.plan(table) and make that layer with "
            f"encoder.width, as in Dense(encoder.width, 32)"
        )


def target_of_encoder(loss: Loss, target: Array) -> Array:
    """A checked target as encodings see it: numbers `(n, O)`, or a column for each class."""
    if target.ndim == 3:
        target = target[0]
    if loss.classifies:
        labels = loss.true_classes(target)
        if labels.ndim == 1:
            return np.asarray(labels[:, None] == np.unique(labels), np.float64)
    return target.astype(np.float64)
