"""An activation made of two functions: an element-wise function, and its derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.layers.activations.base import Activation


class Elementwise(Activation):
    """a = function(z);  da/dz = slope(z): any function of one number, with its derivative

    For an activation that is used once; a subclass of `Activation` is faster and can be saved.
    `mg.check_layer(mg.Elementwise(function, slope))` checks whether the slope is correct.

    Parameters
    ----------
    function : callable
        Takes an array of any shape and returns an array of that shape: the activations.
    slope : callable
        Takes the same array and returns the derivative at each element.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> sine = mg.Elementwise(np.sin, np.cos)
    >>> sine
    Elementwise(sin, cos)
    >>> bool(mg.check_layer(sine))
    True
    """

    def __init__(self, function: Callable[[Array], Array], slope: Callable[[Array], Array]) -> None:
        self.function = _of_arrays(function, "Elementwise: function", "numpy.sin")
        self.given_slope = _of_arrays(slope, "Elementwise: slope", "numpy.cos")  # not the method

    def __setattr__(self, name: str, value: Any) -> None:
        """Treat an assigned `slope` as the option, which must not replace the method."""
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


def _of_arrays(function: Any, name: str, example: str) -> Callable[[Array], Array]:
    """Return a function, which must not be one of the module math, which take single numbers."""
    found = arguments.function(function, name, example)
    if getattr(found, "__module__", None) == "math":
        raise TypeError(
            f"{name} expects a function of arrays such as {example}, got math.{found.__name__}, "
            f"which takes single numbers"
        )
    return found
