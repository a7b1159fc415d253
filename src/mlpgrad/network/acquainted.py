"""What a network knows about the user's data: the names of columns, and the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad._core.frames import check_columns, column_names
from mlpgrad.losses.base import Loss
from mlpgrad.network import boundary
from mlpgrad.network.encoding import check_width, features_of
from mlpgrad.network.label_arrays import given_labels
from mlpgrad.network.labels import Labels, classes_for, given, learnt
from mlpgrad.network.prediction import ROWS_AT_ONCE
from mlpgrad.network.storage import Storage

if TYPE_CHECKING:
    from mlpgrad.tables import TableEncoder


class Acquainted(Storage):
    """The part of a network that handles names and labels; the other parts compute with numbers."""

    loss: Loss
    classes: Any
    encoder: TableEncoder | None = None
    _labels: Labels | None = None
    _columns: tuple[str, ...] | None = None

    @property
    def classes_(self) -> Array | None:
        """The label of each class, `(K,)`, as `predict_classes` returns it. Read-only.

        These are the labels given as `classes`, else those that `fit` found in `y`: sorted, or in
        the order of a categorical type. If `y` has integers in 0 .. K-1, they are class indices,
        and the labels are 0 to K-1. None before `fit` without `classes`, and if the loss does not
        predict classes.
        """
        return None if self.labels is None else self.labels.classes

    @property
    def labels(self) -> Labels | None:
        """The labels of the classes; None if the loss does not predict classes."""
        return self._labels if self.loss.classifies else None

    @property
    def feature_names_(self) -> tuple[str, ...] | None:
        """The column names of the data frame that `fit` was given; None if it was an array."""
        if self.encoder is not None and self.encoder.fitted:
            return self.encoder.column_names()
        return self._columns

    def _introduce(self) -> None:
        """Store the classes that the constructor was given."""
        if self.classes is not None:
            self._labels = given(self.classes, self.loss, self.out_features)

    def checked_inputs(self, x: Any) -> Array:
        """Check inputs `(B, I)` or `(E, B, I)`; a frame must have the columns of the training.

        Raises
        ------
        ValueError
            If columns are missing, additional or in another order.
        """
        if self.encoder is not None:
            x = features_of(self.encoder, x, self.lead).astype()
        elif type(x) is not np.ndarray:
            self.check_columns(x)
        return boundary.inputs(x, self.in_features, self.lead, self.dtype)

    def inputs_to_predict(self, x: Any) -> Any:
        """`checked_inputs`, but the features of many rows are computed in parts, when needed."""
        if self.encoder is not None:
            features = features_of(self.encoder, x, self.lead)
            if features.shape[-2] > ROWS_AT_ONCE:
                return features
            return boundary.inputs(features.astype(), self.in_features, self.lead, self.dtype)
        return self.checked_inputs(x)

    def checked_targets(
        self,
        y: Any,
        sample_weight: Any,
        samples: int,
        width: int,
        *,
        some_weight: bool = True,
        learns: bool = False,
    ) -> tuple[Array, Array | None]:
        """Return checked targets and weights of this number of samples, as in `Network.checked`.

        `width` is the width of the input, for a network that accepts any width.
        """
        labels, outputs, known = self._labels, self.out_features or width, self.labels
        if self.loss.classifies:
            y, labels = self._read_target(y, samples, learns)
        try:
            target = boundary.targets(y, self.loss, outputs, samples, self.lead, self.dtype)
        except ValueError:
            if known is not None:
                self._refuse_unknown(y, samples, known)
            raise
        weights = boundary.sample_weights(sample_weight, samples, self.lead, self.dtype)
        if weights is not None and some_weight:
            boundary.check_some_weight(weights, "the samples")
        if learns:
            self._labels = labels
        return target, weights

    def _refuse_unknown(self, y: Any, samples: int, known: Labels) -> None:
        """Raise ValueError if a refused target has a class that is not known.

        The loss, which does not know the classes, would advise to number those of `y` anew.
        """
        array = np.asarray(y)
        column = array.ndim > 0 and not boundary.is_matrix(array.shape, samples, self.lead)
        if column and array.dtype.kind in "biuf" and np.isfinite(array).all():
            indices = Labels(np.arange(len(known.classes)))
            (indices if known.are_text else known).indices(array)  # numbers instead of text

    def learn_signs(self, y: Any) -> None:
        """Learn the classes -1 and 1 from a checked batch that has a -1, unless some are known."""
        if self.loss.takes_signs and self.labels is None and self.out_features == 1:
            array = given_labels(y).array
            if (array == -1).any():
                self._labels = Labels(np.array([-1, 1], array.dtype))

    def check_columns(self, x: Any) -> None:
        """Raise ValueError if the columns of a frame are not those of the training."""
        names = column_names(x)
        if names is not None and self._columns is not None:
            check_columns(names, self._columns)

    def known_of_data(self) -> dict[str, Any]:
        """Return what `fit` has learned about the data, for a file."""
        classes = None if self._labels is None else self._labels.classes
        encoder = None if self.encoder is None else self.encoder.snapshot()
        return {"classes": classes, "feature_names": self._columns, "encoder": encoder}

    def fingerprints(self) -> dict[str, int]:
        """Return checksums of the classes and the columns, to compare ranks."""
        from zlib import crc32  # only ranks need it

        known = {"classes": self.classes_, "columns": self.feature_names_}
        return {
            f"the {what} ({value})": crc32(repr(value).encode()) % (1 << 16)
            for what, value in known.items()
        }

    def know_of_data(self, known: Mapping[str, Any]) -> None:
        """Restore the result of `known_of_data`, or a part of it.

        Raises
        ------
        ValueError
            If it does not fit this network.
        """
        if not isinstance(known, Mapping):
            raise TypeError(
                f"known expects what known_of_data() returns, got {arguments.shown(known)}"
            )
        classes, names = known.get("classes"), known.get("feature_names")
        if self.encoder is not None and known.get("encoder") is not None:
            self.encoder.restore(known["encoder"])
            check_width(self.encoder, self.in_features)
        if classes is not None:
            self._labels = given(classes, self.loss, self.out_features)
        if names is not None:
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                raise ValueError("its column names are not strings")
            if self.in_features not in (None, len(names)):
                raise ValueError(f"it has {len(names)} names for {self.in_features} columns")
            self._columns = names

    def _read_target(self, y: Any, samples: int, learns: bool) -> tuple[Any, Labels | None]:
        """Return a target with indices instead of labels, and the labels; `learns` in training."""
        labels = self._labels
        numeric = type(y) is np.ndarray and y.dtype.kind in "iufc"
        if numeric and not learns and (labels is None or labels.take_indices):
            return y, labels
        found = given_labels(y)
        array, is_text = found.array, found.array.dtype.kind in "US"
        if not array.ndim or not array.size:  # refused by what follows
            return array, labels
        matrix = boundary.is_matrix(array.shape, samples, self.lead)
        if labels is None and learns:
            outputs = self.out_features or (array.shape[-1] if matrix else 2)
            labels = learnt(found, self.loss, outputs, matrix)
        if matrix:
            if labels is not None and found.names is not None and labels.are_text:
                check_columns(found.names, tuple(labels.classes.tolist()), "y")
            return array, labels
        if labels is None and is_text:
            raise ValueError(
                f"y holds labels such as {array.ravel()[0].item()!r}, but the model does not know "
                "its classes yet; give them: Sequential(..., classes=[...]), or call fit with all "
                "rows, which learns them"
            )
        if labels is None:
            return array, None
        if labels.are_indices or (labels.are_text and not is_text):  # numbers are indices
            if is_text or (learns and self.loss.takes_signs and (array == -1).any()):
                labels.indices(array)  # raises the error
            labels.check_numbers()
            return array, labels
        return labels.indices(array), labels

    def _answer(self, outputs: Array) -> Array:
        """Return the most probable classes as labels; raise ValueError if outputs overflowed."""
        boundary.check_have_classes(outputs)
        indices, labels = self.loss.classes(outputs), self._labels
        if labels is None or labels.are_indices:
            return indices
        if classes_for(self.loss, self.out_features or len(labels.classes))[1]:
            return indices  # 0 or 1 for each label
        return labels.classes[indices]
