"""Preparation of the data of `fit`: training rows, and validation rows held out from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.losses.labels import of_some_rows
from mlpgrad.network import boundary
from mlpgrad.network.network import Network
from mlpgrad.training.batches import Batches, Minibatches
from mlpgrad.training.class_weights import ClassWeight, with_class_weights
from mlpgrad.training.encoding import Unencoded
from mlpgrad.training.folds import FoldBatches, Split, fold_of_rows
from mlpgrad.training.rows import Batch
from mlpgrad.training.streams import Stream, is_stream


def check_counts(
    network: Network, epochs: Any, batch_size: Any, default: int = 32
) -> tuple[int, int]:
    """Return the counts as ints; raise an error for invalid counts or an untrainable network."""
    epochs = arguments.count(epochs, "epochs")
    batch_size = default if batch_size is None else arguments.count(batch_size, "batch_size")
    if network.dtype.kind == "c":
        raise TypeError(f"fit expects a real model, got {network.dtype}; use model.lifted(float)")
    return epochs, batch_size


def check_resume(resume: Any) -> None:
    """Raise TypeError unless it is None or a snapshot of a training."""
    parts = {"epoch", "network", "method", "batches", "callbacks"}
    if resume is not None and not (isinstance(resume, Mapping) and parts <= set(resume)):
        raise TypeError(
            "resume expects what a callback got from self.session.snapshot(), got "
            f"{arguments.shown(resume)}"
        )


def check_validation(validation_data: Any, validation_split: Any, folds: Any = None) -> float:
    """Return the fraction to hold out; raise an error if the validation options conflict."""
    share = arguments.number(validation_split, "validation_split", 0, 1)
    if folds is not None and (share or validation_data is not None):
        raise ValueError(
            "give folds or validation data, not both: each member is validated on its own fold"
        )
    if validation_data is None:
        return share
    if share:
        raise ValueError("give validation_data or validation_split, not both")
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data expects (x, y) or (x, y, sample_weight), "
            f"got {arguments.shown(validation_data)}"
        )
    return share


def training_batches(
    network: Network,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: ClassWeight | None,
    *,
    batch_size: int,
    shuffle: bool,
    held_out: float,
    in_order: bool,
    folds: Any = None,
    resume: Mapping[str, Any] | None = None,
) -> Batches:
    """Return the batches of an epoch, without the rows that are held out.

    Parameters
    ----------
    network : Network
    x, y, sample_weight, class_weight, batch_size, shuffle
        As for `Sequential.fit`.
    held_out : float
        Fraction of the rows for validation, which `batches.held_out()` returns.
    in_order : bool
        Whether to hold out the last rows instead of random rows.
    folds : True or array (n,), optional
        Each member leaves out one fold; `batches.held_out()` returns the folds.
    resume : dict, optional
        A snapshot of an earlier training, whose rows are held out again.
    """
    check_resume(resume)
    if is_stream(x, y):
        weighted = class_weight is not None or sample_weight is not None
        if held_out or weighted or folds is not None:
            raise ValueError(
                "batches from an iterable cannot be split or weighted by class: give "
                "validation_data, and yield (x, y, sample_weight)"
            )
        return Stream(network, x)
    if y is None:
        raise TypeError(
            "fit expects targets, fit(x, y, ...), or an iterable of batches (x, y) in place of x"
        )
    table = None
    if network.encoder is None or network.encoder.fitted:
        x, target, given = network.checked(x, y, sample_weight, learns=True)
    else:
        table = Unencoded(network, x)
        target, given = network.checked_targets(y, sample_weight, *table.shape, learns=True)
    rows = split_rows(network, target, held_out, in_order, resume) if held_out else None
    split = None if folds is None else _split(network, target, folds, resume)
    weights = training_weights(network, target, given, class_weight, rows, split)
    options: dict[str, Any] = {"batch_size": batch_size, "shuffle": shuffle, "sample_weight": given}
    if split is None:
        x = x if table is None else table.encoded(target, given, rows)
        return _made(network, x, target, weights, rows=rows, **options)
    boundary.check_some_weight(split.without_fold(weights), "the training rows")
    x = x if table is None else table.encoded(target, given, None, split.rows_of_members())
    return _made(network, x, target, weights, split=split, **options)


def _split(network: Network, target: Array, folds: Any, resume: Mapping[str, Any] | None) -> Split:
    """Return the rows that each member leaves out; in a training that is resumed, those before."""
    before = None if resume is None else resume["batches"].get("folds")
    if before is not None and len(before) == target.shape[-2]:  # otherwise it is refused later
        folds = before
    return Split(fold_of_rows(network, folds, target), network.ensemble_size or 1)


def _made(
    network: Network, x: Array, target: Array, weights: Array | None, **options: Any
) -> Minibatches:
    """Return minibatches of checked rows."""
    dtype = network.dtype
    converted = network.converts_target_to(target)
    target_dtype = converted or network.loss.cast(target[..., :1, :], dtype).dtype
    kind = FoldBatches if "split" in options else Minibatches
    cast = None if converted else network.cast_target
    dtypes = [dtype, target_dtype, dtype]
    return kind([x, target, weights], dtypes, rng=network.rng, cast=cast, **options)


def training_weights(
    network: Network,
    target: Array,
    given: Array | None,
    class_weight: ClassWeight | None,
    rows: Array | None,
    split: Split | None = None,
) -> Array | None:
    """Return the training weights including class weights; `rows` are the training rows.

    With a split, each member balances the classes over the rows that it trains on.
    """
    if split is not None and isinstance(class_weight, str):
        given = split.without_fold(given)
    weights = given
    if class_weight is not None:
        outputs = network.out_features or target.shape[-1]
        names = network.labels
        weights = with_class_weights(
            network.loss, outputs, target, given, class_weight, rows, names
        )
        boundary.check_weights(weights, network.dtype, "sample_weight times class_weight")
    if weights is not None:
        trained = weights if rows is None else weights.take(rows, axis=-2)
        boundary.check_some_weight(trained, "the training rows")
    return weights


def checked_validation(network: Network, given: Any) -> Batch:
    """Return `validation_data` as `Network.checked` does; an error says that it is about it."""
    try:
        return network.checked(*given, *[None] * (3 - len(given)))
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"validation_data: {of_some_rows(error)}") from error


def validation_rows(network: Network, batches: Batches, given: Any) -> Batch | None:
    """Return checked validation data: those given, else any held-out rows of the batches."""
    if given is not None:
        return checked_validation(network, given)
    if isinstance(batches, Minibatches) and batches.rows is not None:
        held_out = batches.held_out()
        if held_out[2] is not None:
            boundary.check_some_weight(held_out[2], "the held-out rows")
        return held_out
    return None


def split_rows(
    network: Network,
    target: Array,
    share: float,
    in_order: bool,
    resume: Mapping[str, Any] | None = None,
) -> Array:
    """Return the training rows; the held-out rows are stratified if the loss has classes.

    A training that is resumed has the rows that it had: class weights and encoders follow them.
    """
    from mlpgrad.datasets import split_indices  # also loads the readers of files

    before = None if resume is None else resume["batches"].get("rows")
    if before is not None and before.max() < target.shape[-2]:  # otherwise it is refused later
        return np.array(before)
    labels = None
    if network.loss.classifies and not in_order and target.ndim == 2:
        labels = network.loss.true_classes(target)
        labels = labels if labels.ndim == 1 else None  # several labels: not stratified
    rng, shuffle = network.stream("split"), not in_order
    return split_indices(target.shape[-2], share, labels=labels, rng=rng, shuffle=shuffle)[0]
