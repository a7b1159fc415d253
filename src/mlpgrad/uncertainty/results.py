"""Results of predictions with uncertainty: pairs that say what they include."""

from __future__ import annotations

from typing import NamedTuple

from mlpgrad._core.arrays import Array


class _MeanAndStd(NamedTuple):
    mean: Array
    std: Array


class _LowAndHigh(NamedTuple):
    low: Array
    high: Array


class Estimate(_MeanAndStd):
    """The pair `(mean, std)` that `predict(x, std=True)` returns.

    Attributes
    ----------
    mean : array (B, T)
        The prediction.
    std : array (B, T)
        The standard deviation, in the units of the target.
    includes_noise : bool
        True if `std` is the total uncertainty of a target, including the noise. False if it is
        only the uncertainty of the mean, because the noise is not known.

    Examples
    --------
    >>> mean, std = Estimate([1.0], [0.5])
    >>> Estimate([1.0], [0.5]).includes_noise
    True
    """

    includes_noise: bool = True


class Interval(_LowAndHigh):
    """The pair `(low, high)` that `predict(x, interval=0.95)` returns.

    Attributes
    ----------
    low, high : array (B, T)
        The bounds, in the units of the target.
    includes_noise : bool
        True if the interval is for a target. False if it is for the mean only, because the noise
        is not known: it then contains fewer targets than its level says.

    Examples
    --------
    >>> low, high = Interval([1.0], [2.0])
    >>> Interval([1.0], [2.0]).includes_noise
    True
    """

    includes_noise: bool = True
