"""`Uncertainty`: a fitted model of the errors of a network, kept with the network."""

from __future__ import annotations

from typing import Any, Self

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described


class Uncertainty(Described):
    """Base class for `model.uncertainty`. Objects are immutable: copies of a model share them.

    Outputs and variances are those of the network itself, before any scaling of the targets.
    """

    def check(self, network: Any) -> None:
        """Raise ValueError if this is not valid for the network with its current weights."""

    def noise_variance(self, network: Any) -> Array | None:
        """Return the variance of targets around the outputs, `(T,)` or `(E, 1, T)`, or None."""
        return None

    def noise_kurtosis(self, network: Any) -> Array | None:
        """Return the excess kurtosis of the noise, shaped as its variance; None if it is normal."""
        return None

    def output_covariance(self, network: Any, x: Array) -> Array | None:
        """Return the covariance of the outputs due to the weights, `(..., B, O, O)`, or None.

        Parameters
        ----------
        network : Network
        x : array (B, I) or (E, B, I)
            Checked inputs.
        """
        return None

    def member(self, index: int) -> Self | None:
        """Return the part for network `index` of an ensemble."""
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self
