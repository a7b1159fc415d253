"""`Uncertainty`: what a fit has found out about the errors of a network, kept with the network."""

from __future__ import annotations

from typing import Any, Self

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described


class Uncertainty(Described):
    """Base of what `model.uncertainty` can hold. It never changes: copies of a model share it.

    Outputs and variances are those of the network itself, before any scaling of the targets.
    """

    def check(self, network: Any) -> None:
        """Raise ValueError if this does not belong to the network with its present weights."""

    def noise_variance(self, network: Any) -> Array | None:
        """The variance of targets around the outputs, `(T,)` or `(E, 1, T)`; None if unknown."""
        return None

    def noise_kurtosis(self, network: Any) -> Array | None:
        """The excess kurtosis of that noise, `()` or `(E, 1, 1)`; None for a normal law."""
        return None

    def output_covariance(self, network: Any, x: Array) -> Array | None:
        """How the outputs vary that the weights leave open, `(..., B, O, O)`; None if unknown.

        Parameters
        ----------
        network : Network
        x : array (B, I) or (E, B, I)
            Checked inputs.
        """
        return None

    def member(self, index: int) -> Self | None:
        """What belongs to network `index` of an ensemble."""
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self
