"""Smooth relatives of the rectified linear unit."""

from __future__ import annotations

import math

import numpy as np

from mlpgrad._core.arrays import Array, constant, zeros
from mlpgrad.initializers import HeNormal
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.activations.formulas import log_of_largest, magnitude, normal_cdf


class Softplus(Activation):
    """a = log(1 + e^z);  da/dz = sigmoid(z) = 1 - e^-a

    A smooth `ReLU`, always positive. Dugas, Bengio, Belisle, Nadeau and Garcia 2001, "Incorporating
    second-order functional knowledge for better option pricing".

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.Softplus().apply(np.array([-1.0, 0.0, 1.0]), a)
    >>> a.round(3)
    array([0.313, 0.693, 1.313])
    """

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        # max(z, 0) + log1p(e^-|z|): the exponent is never positive
        positive = self._direct_scratch(out)
        magnitude(z, out)
        np.negative(out, out)
        np.exp(out, out)
        np.log1p(out, out)
        np.maximum(z, zeros(z.shape, z.dtype), out=positive)
        np.add(out, positive, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        np.negative(a, out)
        np.expm1(out, out)
        np.negative(out, out)


class SiLU(Activation):
    """a = z g,  g = sigmoid(z);  da/dz = g + a (1 - g)

    Also called Swish. Elfwing, Uchibe and Doya 2018, "Sigmoid-weighted linear units for neural
    network function approximation in reinforcement learning".

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.SiLU().apply(np.array([-1.0, 0.0, 1.0]), a)
    >>> a.round(3)
    array([-0.269,  0.   ,  0.731])
    """

    repeatable = True

    initializer = HeNormal()

    def apply(self, z: Array, out: Array) -> None:
        # z / (1 + e^-z): z times a sigmoid from tanh would lose the digits of negative z
        np.negative(z, out)
        with np.errstate(over="ignore"):  # z / inf is 0
            np.exp(out, out)
        np.add(out, constant(1, out.dtype), out)
        np.divide(z, out, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        # r = 1 / (1 + e^z) and g = 1 - r: a times a rounded 1 - g would lose digits for large z
        g, one = self._direct_scratch(out), constant(1, out.dtype)
        with np.errstate(over="ignore"):
            np.exp(z, out)
        np.add(out, one, out)
        np.reciprocal(out, out)
        np.subtract(one, out, g)
        np.multiply(out, a, out)
        np.add(out, g, out)


class GELU(Activation):
    """a = z Phi(z);  da/dz = Phi(z) + z phi(z)

    Phi is the cumulative distribution function of the standard normal distribution, and phi its
    density. This is the exact function, not its approximation by tanh. Hendrycks and Gimpel 2016,
    "Gaussian error linear units".

    Phi is computed by SciPy, which makes this the slowest activation, twenty times slower than
    `SiLU`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.GELU().apply(np.array([-1.0, 0.0, 1.0]), a)
    >>> a.round(3)
    array([-0.159,  0.   ,  0.841])
    """

    repeatable = True

    initializer = HeNormal()

    def apply(self, z: Array, out: Array) -> None:
        normal_cdf(z, out)
        np.multiply(out, z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        cdf, flags = self._direct_scratch(out), self._direct_flags(out)
        # Phi = a / z, since calling SciPy again would dominate the time; 1/2 where a lost its
        # digits
        np.abs(z, out)
        np.less(out, constant(np.finfo(out.dtype).tiny, out.dtype), flags)
        np.copyto(cdf, z)
        np.copyto(cdf, constant(1, out.dtype), "same_kind", flags)
        np.divide(a, cdf, cdf)
        np.copyto(cdf, constant(0.5, out.dtype), "same_kind", flags)
        with np.errstate(over="ignore"):  # e^-inf is 0
            np.multiply(z, z, out)
        np.multiply(out, constant(-0.5, out.dtype), out)
        np.exp(out, out)
        np.multiply(out, constant(1 / math.sqrt(2 * math.pi), out.dtype), out)
        np.multiply(out, z, out)
        np.add(out, cdf, out)


class Mish(Activation):
    """a = z t,  t = tanh(log(1 + e^z));  da/dz = t + z (1 - t^2) sigmoid(z)

    Computed with u = e^z as t = n / (n + 2), where n = u (u + 2). Misra 2020, "Mish: a self
    regularized non-monotonic activation function".

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> a = np.empty(3)
    >>> mg.Mish().apply(np.array([-1.0, 0.0, 1.0]), a)
    >>> a.round(3)
    array([-0.303,  0.   ,  0.865])
    """

    repeatable = True

    initializer = HeNormal()

    def apply(self, z: Array, out: Array) -> None:
        two, denominator = constant(2, out.dtype), self._direct_scratch(out)
        self._exp(z, denominator, out)
        np.add(out, two, denominator)
        np.multiply(out, denominator, out)
        np.add(out, two, denominator)
        np.divide(out, denominator, out)
        np.multiply(out, z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        scratch = self._direct_scratch
        # with w = u / (n + 2) and r = 1 / (n + 2): t = w (u + 2), (1 - t^2) sigmoid = 4 w (w + r)
        two, t, u_plus_2 = constant(2, out.dtype), scratch(out), scratch(out, 1)
        bounded = scratch(out, 2)
        self._exp(z, bounded, out)
        np.add(out, two, u_plus_2)
        np.multiply(u_plus_2, out, t)
        np.add(t, two, t)
        np.reciprocal(t, t)
        np.multiply(out, t, out)
        np.add(t, out, t)
        np.multiply(t, out, t)
        np.multiply(t, constant(4, out.dtype), t)
        np.multiply(t, bounded, t)
        np.multiply(out, u_plus_2, out)
        np.add(out, t, out)

    @staticmethod
    def _exp(z: Array, bounded: Array, out: Array) -> None:
        """e^z, with z bounded from above so that its square stays finite: t is 1 there."""
        limit = min(30, log_of_largest(z.dtype) / 2)
        np.minimum(z, constant(limit, z.dtype), out=bounded)
        np.exp(bounded, out)
