"""Activations that saturate at both ends, such as the lecture's sigmoid; and the identity."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, Shape, constant
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.activations.formulas import complex_tanh, magnitude, sigmoid


class Identity(Activation):
    """a = z;  da/dz = 1

    For linear networks, and as a layer that does nothing.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError())
    >>> model.predict([[1.0, -2.0]])
    array([[ 1., -2.]], dtype=float32)
    """

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        np.copyto(out, z)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        out.fill(1)


class _WithTanh(Activation):
    """An activation computed from tanh, in the form that is fastest for the model's dtype."""

    _complex_tanh: Any = None

    def allocate(self, shape: Shape) -> dict[str, Any]:
        kept = super().allocate(shape)
        return kept | {"_complex_tanh": complex_tanh} if self.dtype.kind == "c" else kept


class Sigmoid(_WithTanh):
    """a = 1 / (1 + e^-z);  da/dz = a (1 - a)      (lecture, formula 1)

    Computed as tanh(z/2)/2 + 1/2: NumPy's tanh is ten times as fast as SciPy's expit. The absolute
    error is a few units of the machine precision for every z; relative to a probability near 0 it
    may be larger. Losses that need such probabilities take logits: `SigmoidCrossEntropy`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(2)
    >>> mg.Sigmoid().apply(np.array([0.0, 1.0]), a)
    >>> a.round(3)
    array([0.5  , 0.731])
    """

    repeatable = True

    gives_probabilities = True

    def apply(self, z: Array, out: Array) -> None:
        sigmoid(z, out, self._complex_tanh or np.tanh)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        np.subtract(constant(1, a.dtype), a, out)
        np.multiply(out, a, out)


class Tanh(_WithTanh):
    """a = tanh(z);  da/dz = 1 - a^2

    LeCun, Bottou, Orr and Mueller 1998, "Efficient backprop", recommend it over the sigmoid because
    its values are centred at 0.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.Tanh().apply(np.array([-1.0, 0.0, 1.0]), a)
    >>> a.round(3)
    array([-0.762,  0.   ,  0.762])
    """

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        (self._complex_tanh or np.tanh)(z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        np.multiply(a, a, out)
        np.subtract(constant(1, a.dtype), out, out)


class Softsign(Activation):
    """a = z / (1 + |z|);  da/dz = 1 / (1 + |z|)^2

    It saturates more slowly than `Tanh`. Glorot and Bengio 2010, "Understanding the difficulty of
    training deep feedforward neural networks".

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.Softsign().apply(np.array([-3.0, 0.0, 1.0]), a)
    >>> a
    array([-0.75,  0.  ,  0.5 ])
    """

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        magnitude(z, out)
        np.add(out, constant(1, out.dtype), out)
        np.divide(z, out, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        magnitude(z, out)
        np.add(out, constant(1, out.dtype), out)
        np.reciprocal(out, out)
        np.multiply(out, out, out)  # last: the square of 1 + |z| could overflow
