"""Before training: hold samples out, in proportion of the classes, and scale columns."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting

MOST_ROWS = 10_000_000_000
RandomState = int | np.random.Generator | None


@suggesting
def split(
    x: Any,
    y: Any,
    fraction: float = 0.2,
    *,
    stratify: bool | None = None,
    shuffle: bool = True,
    random_state: RandomState = 0,
) -> tuple[Array, Array, Array, Array]:
    """Hold out a share of the samples for testing.

    Parameters
    ----------
    x, y : array (n, ...)
    fraction : float
        The share to hold out, between 0 and 1.
    stratify : bool, optional
        Whether each class is held out in proportion; by default where `y` is classes: one
        integer, boolean or string a sample. Needs `shuffle`.
    shuffle : bool
        False holds out the last rows, for samples in order of time.
    random_state : int, numpy.random.Generator or None
        Of the choice; the default makes the same split every time.

    Returns
    -------
    x_train, x_test, y_train, y_test : array
        Copies, each in the order of the data.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.digits()
    >>> x_train, x_test, y_train, y_test = mg.datasets.split(x, y, 0.2)
    >>> len(x_train), len(x_test)
    (1438, 359)
    """
    x, y = arguments.rows(x, "x"), arguments.rows(y, "y")
    if len(x) != len(y):
        raise ValueError(
            f"x and y expect the same number of samples, got {len(x)} and {len(y)}; "
            f"did rows get lost?"
        )
    shuffle = arguments.flag(shuffle, "shuffle")
    if stratify is not None:
        stratify = arguments.flag(stratify, "stratify")
    else:
        stratify = shuffle and y.ndim == 1 and y.dtype.kind in "biuUS"
    if stratify and not shuffle:
        raise ValueError("stratify=True expects shuffle=True: rows in order keep no proportions")
    labels = _classes_of(y) if stratify else None
    train, test = split_indices(len(x), fraction, labels, rng=random_state, shuffle=shuffle)
    return x[train], x[test], y[train], y[test]


@suggesting
def split_indices(
    samples: int,
    fraction: float,
    labels: Any = None,
    *,
    rng: RandomState = None,
    shuffle: bool = True,
) -> tuple[Array, Array]:
    """Rows to train on and rows to hold out, both in increasing order.

    Parameters
    ----------
    samples : int
        Number of rows, at least 2.
    fraction : float
        The share to hold out, between 0 and 1: at least one row, and never all.
    labels : array (samples,), optional
        Classes to hold out in proportion: each to within one sample, and each class of two or
        more on both sides. With many tiny classes that can make the whole share larger.
    rng : numpy.random.Generator, int or None
        Of the choice.
    shuffle : bool
        False holds out the last rows, for samples in order of time; labels do not matter then.

    Returns
    -------
    train, held_out : array of int

    Examples
    --------
    >>> split_indices(5, 0.4, shuffle=False)
    (array([0, 1, 2]), array([3, 4]))
    >>> split_indices(6, 0.4, labels=[0, 0, 0, 1, 1, 1], rng=0)[1]
    array([2, 3])
    """
    fraction = arguments.number(fraction, "fraction", 0, 1, ends="()", fix="0.2 is usual")
    samples = arguments.count(
        samples, "samples", 2, MOST_ROWS, fix="a split needs at least 2 samples"
    )
    shuffle, rng = arguments.flag(shuffle, "shuffle"), arguments.generator(rng, "rng")
    if labels is not None:
        labels = arguments.as_array(labels, "labels")
        if labels.shape != (samples,):
            raise ValueError(f"labels expects shape ({samples},), got {labels.shape}")
    if not shuffle or labels is None:
        held = min(max(round(samples * fraction), 1), samples - 1)
        order = rng.permutation(samples) if shuffle else np.arange(samples)
        return np.sort(order[:-held]), np.sort(order[-held:])
    of_class = _classes_of(labels)
    counts = np.bincount(of_class)
    shares = _held_of_each(counts, fraction)
    order = rng.permutation(samples)
    order = order[np.argsort(of_class[order], kind="stable")]  # by class, at random within each
    place = np.arange(samples) - np.repeat(np.cumsum(counts) - counts, counts)
    held_out = place < np.repeat(shares, counts)
    return np.sort(order[~held_out]), np.sort(order[held_out])


def _classes_of(labels: Array) -> Array:
    """The class of each label as an index, in the order of the labels."""
    try:
        return np.unique(labels, return_inverse=True)[1].reshape(-1)
    except TypeError as error:
        raise TypeError(
            f"classes expect labels that have an order, all integers or all text, got different "
            f"kinds in an array of {labels.dtype}; write labels.astype(str)"
        ) from error


def _held_of_each(counts: Array, fraction: float) -> Array:
    """How many of each class to hold out: the whole share, spread by largest remainder."""
    ideal = (counts * fraction).round(9)  # 0.07 * 100 is 7.000000000000001
    several = counts > 1
    fewest = np.maximum(np.floor(ideal), several).astype(int)
    most = np.minimum(np.ceil(ideal), np.where(several, counts - 1, 1)).astype(int)
    shares: Array = np.minimum(fewest, most)
    wanted = min(max(round(counts.sum() * fraction), 1), counts.sum() - 1)
    spare = np.flatnonzero(most > shares)
    nearest = spare[np.argsort((shares - ideal)[spare], kind="stable")]
    shares[nearest[: max(wanted - shares.sum(), 0)]] += 1
    return shares


@overload
def standardize(train: Any) -> Array: ...
@overload
def standardize(train: Any, *others: Any) -> tuple[Array, ...]: ...
def standardize(train: Any, *others: Any) -> Array | tuple[Array, ...]:
    """Scale each column: x <- (x - mean) / standard deviation, both of the training set

    Parameters
    ----------
    train : array (n, features)
    *others : array (m, features)
        Scaled in the same way: nothing is learnt from validation or test data.

    Returns
    -------
    array, or tuple of arrays
        As many as were given, floating point. A column that is constant in `train` becomes
        zero everywhere.

    Examples
    --------
    >>> train, test = standardize([[1.0, 7.0], [3.0, 7.0]], [[5.0, 8.0]])
    >>> train.tolist(), test.tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[3.0, 0.0]])
    """
    arrays = [checks.numeric(array, "standardize") for array in (train, *others)]
    first = arrays[0]
    for array in arrays:
        checks.finite(array, "standardize")
        if array.ndim != 2 or array.shape[1] != first.shape[1]:
            raise ValueError(
                f"standardize expects arrays of one number of columns, (n, features), "
                f"got shapes {[a.shape for a in arrays]}"
            )
    precise = np.result_type(first, np.float64)
    mean, deviation = first.mean(axis=0, dtype=precise), first.std(axis=0, dtype=precise)
    varies = first.max(axis=0) > first.min(axis=0)  # a constant's deviation may round to 1e-17
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    kinds = [a.dtype if a.dtype.kind == "f" else np.dtype(np.float64) for a in arrays]
    scaled = tuple(((a - mean) * scale).astype(k) for a, k in zip(arrays, kinds, strict=True))
    return scaled if others else scaled[0]
