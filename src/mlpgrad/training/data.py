"""From what `fit` is given to the rows that it trains on and those that it holds out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.metrics import Metric
from mlpgrad.network.network import Network
from mlpgrad.training.batches import Batch, Batches, Minibatches
from mlpgrad.training.streams import Stream


def check_counts(network: Network, epochs: Any, batch_size: Any) -> tuple[int, int]:
    """The counts as ints; raise an error if one is none, or if the network cannot be trained."""
    epochs = arguments.count(epochs, "epochs")
    batch_size = arguments.count(batch_size, "batch_size")
    if network.dtype.kind == "c":
        raise TypeError(f"fit expects a real model, got {network.dtype}; use model.lifted(float)")
    return epochs, batch_size


def check_validation(validation_data: Any, validation_split: Any) -> float:
    """The split's share; raise an error if the options of validation contradict each other."""
    share = arguments.number(validation_split, "validation_split", 0, 1)
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


def checked_metrics(metrics: Any) -> list[Metric] | None:
    """The metrics as a list, or None for those of the loss."""
    if metrics is None:
        return None
    return arguments.objects(metrics, "metrics", Metric, "Accuracy()")


def shows_progress(verbose: Any) -> bool:
    """Whether `verbose` asks for progress: any int above 0 does, as in other libraries."""
    if not isinstance(verbose, (bool, np.bool_)):
        return arguments.count(verbose, "verbose", 0, fix="0 is silent, 1 shows progress") > 0
    return bool(verbose)


def is_stream(x: Any, y: Any) -> bool:
    """Whether `x` is no array, but something that yields batches of inputs and targets."""
    array = hasattr(x, "__array__") or hasattr(x, "toarray")
    return y is None and isinstance(x, Iterable) and not array


def training_batches(
    network: Network,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Mapping[int, float] | str | None,
    *,
    batch_size: int,
    shuffle: bool,
    held_out: float,
    in_order: bool,
) -> Batches:
    """The batches of an epoch, without the share of the rows that is held out.

    Parameters
    ----------
    network : Network
    x, y, sample_weight, class_weight, batch_size, shuffle
        As `Sequential.fit` takes them.
    held_out : float
        Share of the rows for validation: `batches.held_out()` gives them.
    in_order : bool
        Whether the last rows are held out, instead of rows drawn at random.
    """
    if is_stream(x, y):
        if held_out or class_weight is not None or sample_weight is not None:
            raise ValueError(
                "batches from an iterable cannot be split or weighted by class: give "
                "validation_data, and yield (x, y, sample_weight)"
            )
        return Stream(network, x)
    if y is None:
        raise TypeError(
            "fit expects targets, fit(x, y, ...), or an iterable of batches (x, y) in place of x"
        )
    data = network.checked(x, y, sample_weight)
    data = (*data[:2], with_class_weights(network, data, class_weight))
    rows = split_rows(network, data[1], held_out, in_order) if held_out else None
    loss, dtype = network.loss, network.dtype
    converted = loss.converts_to(data[1], dtype)
    target_dtype = converted or loss.cast(data[1][..., :1, :], dtype).dtype
    return Minibatches(
        list(data),
        [dtype, target_dtype, dtype],
        batch_size=batch_size,
        shuffle=shuffle,
        rng=network.rng,
        rows=rows,
        cast=None if converted else lambda target: loss.cast(target, dtype),
    )


def validation_rows(network: Network, batches: Batches, given: Any) -> Batch | None:
    """The checked validation data: those given, else those that the batches hold out, if any."""
    if given is not None:
        return network.checked(*given, *[None] * (3 - len(given)))
    if isinstance(batches, Minibatches) and batches.rows is not None:
        return batches.held_out()
    return None


def with_class_weights(
    network: Network,
    data: tuple[Array, Array, Array | None],
    class_weight: Mapping[int, float] | str | None,
) -> Array | None:
    """Sample weights times the weight of each sample's class."""
    _, target, weights = data
    if class_weight is None:
        return weights
    if not network.loss.classifies:
        raise TypeError(f"class_weight expects a loss on classes, got {network.loss!r}")
    labels = network.loss.true_classes(target)
    if labels.ndim == target.ndim and target.shape[-1] > 1:
        raise ValueError("class_weight expects one class a sample; use sample_weight for labels")
    classes, counts = np.unique(labels, return_counts=True)
    if isinstance(class_weight, str) and class_weight == "balanced":
        table = dict(zip(classes.tolist(), labels.size / (len(classes) * counts), strict=True))
    elif isinstance(class_weight, str):
        raise ValueError(f'class_weight expects a dict or "balanced", got {class_weight!r}')
    elif not isinstance(class_weight, Mapping):
        shown = arguments.shown(class_weight)
        raise TypeError(
            f'class_weight expects a dict such as {{0: 1.0, 1: 2.0}} or "balanced", got {shown}'
        )
    else:
        table = dict(class_weight)
    missing = sorted(set(classes.tolist()) - table.keys())
    if missing:
        raise ValueError(f"class_weight expects a weight for each class; missing: {missing}")
    factors = np.array(
        [arguments.number(table[c], f"class_weight[{c!r}]", 0) for c in classes.tolist()]
    )
    factors = factors[np.searchsorted(classes, labels)][..., None]
    return factors if weights is None else weights * factors


def split_rows(network: Network, target: Array, share: float, in_order: bool) -> Array:
    """The rows to train on; classes are held out in proportion where the loss has them."""
    from mlpgrad.datasets import split_indices  # loads the readers of files, too

    labels = None
    if network.loss.classifies and not in_order and target.ndim == 2:
        labels = network.loss.true_classes(target)
        labels = labels if labels.ndim == 1 else None  # several labels a sample have no classes
    rng, shuffle = network.stream("split"), not in_order
    return split_indices(target.shape[-2], share, labels=labels, rng=rng, shuffle=shuffle)[0]
