"""Fold-out members: each member of an ensemble trains on all folds but one, its validation set.

One training is a cross-validation: every row is used for training, and every row has a prediction
by members that have not seen it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, part_of
from mlpgrad.metrics import Metric
from mlpgrad.network.network import Network
from mlpgrad.network.prediction import ROWS_AT_ONCE
from mlpgrad.training.baseline import usual_metrics
from mlpgrad.training.batches import Minibatches
from mlpgrad.training.evaluate import Figures, as_number
from mlpgrad.training.record import Record
from mlpgrad.training.rows import Batch


def fold_of_rows(network: Network, folds: Any, target: Array) -> Array:
    """Return the fold of each row, `(n,)` ints from 0: drawn at random, or those given, renumbered.

    Drawn folds are stratified by class, and their sizes differ by at most one row.

    Parameters
    ----------
    network : Network
        An ensemble. If there are fewer folds than members, several members leave out the same fold.
    folds : True or array (n,)
        True draws as many folds as there are members.
    target : array (n, O)
        Checked targets.
    """
    members, samples = network.ensemble_size, target.shape[-2]
    if members is None or members < 2:
        raise ValueError(
            "folds expects an ensemble of at least 2 members, each of which leaves out a fold; "
            "make the model with ensemble_size=5, for instance"
        )
    if target.ndim == 3:
        raise ValueError(
            f"folds expects the same target for all members, (n, O), got shape {target.shape}; "
            "give one target for all, or train the members one by one"
        )
    if folds is True:
        if samples < members:
            raise ValueError(
                f"folds expects at least one row for each of {members} members, got {samples} rows"
            )
        return _drawn(network, target, members)
    given = arguments.as_array(folds, "folds")
    if given.shape != (samples,) or given.dtype.kind not in "iu":
        raise ValueError(
            f"folds expects True, or the fold of each row as ints of shape ({samples},), got "
            f"{arguments.shown(folds)}"
        )
    names, numbers = np.unique(given, return_inverse=True)
    if not 2 <= len(names) <= members:
        raise ValueError(
            f"folds expects from 2 to {members} folds, since there are {members} members and each "
            f"leaves out one, got {len(names)}; give another ensemble_size or other folds"
        )
    return numbers


def _drawn(network: Network, target: Array, count: int) -> Array:
    """Draw folds at random, stratified by class."""
    rng, samples = network.stream("folds"), target.shape[-2]
    order = rng.permutation(samples)
    if network.loss.classifies:
        labels = network.loss.true_classes(target)
        if labels.ndim == 1:  # several labels per sample cannot be stratified
            order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(samples, np.intp)
    folds[order] = np.arange(samples) % count
    return folds


class Split:
    """The rows that each member of an ensemble leaves out.

    Parameters
    ----------
    folds : array (n,) of int
        The fold of each row, from 0.
    members : int
        Member j leaves out fold j modulo the number of folds.
    """

    def __init__(self, folds: Array, members: int) -> None:
        self.folds, self.members, self.count = folds, members, int(folds.max()) + 1

    def rows_left_out(self) -> list[Array]:
        """Return the rows that each member leaves out."""
        return [np.flatnonzero(self.folds == j % self.count) for j in range(self.members)]

    def rows_of_members(self) -> list[Array]:
        """Return the rows that each member trains on."""
        return [np.flatnonzero(self.folds != j % self.count) for j in range(self.members)]

    def without_fold(self, weights: Array | None) -> Array:
        """Return weights `(E, n, 1)`; those of each member are 0 in the fold that it leaves out."""
        trained = np.ones((self.members, len(self.folds), 1))
        for own, rows in zip(trained, self.rows_left_out(), strict=True):
            own[rows] = 0
        return trained if weights is None else trained * weights


class FoldBatches(Minibatches):
    """Minibatches for members that train on different rows, each in its own order.

    A batch is `(x, target, weights)` with a leading axis of members; the rows themselves are in
    memory only once. If a member has fewer rows than others, some of its rows, different ones in
    each epoch, occur twice.

    Parameters
    ----------
    arrays : list of array or None
        Input, target and weights, rows on axis -2.
    dtypes : list of dtype
        The types to which the batches are cast.
    split : Split
        The rows that each member leaves out.
    **options
        As for `Minibatches`.
    """

    kept = ("folds", "order")

    def __init__(
        self,
        arrays: Sequence[Array | None],
        dtypes: list[np.dtype[Any]],
        *,
        split: Split,
        **options: Any,
    ) -> None:
        self.split, self.members = split, split.members
        longest = max(map(len, split.rows_of_members()))
        super().__init__(arrays, dtypes, rows=np.arange(longest), **options)

    @property
    def folds(self) -> Array:
        """The fold of each row."""
        return self.split.folds

    @folds.setter
    def folds(self, folds: Array) -> None:
        self.split = Split(folds, self.members)

    # an epoch

    @property
    def direct(self) -> bool:
        """Whether one order of rows serves all members: it never does."""
        return False

    def blocks(self) -> Iterator[list[Batch]]:
        """Yield the batches of an epoch in lists that are gathered together."""
        if self.order is None or not self.resumes:
            self.order = self._drawn_order()
        self.resumes = False
        for start in range(0, self.samples, self.block):
            rows = self.order[:, start : start + self.block]
            self._gather(rows)
            yield self._split(rows.shape[-1])

    def _drawn_order(self) -> Array:
        """Return the order of each member's rows in an epoch, `(members, samples)`."""
        order = np.empty((self.members, self.samples), np.intp)
        for own, rows in zip(order, self.split.rows_of_members(), strict=True):
            if self.shuffle:
                self.rng.shuffle(rows)
            own[:] = np.resize(rows, self.samples)
        return order

    def _gather(self, rows: Array) -> None:
        """Copy each member's rows to the start of its buffers."""
        part = np.s_[..., : rows.shape[-1], :]
        for array, uncast, buffer, cast in self.copies:
            for member, own in enumerate(rows):
                source = array[member] if array.ndim == 3 else array
                if source.flags.c_contiguous:
                    source.take(own, 0, uncast[member, : len(own)], "clip")
                else:  # take would copy the whole array first
                    uncast[member, : len(own)] = source[own]
            if uncast is not buffer:
                buffer[part] = uncast[part] if cast is None else cast(uncast[part])

    def _buffer(self, array: Array, dtype: np.dtype[Any]) -> Array:
        return np.empty((self.members, self.block, array.shape[-1]), dtype)

    def conclude(self, network: Network, metrics: Sequence[Metric] | None, record: Record) -> None:
        """Record the out-of-fold prediction of each row, and its scores."""
        record.folds = self.folds
        record.oof_prediction, record.oof_scores = out_of_fold(network, self, metrics)

    # all rows

    def data(self) -> Batch:
        """Return all rows, with weights `(E, n, 1)` that are 0 in each member's fold."""
        x, target, weights = self.arrays
        return x, target, self.split.without_fold(weights)

    def trained(self) -> tuple[Any, Any, Any]:
        return self.data()

    def _some_rows(self, count: int) -> Array:
        samples = len(self.folds)
        return np.arange(0, samples, -(-samples // count))

    def held_out(self) -> Any:
        """Return the rows that each member leaves out, gathered when they are sliced.

        A smaller fold is padded with a row of weight 0.
        """
        rows, there = self._rows_left_out()
        x, target, _ = self.arrays
        weights = there[..., None].astype(np.float64)
        if self.sample_weight is not None:
            weights = weights * OfMembers(self.sample_weight, rows)[..., :, :]
        elif there.all():
            return OfMembers(x, rows), OfMembers(target, rows), None
        return OfMembers(x, rows), OfMembers(target, rows), weights

    def _rows_left_out(self) -> tuple[Array, Array]:
        """Return the rows that each member leaves out, `(E, k)`, and a mask without padding."""
        own = self.split.rows_left_out()
        longest = max(map(len, own))
        there = np.arange(longest) < np.array([*map(len, own)])[:, None]
        return np.array([np.append(r, np.full(longest - len(r), r[-1])) for r in own]), there

    def _weight_and_rows(self) -> tuple[Array, Any]:
        """Return the sum of each member's weights, and the number of its rows, both `(E, 1, 1)`."""
        rows = np.array([*map(len, self.split.rows_of_members())]).reshape(-1, 1, 1)
        if self.arrays[2] is None:
            return rows, rows
        weights = self.data()[2]
        assert weights is not None
        return weights.sum(axis=-2, keepdims=True), rows


class OfMembers:
    """Rows of each member, `(E, k, ...)`, gathered when sliced."""

    def __init__(self, array: Array, rows: Array) -> None:
        self.array, self.rows = array, rows
        self.shape = (*rows.shape, array.shape[-1])
        self.ndim, self.dtype = 3, array.dtype

    def __getitem__(self, part: Any) -> Array:
        """Return the rows of a slice `[..., start:stop, :]`."""
        rows = self.rows[:, part[-2]]
        if self.array.ndim == 2:
            return self.array[rows]
        return self.array[np.arange(len(rows))[:, None], rows]


# out-of-fold predictions


def out_of_fold(
    network: Network, batches: FoldBatches, metrics: Sequence[Metric] | None
) -> tuple[Array, dict[str, Any]]:
    """Return the out-of-fold prediction of each row, `(n, O)`, and its scores."""
    loss, first = network.loss, network.first_scaling
    x, _, _ = batches.held_out()
    rows, there = batches._rows_left_out()
    folds = batches.split.count
    found: Any = None
    for start in range(0, x.shape[-2], ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        outputs = network.in_first_unit(network._predict(x[..., part, :]))
        if found is None:
            found = np.empty((len(batches.folds), outputs.shape[-1]), outputs.dtype)
        for fold in range(folds):
            used = there[fold, part]
            found[rows[fold, part][used]] = loss.averaged(outputs[fold::folds])[used]
    own = found if first is None else first.prediction(found, loss)
    return own, _figures(network, batches, found, metrics)


def _figures(
    network: Network, batches: FoldBatches, outputs: Array, metrics: Sequence[Metric] | None
) -> dict[str, Any]:
    """Return the loss and the metrics of the outputs for all rows."""
    target, weights = part_of(0, batches.arrays[1]), batches.sample_weight
    if weights is not None:
        weights = weights.astype(np.float64)
        weights = weights if weights.ndim == 2 else weights.mean(axis=0)
    metrics = usual_metrics(network, target) if metrics is None else metrics
    figures = Figures(network.loss, metrics, network.first_scaling)
    figures.add(outputs, target, weights)
    return {name: as_number(value) for name, value in figures.result().items()}
