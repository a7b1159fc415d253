"""`Labels`: the labels of the classes in the user's targets, in the order of class indices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.checks import blocks
from mlpgrad.losses.base import Loss
from mlpgrad.losses.labels import distinct, whole
from mlpgrad.network.label_arrays import Given, given_labels

FEW = 10  # labels that a message shows


class Labels:
    """The label of each class, by class index.

    Parameters
    ----------
    classes : array (K,)
        The labels: text, numbers or booleans, all different.
    """

    def __init__(self, classes: Array) -> None:
        self.classes = np.array(classes)
        self.classes.flags.writeable = False
        self._order = np.argsort(self.classes)
        self._sorted = self.classes[self._order]
        self.are_text = self.classes.dtype.kind in "US"
        self.are_other_numbers = self.are_text and _are_other_numbers(self.classes.tolist())
        self.are_indices = self.classes.dtype.kind in "iu" and bool(
            (self.classes == np.arange(len(self.classes))).all()
        )
        self.take_indices = self.are_indices or (self.are_text and not self.are_other_numbers)

    def indices(self, labels: Array) -> Array:
        """Return the index of each label; raise ValueError with the row of an unknown label."""
        if (labels.dtype.kind in "US") != self.are_text:
            self._refuse(labels.ravel()[0], 0)
        places = np.searchsorted(self._sorted, labels).clip(max=len(self._sorted) - 1)
        unknown = self._sorted[places] != labels
        if unknown.any():
            where = np.argwhere(unknown)[0]
            rows = where[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else where
            self._refuse(labels[tuple(where)], int(rows[-1]))
        return np.asarray(self._order[places])

    def check_numbers(self) -> None:
        """Raise ValueError if numbers in `y` could be meant as text labels or as indices."""
        if self.are_other_numbers:
            raise ValueError(
                f"y expects text, since the classes are the texts {self}, got numbers; a number "
                "would be the index of a class, not the number in a text; write the labels as text"
            )

    def _refuse(self, label: Any, row: int) -> None:
        label = label.item() if hasattr(label, "item") else label
        raise ValueError(
            f"y expects one of the classes {self}, got {label!r} in row {row} of y; leave such "
            f"rows out, or make a model that knows this class: Sequential(..., classes=[...])"
        )

    def index_of(self, label: Any) -> int | None:
        """Return the index of one label, or None if there is no such class.

        If the classes are text, an integer is a class index, as in `y`.
        """
        for index, known in enumerate(self.classes.tolist()):
            if known == label:
                return index
        number = isinstance(label, (int, np.integer)) and self.are_text and self.take_indices
        return int(label) if number and 0 <= label < len(self.classes) else None

    def __reduce__(self) -> Any:
        return Labels, (np.array(self.classes),)  # copies are read-only, too

    def __str__(self) -> str:
        return listed(self.classes.tolist())


def _are_other_numbers(texts: list[Any]) -> bool:
    """Return whether some texts are numbers, but not those of their places: "1", "2", "3"."""
    for place, text in enumerate(texts):
        try:
            if float(text) != place:
                return True
        except ValueError:
            continue
    return False


def as_tuple(classes: Any) -> Any:
    """Return the option `classes` as a tuple."""
    if hasattr(classes, "tolist"):
        classes = classes.tolist()
    elif hasattr(classes, "to_list"):
        classes = classes.to_list()
    return tuple(classes) if isinstance(classes, list) else classes


def listed(labels: Iterable[Any]) -> str:
    """Return some labels for a message."""
    labels = list(labels)
    more = f", ... ({len(labels)} in all)" if len(labels) > FEW else ""
    return ", ".join(map(repr, labels[:FEW])) + more


def classes_for(loss: Loss, out_features: int) -> tuple[int, bool]:
    """Return the number of classes of a network, and whether each is a separate column (labels)."""
    try:
        columns = loss.classes(np.zeros((1, out_features))).ndim > 1
    except TypeError:  # a user-defined loss that does not declare it
        columns = False
    return out_features if columns else max(2, out_features), columns


def given(classes: Any, loss: Loss, out_features: int | None) -> Labels:
    """Return the option `classes` as labels.

    Raises
    ------
    ValueError
        If their number does not fit the network's outputs, or two are equal.
    TypeError
        If the loss does not predict classes, or they are not text, numbers or booleans.
    """
    if not loss.classifies:
        raise TypeError(
            f"classes expects a loss on classes, got {loss!r}, whose targets are numbers; leave "
            f"classes out"
        )
    if isinstance(classes, (str, bytes)) or not hasattr(classes, "__len__"):
        raise TypeError(f"classes expects a list of labels, got {shown(classes)}")
    array = given_labels(classes).array
    if array.ndim != 1 or len(np.unique(array)) != len(array):
        raise ValueError(f"classes expects labels that are all different, got {shown(classes)}")
    count, columns = classes_for(loss, out_features or len(array))
    if len(array) != count:
        what = "a name for each output" if columns or count > 2 else "two labels for one output"
        raise ValueError(
            f"classes expects {what}, {count} in all, got {len(array)}: {listed(array.tolist())}; "
            f"change them or the last layer"
        )
    return Labels(array)


def learnt(found: Given, loss: Loss, out_features: int, matrix: bool) -> Labels | None:
    """Return the classes of a training target; None if the loss should report what is wrong.

    Integers from 0 to below the number of classes are indices.

    Parameters
    ----------
    found : Given
    loss : Loss
    out_features : int
    matrix : bool
        Whether the target has a column for each class.
    """
    count, columns = classes_for(loss, out_features)
    if matrix or columns:
        names = found.names if found.names is not None and len(found.names) == count else None
        return Labels(np.arange(count) if names is None else np.array(names))
    array = found.array
    if found.categories is not None:
        return _of_categories(array, found.categories, loss, count)
    if array.dtype.kind == "b" and count == 2:
        return Labels(np.array([False, True]))
    if array.dtype.kind in "US":
        labels = np.unique(array)
        _check_count(labels, loss, out_features, count)
        return Labels(labels)
    if array.dtype.kind not in "biuf" or _are_indices(array, count):
        return Labels(np.arange(count))
    labels = distinct(array)
    if loss.takes_signs and (labels == -1).all():  # the other class does not occur
        labels = np.array([-1, 1])
    if len(labels) != count or not whole(labels):
        return None
    return Labels(labels.astype(array.dtype))


def _of_categories(array: Array, categories: Array, loss: Loss, count: int) -> Labels:
    """Return all categories if they are as many as the classes, else those that occur."""
    if len(categories) != count:
        categories = categories[np.isin(categories, array)]
        _check_count(categories, loss, 1 if count == 2 else count, count)
    return Labels(categories)


def _are_indices(array: Array, count: int) -> bool:
    """Return whether all numbers are in 0 to `count` - 1; fractions are left to the loss."""
    return all(rows.min() >= 0 and rows.max() < count for _, rows in blocks(array))


def _check_count(labels: Array, loss: Loss, out_features: int, count: int) -> None:
    """Raise ValueError unless the number of labels fits the network."""
    found = len(labels)
    if found == count:
        return
    has = f"y has {found} class{'es' * (found != 1)}, {listed(labels.tolist())}"
    outputs = f"{out_features} output{'s' * (out_features > 1)}"
    fix = f"give the last layer {found} outputs"
    if out_features == 1 and found > 2:
        other = "CrossEntropy after a Softmax" if loss.expects_probabilities else ""
        fix = f"use {other or 'SoftmaxCrossEntropy'}, with {found} outputs of the last layer"
    elif found < count:
        change = f"{fix}, or " if found > 1 else ""
        fix = f"{change}name all classes: Sequential(..., classes=[...])"
    raise ValueError(
        f"{has}, but a network with {outputs} and {loss!r} distinguishes {count}; {fix}"
    )
