"""Any function of one number, given with its derivative, as an activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.activations.base import Activation


class Elementwise(Activation):
    """a = function(z);  da/dz = slope(z): any function of one number, with its derivative

    Parameters
    ----------
    function, slope : callable
        Take an array and return one of the same shape.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> mg.Elementwise(np.sin, np.cos)
    Elementwise(sin, cos)
    """

    def __init__(self, function: Callable[[Array], Array], slope: Callable[[Array], Array]) -> None:
        self.function = function
        self.given_slope = slope  # `slope` itself is the method

    def __setattr__(self, name: str, value: Any) -> None:
        """Take an assigned `slope` as the option of that name, not in place of the method."""
        if name in ("slope", "given_slope") and "given_slope" in self.__dict__:
            self._reassign("slope", value)
        else:
            super().__setattr__(name, value)

    def config(self) -> dict[str, Any]:
        return {"function": self.function, "slope": self.given_slope}

    def apply(self, z: Array, out: Array) -> None:
        out[...] = self.function(z)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        out[...] = self.given_slope(z)

    @classmethod
    def example(cls) -> Self:
        return cls(np.sin, np.cos)
