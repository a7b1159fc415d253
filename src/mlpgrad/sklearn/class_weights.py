"""Class weights of the estimators, as factors of the weights of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from mlpgrad._core.arrays import Array
from mlpgrad.training.class_weights import check_numbers, equal_shares, looked_up


def with_class_weight(estimator: Any, rows: Any) -> Any:
    """Return `Rows` whose weights include the class weights of the drop-in classifier."""
    class_weight = getattr(estimator, "class_weight", None)
    if class_weight is None:
        return rows
    labels = estimator._labels(rows.y)
    classes = estimator.classes_ if labels.ndim == 1 else np.arange(2)
    factors = class_factors(class_weight, labels, classes, rows.weights)
    return rows._replace(weights=factors if rows.weights is None else rows.weights * factors)


def class_factors(class_weight: Any, labels: Array, classes: Array, weights: Array | None) -> Array:
    """Return the factor of each row's weight: the product of those of its labels.

    Parameters
    ----------
    class_weight : dict, list of dict or 'balanced'
    labels : array (n,) or (n, number of labels)
    classes : array
        The sorted values of a label, of which these rows may lack some.
    weights : array (n,) or None
        The weights of the rows, by which 'balanced' counts them.
    """
    given = np.ones(len(labels)) if weights is None else weights
    factors = np.ones(len(labels))
    for column, one in zip(np.atleast_2d(labels.T), _of_labels(class_weight, labels), strict=True):
        if isinstance(one, str):
            factors *= equal_shares(column, given)
        else:
            check_numbers(one)
            known = compute_class_weight(one, classes=classes, y=classes)
            if not known.any():
                raise ValueError(
                    f"class_weight expects a number above 0 for at least one class, got {one}"
                )
            factors *= looked_up(classes, known, column)
    return factors


def _of_labels(class_weight: Any, labels: Array) -> list[Any]:
    """Return what is given for each label of a row."""
    count = 1 if labels.ndim == 1 else labels.shape[1]
    if isinstance(class_weight, str):
        return [class_weight] * count
    given = class_weight if isinstance(class_weight, list) else [class_weight]
    fits = isinstance(class_weight, list) == (labels.ndim == 2) and len(given) == count
    if not fits or not all(isinstance(one, dict) for one in given):
        expected = "a dict" if labels.ndim == 1 else f"a list of {count} dicts, one for each label"
        raise ValueError(
            f"class_weight expects {expected}, such as {{0: 1.0, 1: 5.0}}, or 'balanced', got "
            f"{class_weight!r}"
        )
    return given
