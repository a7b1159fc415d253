"""Small generated data sets: two classes in the plane, and a regression."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arguments import count, generator, number
from mlpgrad._core.arrays import Array
from mlpgrad._core.described import suggesting
from mlpgrad.datasets.splitting import RandomState

MOST = 100_000_000  # numbers or rows, so that a typing error does not exhaust the memory


@suggesting
def xor(copies: int = 1) -> tuple[Array, Array]:
    """Classes y = x_1 xor x_2: the smallest problem that needs a hidden layer.

    Parameters
    ----------
    copies : int
        How many times the four rows are given, by default once.

    Returns
    -------
    x : array (4 copies, 2), float64
        Zeros and ones.
    y : array (4 copies,), int64
        Classes 0 and 1.

    Raises
    ------
    ValueError
        If `copies` is not an integer of at least 1.

    Examples
    --------
    >>> x, y = xor()
    >>> x.tolist(), y.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    copies = count(copies, "copies", 1, MOST)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
    return np.tile(x, (copies, 1)), np.tile(np.array([0, 1, 1, 0]), copies)


@suggesting
def moons(
    n: int = 200, *, noise: float = 0.0, random_state: RandomState = None
) -> tuple[Array, Array]:
    """(cos t, sin t) against (1 - cos t, 1/2 - sin t),  0 <= t <= pi: two half circles

    The half circles interlock, so that no line separates them.

    Parameters
    ----------
    n : int
        Number of samples, at least 2 and by default 200: half of each class, in random order.
    noise : float
        Standard deviation of Gaussian noise added to both features, by default 0.
    random_state : int, numpy.random.Generator or None
        The source of the order and the noise; with None, the default, they differ each time.

    Returns
    -------
    x : array (n, 2), float64
    y : array (n,), int64
        Class 0 is the upper half circle.

    Raises
    ------
    ValueError
        If `n` is not an integer of at least 2, or `noise` is negative or not finite.

    Examples
    --------
    >>> x, y = moons(100, noise=0.1, random_state=0)
    >>> x.shape, int(y.sum())
    ((100, 2), 50)
    """
    n = count(n, "n", 2, MOST)
    outer, inner = (np.linspace(0, np.pi, size) for size in (n // 2, n - n // 2))
    upper = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    lower = np.stack([1 - np.cos(inner), 0.5 - np.sin(inner)], axis=1)
    return _two_classes(upper, lower, noise, random_state)


@suggesting
def circles(
    n: int = 200, *, noise: float = 0.0, factor: float = 0.8, random_state: RandomState = None
) -> tuple[Array, Array]:
    """(cos t, sin t) against factor (cos t, sin t),  0 <= t < 2 pi: a circle in a circle

    Parameters
    ----------
    n : int
        Number of samples, at least 2 and by default 200: half of each class, in random order.
    noise : float
        Standard deviation of Gaussian noise added to both features, by default 0.
    factor : float
        Radius of the inner circle, from 0 to 1 and by default 0.8; that of the outer one is 1.
    random_state : int, numpy.random.Generator or None
        The source of the order and the noise; with None, the default, they differ each time.

    Returns
    -------
    x : array (n, 2), float64
    y : array (n,), int64
        Class 1 is the inner circle.

    Raises
    ------
    ValueError
        If `n` is not an integer of at least 2, `factor` is not between 0 and 1, or `noise` is
        negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = circles(100, factor=0.5, random_state=0)
    >>> np.unique(np.hypot(*x[y == 1].T).round(9))
    array([0.5])
    """
    n = count(n, "n", 2, MOST)
    factor = number(factor, "factor", 0, 1, ends="[]", fix="it is the radius of the inner circle")
    around = [np.arange(size) * (2 * np.pi / size) for size in (n // 2, n - n // 2)]
    outer, inner = (np.stack([np.cos(t), np.sin(t)], axis=1) for t in around)
    return _two_classes(outer, factor * inner, noise, random_state)


@suggesting
def spirals(
    density: int = 1, *, noise: float = 0.0, random_state: RandomState = None
) -> tuple[Array, Array]:
    """Points r (sin t, cos t) against their negatives,  t = i pi / 16,  r = 6.5 (104 - i) / 104

    With i = 0 ... 96 each spiral has 97 points and three turns. Lang and Witbrock 1988,
    "Learning to tell two spirals apart".

    Parameters
    ----------
    density : int
        Density of the points relative to the original, by default 1: each spiral has
        `96 density + 1` points, with `i / density` instead of i.
    noise : float
        Standard deviation of Gaussian noise added to both features, by default 0.
    random_state : int, numpy.random.Generator or None
        The source of the noise; with None, the default, it differs each time.

    Returns
    -------
    x : array (2 (96 density + 1), 2), float64
        The two spirals in turn, as the original program writes them: from the outside in.
    y : array (2 (96 density + 1),), int64
        Class 1 is the first spiral, class 0 its negative.

    Raises
    ------
    ValueError
        If `density` is not an integer of at least 1, or `noise` is negative or not finite.

    Examples
    --------
    >>> x, y = spirals()
    >>> x.shape, x[0].tolist(), y[:4].tolist()
    ((194, 2), [0.0, 6.5], [1, 0, 1, 0])
    """
    density = count(density, "density", 1, MOST)
    i = np.arange(96 * density + 1) / density
    angle, radius = i * np.pi / 16, 6.5 * (104 - i) / 104
    first = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    x = np.stack([first, -first], axis=1).reshape(-1, 2)
    x = _with_noise(x, noise, generator(random_state))
    return x, np.tile([1, 0], len(first))


@suggesting
def regression(
    n: int = 200, features: int = 5, *, noise: float = 0.0, random_state: RandomState = None
) -> tuple[Array, Array]:
    """Friedman's y = 10 sin(pi x_1 x_2) + 20 (x_3 - 1/2)^2 + 10 x_4 + 5 x_5 + noise

    His first test function: smooth, not linear, with an interaction; features after the fifth
    have no effect. Friedman 1991, "Multivariate adaptive regression splines", equation 61.

    Parameters
    ----------
    n : int
        Number of samples, by default 200.
    features : int
        Number of features, at least 5 and by default 5, uniform between 0 and 1.
    noise : float
        Standard deviation of Gaussian noise added to y, by default 0.
    random_state : int, numpy.random.Generator or None
        The source of the features and the noise; with None, the default, they differ each time.

    Returns
    -------
    x : array (n, features), float64
    y : array (n,), float64

    Raises
    ------
    ValueError
        If `n` is not an integer of at least 1, `features` not one of at least 5, or `noise` is
        negative or not finite.

    Examples
    --------
    >>> x, y = regression(3, random_state=0)
    >>> x.shape, y.round(2).tolist()
    ((3, 5), [13.59, 21.02, 6.61])
    """
    n = count(n, "n", 1, MOST)
    features = count(features, "features", 5, MOST // n)
    rng = generator(random_state)
    x = rng.random((n, features))
    smooth = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    return x, _with_noise(smooth + 10 * x[:, 3] + 5 * x[:, 4], noise, rng)


def _two_classes(
    zeros: Array, ones: Array, noise: float, random_state: RandomState
) -> tuple[Array, Array]:
    """Points of class 0 and of class 1 in random order, with noise."""
    rng = generator(random_state)
    y = np.repeat([0, 1], [len(zeros), len(ones)])
    order = rng.permutation(len(y))
    return _with_noise(np.concatenate([zeros, ones])[order], noise, rng), y[order]


def _with_noise(values: Array, noise: float, rng: np.random.Generator) -> Array:
    noise = number(noise, "noise", 0, fix="it is a standard deviation")
    return values + rng.normal(0, noise, values.shape) if noise else values
