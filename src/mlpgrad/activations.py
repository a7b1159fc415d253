"""Activations: element-wise layers of two methods, `apply(z, out)` and `slope(z, a, out)`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array, Shape, constant, is_positive, zeros
from mlpgrad.initializers import GlorotUniform, HeNormal, Initializer, LeCunNormal
from mlpgrad.layers import Layer


class Activation(Layer):
    """a = f(z), element by element;  dL/dz = delta * f'(z)

    A subclass implements `apply(z, out)`, which writes f(z), and `slope(z, a, out)`, which
    writes f'(z) and may use `a = f(z)`. Both write into `out` and change nothing else. Where
    f is not differentiable, `kinks` lists the places.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> class Sine(mg.Activation):
    ...     def apply(self, z, out):
    ...         np.sin(z, out)
    ...
    ...     def slope(self, z, a, out):
    ...         np.cos(z, out)
    >>> model = mg.Sequential([mg.Dense(2, 3), Sine()], loss=mg.HalfSquaredError())
    >>> model.predict([[0.0, 0.0]])
    array([[0., 0., 0.]], dtype=float32)
    """

    initializer: Initializer = GlorotUniform()
    """The right initial weights for a Dense layer in front of this activation."""
    kinks: tuple[float, ...] = ()
    """Values of z at which f' jumps."""

    def apply(self, z: Array, out: Array) -> None:
        """Write `f(z)` into `out`."""
        raise NotImplementedError

    def slope(self, z: Array, a: Array, out: Array) -> None:
        """Write `f'(z)` into `out`; `a` is `f(z)`."""
        raise NotImplementedError

    def kink_signature(self, z: Array) -> Array | None:
        """On which side of each kink each number lies; None without kinks.

        A difference quotient between two points is no derivative where their signatures differ.
        """
        if not self.kinks:
            return None
        return sum(np.sign(z.real - kink).astype(np.int8) for kink in self.kinks)  # type: ignore[return-value]

    def scratch(self, out: Array, number: int = 0) -> Array:
        """An array like `out` to compute in, kept for the next call."""
        return self._scratch(out.shape, out.dtype, number)

    def flags(self, out: Array) -> Array:
        """The same of truth values."""
        return self._scratch(out.shape, np.dtype(bool), 0)

    def _scratch(self, shape: Shape, dtype: np.dtype[Any], number: int) -> Array:
        kept: dict[Any, Array] = self.__dict__.setdefault("_scratches", {})
        key = dtype, number
        if key not in kept or kept[key].shape != shape:
            kept[key] = np.empty(shape, dtype)
        return kept[key]

    def forget_buffers(self) -> None:
        super().forget_buffers()
        self.__dict__.pop("_scratches", None)

    def allocate(self, shape: Shape) -> dict[str, Any]:
        return {"_a": self.empty(*shape[-2:]), "_slope": self.empty(*shape[-2:])}

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        self._z = x
        a: Array = self._a
        self.apply(x, a)
        return a

    def backward(self, delta: Array) -> Array | None:
        slope: Array = self._slope
        self.slope(self._z, self._a, slope)
        np.multiply(slope, delta, slope)
        return slope

    @property
    def pre_activations(self) -> Array | None:
        """A copy of the layer's input `z` in the last step: the lecture's s_j."""
        return self.inputs


class Identity(Activation):
    """a = z;  da/dz = 1"""

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        np.copyto(out, z)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        out.fill(1)


class Sigmoid(Activation):
    """a = 1 / (1 + e^-z);  da/dz = a (1 - a)      (lecture, formula 1)

    Computed as tanh(z/2)/2 + 1/2: NumPy's tanh is ten times faster than SciPy's expit.

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
        sigmoid(z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        np.subtract(constant(1, a.dtype), a, out)
        np.multiply(out, a, out)


class Tanh(Activation):
    """a = tanh(z);  da/dz = 1 - a^2"""

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        np.tanh(z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        np.multiply(a, a, out)
        np.subtract(constant(1, a.dtype), out, out)


class Softsign(Activation):
    """a = z / (1 + |z|);  da/dz = 1 / (1 + |z|)^2

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks".
    """

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        magnitude(z, out)
        np.add(out, constant(1, out.dtype), out)
        np.divide(z, out, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        magnitude(z, out)
        np.add(out, constant(1, out.dtype), out)
        np.multiply(out, out, out)
        np.reciprocal(out, out)


class ReLU(Activation):
    """a = max(z, 0);  da/dz = [z > 0]

    Nair and Hinton 2010, "Rectified linear units improve restricted Boltzmann machines".

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

    def apply(self, z: Array, out: Array) -> None:
        np.maximum(z, zeros(z.shape, z.dtype), out=out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        is_positive(z, out, self.flags(out))


class LeakyReLU(Activation):
    """a = max(z, s z);  da/dz = 1 for z > 0, else s

    Maas, Hannun and Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    Parameters
    ----------
    negative_slope : float
        s, from 0 to below 1.
    """

    repeatable = True

    initializer = HeNormal()
    kinks = (0.0,)

    def __init__(self, negative_slope: float = 0.01) -> None:
        if not 0 <= negative_slope < 1:
            raise ValueError(
                f"LeakyReLU expects a negative_slope from 0 to below 1, got {negative_slope}; "
                f"0.01 is usual"
            )
        self.negative_slope = negative_slope

    def apply(self, z: Array, out: Array) -> None:
        np.multiply(z, constant(self.negative_slope, z.dtype), out)
        np.maximum(z, out, out=out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        step(z, self.negative_slope, 1, out, self.flags(out))


class ELU(Activation):
    """a = z for z > 0, else alpha (e^z - 1);  da/dz = 1 for z > 0, else alpha e^z

    Clevert, Unterthiner and Hochreiter 2016, "Fast and accurate deep network learning by
    exponential linear units". With alpha = 1 it has no kink.

    Parameters
    ----------
    alpha : float
        -alpha is the limit to the left.
    """

    repeatable = True

    initializer = HeNormal()

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]  # depends on alpha
        """Values of z at which f' jumps."""
        return () if self.alpha == 1 else (0.0,)

    def apply(self, z: Array, out: Array) -> None:
        exponential_unit(z, 1, self.alpha, out, self.scratch(out))

    def slope(self, z: Array, a: Array, out: Array) -> None:
        exponential_unit_slope(z, 1, self.alpha, out, self.scratch(out), self.flags(out))


class SELU(Activation):
    """a = s z for z > 0, else s alpha (e^z - 1);  da/dz = s for z > 0, else s alpha e^z

    With s = 1.0507 and alpha = 1.6733 activations tend to mean 0 and variance 1. Klambauer,
    Unterthiner, Mayr and Hochreiter 2017, "Self-normalizing neural networks".
    """

    repeatable = True

    initializer = LeCunNormal()
    kinks = (0.0,)

    scale = 1.0507009873554804934193349852946
    scaled_alpha = scale * 1.6732632423543772848170429916717

    def apply(self, z: Array, out: Array) -> None:
        exponential_unit(z, self.scale, self.scaled_alpha, out, self.scratch(out))

    def slope(self, z: Array, a: Array, out: Array) -> None:
        exponential_unit_slope(
            z, self.scale, self.scaled_alpha, out, self.scratch(out), self.flags(out)
        )


class Softplus(Activation):
    """a = log(1 + e^z);  da/dz = 1 - e^-a  (from a: no overflow)

    Dugas, Bengio, Belisle, Nadeau and Garcia 2001, "Incorporating second-order functional
    knowledge for better option pricing".
    """

    repeatable = True

    def apply(self, z: Array, out: Array) -> None:
        # max(z, 0) + log1p(e^-|z|): the exponent is never positive
        positive = self.scratch(out)
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
    """a = z s,  s = sigmoid(z);  da/dz = s + a (1 - s)

    Also called Swish. Elfwing, Uchibe and Doya 2018, "Sigmoid-weighted linear units for neural
    network function approximation in reinforcement learning".
    """

    repeatable = True

    initializer = HeNormal()

    def apply(self, z: Array, out: Array) -> None:
        sigmoid(z, out)
        np.multiply(out, z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        rest = self.scratch(out)
        sigmoid(z, out)
        np.subtract(constant(1, out.dtype), out, rest)
        np.multiply(rest, a, rest)
        np.add(out, rest, out)


class GELU(Activation):
    """a = z Phi(z);  da/dz = Phi(z) + z phi(z),  Phi and phi of the standard normal law

    Exact, not the approximation by tanh. Hendrycks and Gimpel 2016, "Gaussian error linear
    units".
    """

    repeatable = True

    initializer = HeNormal()

    def apply(self, z: Array, out: Array) -> None:
        normal_cdf(z, out)
        np.multiply(out, z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        cdf, flags = self.scratch(out), self.flags(out)
        # Phi = a / z, since SciPy's takes longer than all the rest; 1/2 where a has lost digits
        np.abs(z, out)
        np.less(out, constant(np.finfo(out.dtype).tiny, out.dtype), flags)
        np.copyto(cdf, z)
        np.copyto(cdf, constant(1, out.dtype), "same_kind", flags)
        np.divide(a, cdf, cdf)
        np.copyto(cdf, constant(0.5, out.dtype), "same_kind", flags)
        np.multiply(z, z, out)
        np.multiply(out, constant(-0.5, out.dtype), out)
        np.exp(out, out)
        np.multiply(out, constant(1 / math.sqrt(2 * math.pi), out.dtype), out)
        np.multiply(out, z, out)
        np.add(out, cdf, out)


class Mish(Activation):
    """a = z t,  t = tanh(log(1 + e^z));  da/dz = t + z (1 - t^2) sigmoid(z)

    With u = e^z it is t = n / (n + 2), n = u (u + 2). Misra 2020, "Mish: a self regularized
    non-monotonic activation function".
    """

    repeatable = True

    initializer = HeNormal()

    def apply(self, z: Array, out: Array) -> None:
        two, denominator = constant(2, out.dtype), self.scratch(out)
        self._exp(z, out)
        np.add(out, two, denominator)
        np.multiply(out, denominator, out)
        np.add(out, two, denominator)
        np.divide(out, denominator, out)
        np.multiply(out, z, out)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        # with w = u / (n + 2) and r = 1 / (n + 2): t = w (u + 2), (1 - t^2) sigmoid = 4 w (w + r)
        two, t, u_plus_2 = constant(2, out.dtype), self.scratch(out), self.scratch(out, 1)
        self._exp(z, out)
        np.add(out, two, u_plus_2)
        np.multiply(u_plus_2, out, t)
        np.add(t, two, t)
        np.reciprocal(t, t)
        np.multiply(out, t, out)
        np.add(t, out, t)
        np.multiply(t, out, t)
        np.multiply(t, constant(4, out.dtype), t)
        np.multiply(t, z, t)
        np.multiply(out, u_plus_2, out)
        np.add(out, t, out)

    @staticmethod
    def _exp(z: Array, out: Array) -> None:
        """e^z without overflow: above 30, t is 1 in any precision."""
        np.minimum(z, constant(30, z.dtype), out=out)
        np.exp(out, out)


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

    def config(self) -> dict[str, Any]:
        return {"function": self.function, "slope": self.given_slope}

    def apply(self, z: Array, out: Array) -> None:
        out[...] = self.function(z)

    def slope(self, z: Array, a: Array, out: Array) -> None:
        out[...] = self.given_slope(z)

    @classmethod
    def example(cls) -> Self:
        return cls(np.sin, np.cos)


# Shared formulas. Each writes into `out`, and holds for complex numbers, too.


def magnitude(z: Array, out: Array) -> None:
    """|z| as max(z, -z), by the real part: `np.abs` would drop complex derivatives."""
    np.negative(z, out)
    np.maximum(z, out, out=out)


def sigmoid(z: Array, out: Array) -> None:
    """1 / (1 + e^-z) as tanh(z/2)/2 + 1/2."""
    half = constant(0.5, z.dtype)
    np.multiply(z, half, out)
    np.tanh(out, out)
    np.multiply(out, half, out)
    np.add(out, half, out)


def step(z: Array, negative: float, positive: float, out: Array, flags: Array) -> None:
    """`positive` where z > 0, else `negative`."""
    is_positive(z, out, flags)
    np.multiply(out, constant(positive - negative, out.dtype), out)
    np.add(out, constant(negative, out.dtype), out)


def exponential_unit(z: Array, scale: float, alpha: float, out: Array, scratch: Array) -> None:
    """scale * z for z > 0, else alpha (e^z - 1)."""
    zero = zeros(z.shape, z.dtype)
    np.minimum(z, zero, out=out)
    np.expm1(out, out)
    np.multiply(out, constant(alpha, out.dtype), out)
    np.maximum(z, zero, out=scratch)
    np.multiply(scratch, constant(scale, out.dtype), scratch)
    np.add(out, scratch, out)


def exponential_unit_slope(
    z: Array, scale: float, alpha: float, out: Array, scratch: Array, flags: Array
) -> None:
    """Scale for z > 0, else alpha e^z."""
    np.minimum(z, zeros(z.shape, z.dtype), out=out)
    np.exp(out, out)
    step(z, alpha, scale, scratch, flags)
    np.multiply(out, scratch, out)


def normal_cdf(z: Array, out: Array) -> None:
    """Phi(z); in double precision for longer numbers."""
    if z.dtype.itemsize > 8 * (1 + (z.dtype.kind == "c")):
        z = z.astype(np.complex128 if z.dtype.kind == "c" else np.float64)
    _ndtr()(z, out=out)


@functools.cache
def _ndtr() -> Any:
    """SciPy's function, imported when a GELU first needs it."""
    from scipy.special import ndtr

    return ndtr
