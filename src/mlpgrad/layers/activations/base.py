"""The base class of activations: two methods, `apply(z, out)` and `slope(z, a, out)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, Shape
from mlpgrad._core.unwritten import unwritten
from mlpgrad.initializers import GlorotUniform, Initializer
from mlpgrad.layers.base import Layer


class Activation(Layer):
    """a = f(z), element by element;  dL/dz = delta * f'(z)

    Base class of activations. A subclass implements two methods. Both write to `out`, which has
    the shape and dtype of `z`, and change nothing else:

    - `apply(z, out)` writes f(z);
    - `slope(z, a, out)` writes f'(z), and may use `a`, which is f(z).

    Two class attributes can be set:

    - `initializer`: draws the weights of a Dense layer before this activation, unless that layer
      has its own initializer; `GlorotUniform()` by default;
    - `kinks`: the values of z at which f' jumps, `()` by default. The gradient checker takes care
      not to step across them.

    An activation takes any number of features, so it leaves `in_features` and `out_features` (see
    `Layer`) at None. Temporary arrays come from `self.scratch(out)`, which are kept for the next
    call. `mg.check_layer` checks whether the slope is correct.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> class Sine(mg.Activation):
    ...     def apply(self, z, out):
    ...         np.sin(z, out)
    ...
    ...     def slope(self, z, a, out):
    ...         np.cos(z, out)
    >>> bool(mg.check_layer(Sine()))
    True
    >>> model = mg.Sequential([mg.Dense(2, 3), Sine()], loss=mg.HalfSquaredError())
    >>> model.predict([[0.0, 0.0]])
    array([[0., 0., 0.]], dtype=float32)
    """

    _direct_scratch: Callable[..., Array]  # the methods for inner loops
    _direct_flags: Callable[[Array], Array]
    _direct_apply: Callable[[Array, Array], None]
    _direct_slope: Callable[[Array, Array, Array], None]

    initializer: Initializer = GlorotUniform()
    """Draws the weights of a Dense layer before this activation."""
    kinks: tuple[float, ...] = ()
    """The values of z at which f' jumps."""

    def apply(self, z: Array, out: Array) -> None:
        """Write f(z) into `out`.

        Parameters
        ----------
        z : array (..., B, I)
            The pre-activations. They must not be changed.
        out : array (..., B, I)
            The array to write the activations to.
        """
        raise NotImplementedError(unwritten(self, "apply"))

    def slope(self, z: Array, a: Array, out: Array) -> None:
        """Write f'(z) into `out`.

        Parameters
        ----------
        z : array (..., B, I)
            The pre-activations.
        a : array (..., B, I)
            The activations f(z), which `apply` has written. They must not be changed.
        out : array (..., B, I)
            The array to write the slopes to.
        """
        raise NotImplementedError(unwritten(self, "slope"))

    def kink_signature(self, z: Array) -> Array | None:
        """Return the side of each kink on which numbers lie, `(..., B, I)`; None without kinks.

        A difference quotient of two points with different signatures is not the derivative.
        """
        if not self.kinks:
            return None
        return sum(np.sign(z.real - kink).astype(np.int8) for kink in self.kinks)  # type: ignore[return-value]

    def scratch(self, out: Array, number: int = 0) -> Array:
        """Return a temporary array like `out`, which is reused in the next call.

        Parameters
        ----------
        out : array
            An array with the required shape and dtype.
        number : int, default 0
            Distinguishes several arrays that are needed at the same time.
        """
        return self._scratch(out.shape, out.dtype, number)

    def flags(self, out: Array) -> Array:
        """Return a temporary bool array in the shape of `out`, which is reused in the next call."""
        return self._scratch(out.shape, np.dtype(bool), 0)

    def _scratch(self, shape: Shape, dtype: np.dtype[Any], number: int) -> Array:
        kept: dict[Any, Array] = self.__dict__.setdefault("_scratches", {})
        key = dtype, number
        if key not in kept or kept[key].shape != shape:
            kept[key] = np.empty(shape, dtype)
        return kept[key]

    def forget_buffers(self) -> None:
        super().forget_buffers()
        self._scratches: dict[Any, Array] = {}

    def allocate(self, shape: Shape) -> dict[str, Any]:
        return {"_a": self.empty(*shape[-2:]), "_slope": self.empty(*shape[-2:])}

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        self._z = x
        a: Array = self._a
        self._direct_apply(x, a)
        return a

    def backward(self, delta: Array) -> Array | None:
        slope: Array = self._slope
        self._direct_slope(self._z, self._a, slope)
        np.multiply(slope, delta, slope)
        return slope

    @property
    def pre_activations(self) -> Array | None:
        """A copy of the layer's input `z` in the last step: the lecture's s_j."""
        return self.inputs
