"""Rectified linear units, and units that are exponential for negative numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array, Shape, constant, is_positive, zeros
from mlpgrad._core.checks import is_within, within
from mlpgrad.initializers import HeNormal, LeCunNormal
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.activations.formulas import (
    complex_maximum,
    exponential_unit,
    exponential_unit_slope,
    step,
)


class ReLU(Activation):
    """a = max(z, 0);  da/dz = 1 for z > 0, else 0

    The slope at 0 is taken to be 0. Nair and Hinton 2010, "Rectified linear units improve
    restricted Boltzmann machines".

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.ReLU().apply(np.array([-1.0, 0.0, 2.0]), a)
    >>> a
    array([0., 0., 2.])
    """

    repeatable = True

    initializer = HeNormal()
    kinks = (0.0,)

    _maximum: Any = None

    def allocate(self, shape: Shape) -> dict[str, Any]:
        kept = super().allocate(shape)
        return kept | {"_maximum": complex_maximum} if self.dtype.kind == "c" else kept

    def apply(self, z: Array, out: Array) -> None:
        (self._maximum or np.maximum)(z, zeros(z.shape, z.dtype), out=out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        is_positive(z, out, self._direct_flags(out))


class LeakyReLU(Activation):
    """a = z for z > 0, else r z;  da/dz = 1 for z > 0, else r

    Inactive units still learn. Maas, Hannun and Ng 2013, "Rectifier nonlinearities improve neural
    network acoustic models".

    Parameters
    ----------
    negative_slope : float, default 0.01
        The slope r for negative z, from 0 to below 1.

    Raises
    ------
    ValueError
        If `negative_slope` is not in [0, 1).

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(2)
    >>> mg.LeakyReLU(0.1).apply(np.array([-1.0, 2.0]), a)
    >>> a
    array([-0.1,  2. ])
    """

    repeatable = True

    initializer = HeNormal()
    kinks = (0.0,)

    def __init__(self, negative_slope: float = 0.01) -> None:
        if not is_within(negative_slope, 0, 1):
            raise ValueError(
                f"LeakyReLU expects a negative_slope from 0 to below 1, "
                f"got {shown(negative_slope)}; 0.01 is usual"
            )
        self.negative_slope = negative_slope

    def apply(self, z: Array, out: Array) -> None:
        np.multiply(z, constant(self.negative_slope, z.dtype), out)
        np.maximum(z, out, out=out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        step(z, self.negative_slope, 1, out, self._direct_flags(out))


class ELU(Activation):
    """a = z for z > 0, else alpha (e^z - 1);  da/dz = 1 for z > 0, else alpha e^z

    With alpha = 1 the slope is continuous, otherwise it jumps at 0. Clevert, Unterthiner and
    Hochreiter 2016, "Fast and accurate deep network learning by exponential linear units".

    Parameters
    ----------
    alpha : float, default 1.0
        The activation approaches -alpha for very negative z; not negative.

    Raises
    ------
    ValueError
        If `alpha` is not a number of at least 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.ELU().apply(np.array([-100.0, -1.0, 2.0]), a)
    >>> a.round(3)
    array([-1.   , -0.632,  2.   ])
    """

    repeatable = True

    initializer = HeNormal()

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha
        within(self, "alpha", 0)

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]  # depends on alpha
        """Values of z at which f' jumps."""
        return () if self.alpha == 1 else (0.0,)

    def apply(self, z: Array, out: Array) -> None:
        exponential_unit(z, 1, self.alpha, out, self._direct_scratch(out))

    def slope(self, z: Array, a: Array, out: Array) -> None:
        work, flags = self._direct_scratch(out), self._direct_flags(out)
        exponential_unit_slope(z, 1, self.alpha, out, work, flags)


class SELU(Activation):
    """a = c z for z > 0, else c alpha (e^z - 1);  da/dz = c for z > 0, else c alpha e^z

    With c = 1.0507 and alpha = 1.6733 the activations of a deep network tend to mean 0 and variance
    1, if the weights are drawn by `LeCunNormal`, as they are by default in front of this layer.
    Klambauer, Unterthiner, Mayr and Hochreiter 2017, "Self-normalizing neural networks".

    Where c z is larger than the largest number of the dtype, the activation is infinite.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.SELU().apply(np.array([-100.0, 0.0, 1.0]), a)
    >>> a.round(3)
    array([-1.758,  0.   ,  1.051])
    """

    repeatable = True

    initializer = LeCunNormal()
    kinks = (0.0,)

    scale = 1.0507009873554804934193349852946
    scaled_alpha = scale * 1.6732632423543772848170429916717

    def apply(self, z: Array, out: Array) -> None:
        exponential_unit(z, self.scale, self.scaled_alpha, out, self._direct_scratch(out))

    def slope(self, z: Array, a: Array, out: Array) -> None:
        work, flags = self._direct_scratch(out), self._direct_flags(out)
        exponential_unit_slope(z, self.scale, self.scaled_alpha, out, work, flags)
