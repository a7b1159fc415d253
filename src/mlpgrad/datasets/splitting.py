"""Splitting of data, stratified by class, and scaling of columns."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad._core.frames import column_names, taken
from mlpgrad._core.habits.lines import STRATIFIED

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
) -> tuple[Any, Any, Any, Any]:
    """Hold out a fraction of the samples for testing.

    Parameters
    ----------
    x, y : array (n, ...), DataFrame or Series
        Inputs and targets, one sample per row; n is at least 2.
    fraction : float
        The fraction to hold out, between 0 and 1, by default 0.2: at least one sample, never all.
    stratify : bool, optional
        Whether to stratify by class. By default this is done if `y` holds classes (one integer,
        boolean or string per sample) and `shuffle` is True. Many different integers, such as
        prices, may then increase the held-out fraction: pass False.
    shuffle : bool
        Whether the choice is random, which is the default. False holds out the last rows, as is
        usual for time series.
    random_state : int, numpy.random.Generator or None
        The source of the random choice. The default 0 gives the same split every time, None a
        different one each time.

    Returns
    -------
    x_train, x_test, y_train, y_test : array, DataFrame or Series
        Copies, each in the order of the data. What was given as a DataFrame or Series of pandas or
        polars is returned as one, so that its names and types are kept.

    Raises
    ------
    ValueError
        If `x` and `y` do not have the same number of samples, there are fewer than 2, `fraction`
        is not between 0 and 1, or `stratify` is True and `shuffle` is False.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.digits()
    >>> x_train, x_test, y_train, y_test = mg.datasets.split(x, y, 0.2)
    >>> len(x_train), len(x_test)
    (1438, 359)
    """
    inputs, targets = arguments.rows(x, "x"), arguments.rows(y, "y")
    if len(inputs) != len(targets):
        raise ValueError(
            f"x and y expect the same number of samples, got {len(inputs)} and {len(targets)}; "
            f"did rows get lost?"
        )
    shuffle = arguments.flag(shuffle, "shuffle")
    if stratify is not None:
        stratify = arguments.flag(stratify, "stratify", f"write {STRATIFIED}")
    else:
        stratify = shuffle and _holds_classes(targets)
    if stratify and not shuffle:
        raise ValueError(
            "stratify=True expects shuffle=True, since rows in order keep no proportions; "
            "leave out one of the two"
        )
    labels = _classes_of(targets) if stratify else None
    parts = split_indices(len(inputs), fraction, labels, rng=random_state, shuffle=shuffle)
    x_train, x_test = (taken(x, inputs, rows) for rows in parts)
    y_train, y_test = (taken(y, targets, rows) for rows in parts)
    return x_train, x_test, y_train, y_test


@suggesting
def split_indices(
    samples: int,
    fraction: float,
    labels: Any = None,
    *,
    rng: RandomState = None,
    shuffle: bool = True,
) -> tuple[Array, Array]:
    """Return rows to train on and rows to hold out, both in increasing order.

    Parameters
    ----------
    samples : int
        Number of rows, at least 2.
    fraction : float
        The fraction to hold out, between 0 and 1: at least one row, never all.
    labels : array (samples,), optional
        Classes for stratification: each class is held out in proportion to within one sample, and
        each class of two or more samples is on both sides. With many tiny classes this can
        increase the held-out fraction. Without labels, the default, rows are chosen regardless of
        their class.
    rng : numpy.random.Generator, int or None
        The source of the random choice; with None, the default, it differs each time.
    shuffle : bool
        Whether the choice is random, which is the default. False holds out the last rows, as is
        usual for time series; labels are then ignored.

    Returns
    -------
    train, held_out : array of int

    Raises
    ------
    ValueError
        If `fraction` is not between 0 and 1, there are fewer than 2 samples, or the shape of
        `labels` is not `(samples,)`.

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


def _holds_classes(y: Array) -> bool:
    """Return whether a target is one integer, boolean or string per sample, also as objects."""
    if y.size != len(y):
        return False
    kinds = (str, int)  # also bool
    objects = y.dtype.kind == "O" and any(
        all(isinstance(label, kind) for label in y.flat) for kind in kinds
    )
    return objects or y.dtype.kind in "biuUST"


def _classes_of(labels: Array) -> Array:
    """Return the class index of each label, in the order of the labels."""
    try:
        return np.unique(labels, return_inverse=True)[1].reshape(-1)
    except TypeError as error:
        raise TypeError(
            f"classes expect labels that have an order, all integers or all text, got different "
            f"kinds in an array of {labels.dtype}; write labels.astype(str)"
        ) from error


def _held_of_each(counts: Array, fraction: float) -> Array:
    """Return how many of each class to hold out: the total, apportioned by largest remainder."""
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
@suggesting
def standardize(train: Any, *others: Any) -> Array | tuple[Array, ...]:
    """Scale each column: x <- (x - mean) / standard deviation, both of the training set

    Columns of any magnitude from 1e-308 to 1e308 are scaled without loss of accuracy.

    Parameters
    ----------
    train : array (n, features)
    *others : array (m, features)
        Arrays to scale in the same way; nothing is learned from validation or test data.

    Returns
    -------
    array, or tuple of arrays
        The scaled arrays, in their floating types (float64 for integers). Columns of `train` have
        mean 0 and standard deviation 1; a column that is constant there becomes zero everywhere.

    Raises
    ------
    TypeError
        If an array does not hold real numbers.
    ValueError
        If the arrays do not have the same columns, in frames by name and in the same order; if a
        number is NaN or infinite, or a number of `others` lies so far from the training set that
        its scaled value would overflow.

    Examples
    --------
    >>> train, test = standardize([[1.0, 7.0], [3.0, 7.0]], [[5.0, 8.0]])
    >>> train.tolist(), test.tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[3.0, 0.0]])
    """
    _check_names(train, others)
    arrays = [checks.numeric(array, "standardize") for array in (train, *others)]
    for array in arrays:
        if array.dtype.kind == "c":
            raise TypeError(
                "standardize expects real numbers, got complex ones; give their real parts, "
                "numpy.real(train), or real and imaginary parts as columns"
            )
        checks.finite(array, "standardize")
        if array.ndim != 2 or array.shape[1] != arrays[0].shape[1]:
            raise ValueError(
                f"standardize expects arrays with the same number of columns, (n, features), "
                f"got shapes {[a.shape for a in arrays]}"
            )
    scaling = Scaling(arrays[0])
    scaled = tuple(scaling(array) for array in arrays)
    return scaled if others else scaled[0]


def _check_names(train: Any, others: tuple[Any, ...]) -> None:
    """Raise ValueError if a frame does not have the columns of the training set in its order."""
    known = column_names(train)
    for other in others:
        names = column_names(other)
        if known and names and names != known:
            raise ValueError(
                f"standardize expects the columns of the training set in its order, "
                f"{list(known)}, got {list(names)}; write test[list(train.columns)]"
            )


class Scaling:
    """Mean and standard deviation of each column of `train: (n, features)`.

    They are computed from numbers scaled to -1 .. 1, whose squares neither overflow nor underflow,
    relative to the first row, so that a large mean does not cost digits of a small deviation.
    """

    def __init__(self, train: Array) -> None:
        self._precise = np.result_type(train, np.float64)
        x = train.astype(self._precise)
        self._size = np.frexp(np.abs(x).max(axis=0))[1]
        x = np.ldexp(x, -self._size)
        self._origin = x[0]
        x = x - self._origin
        self._spread = np.frexp(np.abs(x).max(axis=0))[1]
        x = np.ldexp(x, -self._spread)
        self._mean = x.mean(axis=0)
        self._mean += (x - self._mean).mean(axis=0)  # corrects for rounding
        x -= self._mean
        deviation = np.sqrt((x * x).mean(axis=0))
        self._varies = deviation > 0
        self._deviation = np.where(self._varies, deviation, 1)

    @property
    def mean(self) -> Array:
        """The mean of each column of the training set."""
        inner: Array = np.ldexp(self._mean, self._spread) + self._origin
        return np.ldexp(inner, self._size)

    @property
    def deviation(self) -> Array:
        """The standard deviation of each column; infinite where it is constant: x becomes 0."""
        deviation = np.ldexp(self._deviation, self._size + self._spread)
        return np.where(self._varies, deviation, np.inf)

    def __call__(self, array: Array) -> Array:
        """Return the array scaled by the training set, in its own floating type."""
        kind = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            x = np.ldexp(array.astype(self._precise), -self._size) - self._origin
            x = (np.ldexp(x, -self._spread) - self._mean) / self._deviation
            scaled: Array = np.where(self._varies, x, 0).astype(kind)
        if not np.isfinite(scaled).all():
            row, column = np.argwhere(~np.isfinite(scaled))[0]
            raise ValueError(
                "standardize expects numbers in the range of the training set, got "
                f"{array[row, column]} in row {row}, column {column}, which overflows {kind} when "
                "it is scaled; check that the units are the same"
            )
        return scaled
