"""Class weights: from the option of `fit` to a weight for each sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.losses.base import Loss
from mlpgrad.network.labels import Labels

ClassWeight = Mapping[Any, float] | str


def with_class_weights(
    loss: Loss,
    out_features: int,
    target: Array,
    weights: Array | None,
    class_weight: ClassWeight,
    rows: Array | None,
    names: Labels | None = None,
) -> Array:
    """Return the sample weights times the weight of each sample's class.

    Parameters
    ----------
    loss : Loss
    out_features : int
        Number of the network's outputs.
    target, weights : array, and array or None
        Checked targets and sample weights of all rows.
    class_weight : dict of label to number, or "balanced"
    rows : array of int or None
        The training rows; None for all rows. Only their classes need a weight, and only they count
        for "balanced", by their weights; other rows keep their sample weight.
    names : Labels, optional
        The labels that are the keys of `class_weight`, if the targets are class indices.

    Returns
    -------
    array (n, 1) or (E, n, 1)
        The weights, float64.
    """
    if not loss.classifies:
        raise TypeError(f"class_weight expects a loss on classes, got {loss!r}")
    labels = _labels(loss, target)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f'class_weight expects a dict or "balanced", got {class_weight!r}')
        return _balanced(labels, weights, rows)
    found = np.unique(labels if rows is None else labels.take(rows, axis=-1))
    possible = {*np.unique(labels).tolist(), *_possible(out_features, found)}
    if names is not None and not names.are_indices:
        class_weight = _by_index(class_weight, names)
    table = _checked_table(class_weight, found.tolist(), possible, names)
    known = np.array(sorted(table))
    factors = looked_up(known, np.array([table[label] for label in known.tolist()]), labels)
    with np.errstate(over="ignore"):  # reported by the check that follows
        return factors[..., None] if weights is None else weights * factors[..., None]


def _balanced(labels: Array, weights: Array | None, rows: Array | None) -> Array:
    """Return weights with which the classes of the training rows have the same total.

    A sample of weight 2 counts as two, and each member of an ensemble counts its own samples.
    """
    given = np.ones(labels.shape[-1]) if weights is None else weights[..., 0].astype(np.float64)
    shape = np.broadcast_shapes(labels.shape, given.shape)
    of_each, given = (
        np.broadcast_to(array, shape).reshape(-1, shape[-1]) for array in (labels, given)
    )
    factors = [equal_shares(*own, rows) for own in zip(of_each, given, strict=True)]
    balanced: Array = given * np.array(factors)
    return balanced.reshape(*shape, 1)


def equal_shares(labels: Array, weights: Array, rows: Array | None = None) -> Array:
    """Return the factor of each sample, `(n,)`: n / (number of classes * n of its class)."""
    trained = np.s_[:] if rows is None else rows
    found, place = np.unique(labels[trained], return_inverse=True)
    totals = np.bincount(place, weights[trained])
    there = totals > 0
    factors = totals.sum() / (max(there.sum(), 1) * np.where(there, totals, 1.0))
    return looked_up(found, factors, labels)


def looked_up(known: Array, factors: Array, labels: Array) -> Array:
    """Return the factor of each label, 1 for a label that is not among those `known`."""
    place = np.searchsorted(known, labels).clip(max=len(known) - 1)
    return np.where(known[place] == labels, factors[place], 1.0)


def _labels(loss: Loss, target: Array) -> Array:
    """Return the label of each sample, `(..., n)`, as it is in `y` if that is one integer."""
    if target.shape[-1] == 1:
        values = target[..., 0].real
        with np.errstate(invalid="ignore"):  # a user's loss may take numbers of any size
            whole = values.astype(np.int64)
        if (whole == values).all():
            return whole
    labels = loss.true_classes(target)
    if labels.ndim == target.ndim and target.shape[-1] > 1:
        raise ValueError("class_weight expects one class per sample; use sample_weight for labels")
    return labels


def _possible(out_features: int, found: Array) -> Iterable[int]:
    """Return the labels that may occur in `y`."""
    if (found < 0).any():
        return -1, 1
    return range(max(2, out_features))


def _by_index(class_weight: Any, names: Labels) -> Any:
    """Convert a dict of labels to a dict of class indices; leave anything else unchanged."""
    if not isinstance(class_weight, Mapping):
        return class_weight
    table = {names.index_of(label): weight for label, weight in class_weight.items()}
    if None in table:
        unknown = next(label for label in class_weight if names.index_of(label) is None)
        raise ValueError(
            f"class_weight expects labels of y as keys, got {unknown!r}; the labels are [{names}]"
        )
    return table


def _checked_table(
    class_weight: Any, needed: list[int], possible: set[int], names: Labels | None
) -> dict[int, float]:
    """Check that the given dict has a weight for each label that needs one, and return it."""
    if not isinstance(class_weight, Mapping):
        fix = ""
        if hasattr(class_weight, "to_dict"):
            fix = "; write class_weight=class_weight.to_dict()"
        elif isinstance(class_weight, (list, tuple, np.ndarray)):
            numbers = class_weight.tolist() if hasattr(class_weight, "tolist") else [*class_weight]
            fix = f"; write class_weight=dict(enumerate({numbers}))"
        raise TypeError(
            f'class_weight expects a dict such as {{0: 1.0, 1: 5.0}}, or "balanced", got '
            f"{type(class_weight).__name__}{fix}"
        )
    unknown = [key for key in class_weight if key not in possible]
    if unknown:
        known = sorted(possible)
        labels = known if len(known) <= 20 else f"{known[0]} to {known[-1]}"
        raise ValueError(
            f"class_weight expects labels of y as keys, got {unknown[0]!r}; the labels are {labels}"
        )
    missing = sorted(set(needed) - class_weight.keys())
    if missing:
        shown = missing if names is None else [names.classes[index].item() for index in missing]
        raise ValueError(f"class_weight expects a weight for each class; missing: {shown}")
    check_numbers(class_weight)
    return {int(label): float(weight) for label, weight in class_weight.items()}


def check_numbers(class_weight: Mapping[Any, Any]) -> None:
    """Raise ValueError unless all weights are finite numbers that are not negative."""
    for label, weight in class_weight.items():
        number = isinstance(weight, (int, float, np.number)) and not np.iscomplexobj(weight)
        if not number or not 0 <= weight < np.inf:
            raise ValueError(
                f"class_weight expects finite numbers >= 0, got {weight!r} for class {label}"
            )
