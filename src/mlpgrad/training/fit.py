"""`fit`: options are checked, rows are weighted and held out, and a session trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.metrics import Metric
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.batches import Minibatches
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.progress import ProgressBar
from mlpgrad.training.record import Record
from mlpgrad.training.session import Session

if TYPE_CHECKING:
    from mlpgrad.network.network import Network


def fit(
    model: Network,
    x: Any,
    y: Any,
    *,
    record: Record,
    optimizer: Optimizer,
    epochs: int = 10,
    batch_size: int = 32,
    validation_data: tuple[Any, ...] | None = None,
    validation_split: float = 0.0,
    validation_shuffle: bool = True,
    callbacks: Sequence[Callback] = (),
    metrics: Sequence[Metric] | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | str | None = None,
    shuffle: bool = True,
    verbose: int = 1,
) -> None:
    """Train a model on minibatches: what `Sequential.fit` does.

    Parameters
    ----------
    model : Sequential
    x : array (n, I), or (E, n, I) for an ensemble
        May be memory-mapped: it is read a block at a time.
    y : array (n, O) or (E, n, O), or classes (n,)
    record : Record
        Gets the losses and metrics of every epoch.
    optimizer : Optimizer
        Its state goes on where an earlier `fit` left it.
    epochs, batch_size : int
        Passes through the data; samples a step (the last batch may be shorter).
    validation_data : tuple (x, y) or (x, y, sample_weight), optional
        Evaluated after every epoch.
    validation_split : float
        Else this share of the rows is held out: drawn at random, each class in proportion.
    validation_shuffle : bool
        False holds out the last rows instead, in time order.
    callbacks : sequence of Callback
    metrics : sequence of Metric, optional
        Recorded on the training batches as well. By default only the validation set is measured,
        with the loss's own metrics.
    sample_weight : array (n,) or (E, n), optional
        A sample of weight 2 counts as two.
    class_weight : dict, or "balanced", optional
        Multiplies the weights of each class's samples; "balanced" gives every class the same
        total weight.
    shuffle : bool
        A new order every epoch.
    verbose : int
        0 is silent, 1 shows progress.

    Raises
    ------
    DivergenceError
        As soon as the loss is not finite.
    """
    _check_options(model, optimizer, epochs, batch_size, validation_data, validation_split)
    data = model.checked(x, y, sample_weight)
    data = (*data[:2], _with_class_weights(model, data, class_weight))
    rows, validation = None, None
    if validation_data is not None:
        validation = model.checked(*validation_data, *[None] * (3 - len(validation_data)))
    elif validation_split:
        rows, held_out = _split(model, data[1], validation_split, validation_shuffle)
        validation = tuple(None if a is None else a.take(held_out, axis=-2) for a in data)  # type: ignore[assignment]
    dtypes = [model.dtype, model.loss.cast(data[1][..., :1, :], model.dtype).dtype, model.dtype]
    batches = Minibatches(
        list(data), dtypes, batch_size=batch_size, shuffle=shuffle, rng=model.rng, rows=rows
    )
    shown = [*callbacks, *([ProgressBar()] if verbose else [])]
    run = Session(model, optimizer, batches, validation, shown, metrics, epochs, record)
    run.train()


def _check_options(
    model: Network,
    optimizer: Any,
    epochs: Any,
    batch_size: Any,
    validation_data: Any,
    validation_split: float,
) -> None:
    if not isinstance(optimizer, Optimizer):
        fix = f"; write {optimizer.__name__}(...)" if isinstance(optimizer, type) else ""
        raise TypeError(f"optimizer expects an object such as Adam(1e-3), got {optimizer!r}{fix}")
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name} expects an int >= 1, got {value!r}")
    if model.dtype.kind == "c":
        raise TypeError(f"fit expects a real model, got {model.dtype}; use model.lifted(float)")
    if not 0 <= validation_split < 1:
        raise ValueError(f"validation_split expects a share from 0 to 1, got {validation_split}")
    if validation_data is None:
        return
    if validation_split:
        raise ValueError("give validation_data or validation_split, not both")
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data expects (x, y) or (x, y, sample_weight), "
            f"got {type(validation_data).__name__}"
        )


def _with_class_weights(
    model: Network,
    data: tuple[Array, Array, Array | None],
    class_weight: Mapping[int, float] | str | None,
) -> Array | None:
    """Sample weights times the weight of each sample's class."""
    _, target, weights = data
    if class_weight is None:
        return weights
    if not model.loss.classifies:
        raise TypeError(f"class_weight expects a loss on classes, got {model.loss!r}")
    labels = model.loss.true_classes(target)
    if labels.ndim == target.ndim and target.shape[-1] > 1:
        raise ValueError("class_weight expects one class a sample; use sample_weight for labels")
    classes, counts = np.unique(labels, return_counts=True)
    if class_weight == "balanced":
        table = dict(zip(classes.tolist(), labels.size / (len(classes) * counts), strict=True))
    elif isinstance(class_weight, str):
        raise ValueError(f'class_weight expects a dict or "balanced", got {class_weight!r}')
    else:
        table = dict(class_weight)
    missing = sorted(set(classes.tolist()) - table.keys())
    if missing:
        raise ValueError(f"class_weight expects a weight for each class; missing: {missing}")
    factors = np.array([table[c] for c in classes.tolist()], float)[
        np.searchsorted(classes, labels)
    ]
    factors = factors[..., None]
    return factors if weights is None else weights * factors


def _split(model: Network, target: Array, share: float, shuffled: bool) -> tuple[Array, Array]:
    """Rows for training and rows held out; classes in proportion where the loss has them."""
    from mlpgrad.datasets import split_indices  # loads the readers of files, too

    labels = None
    if model.loss.classifies and shuffled and target.ndim == 2:
        labels = model.loss.true_classes(target)
        labels = labels if labels.ndim == 1 else None  # several labels a sample have no classes
    return split_indices(target.shape[-2], share, labels=labels, rng=model.rng, shuffle=shuffled)
