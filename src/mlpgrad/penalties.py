"""Penalties on parameters: part of the objective, and so of every gradient and check."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array, constant
from mlpgrad._core.described import Described

__all__ = [
    "L1",
    "L2",
    "Penalty",
]

PIECE = 1 << 12  # numbers at a time, where new arrays of them are made


class Penalty(Described):
    """Adds a function of the parameters to the loss: `Sequential(..., penalties=[L2(1e-4)])`.

    It acts on parameters of the given kinds, by their names in the layers: `("weights",)` by
    default, since a penalty on biases only shifts the function. A subclass implements `value`
    and `slope`.

    Parameters
    ----------
    strength : float
        The factor lambda.
    kinds : tuple of str
        Names of the parameters to penalise, such as `("weights", "bias")`.

    Examples
    --------
    >>> import numpy as np, mlpgrad as mg
    >>> class Quartic(mg.Penalty):
    ...     def value(self, params):
    ...         return self.strength * (params**4).sum(axis=-1)
    ...
    ...     def slope(self, params, out):
    ...         np.multiply(4 * self.strength, params**3, out)
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), penalties=[Quartic(0.1)],
    ...                       random_state=0)
    >>> bool(mg.check_gradients(model, x, y))
    True
    """

    _options_act = True

    repeatable: bool = False
    """True, in the class itself, where `value` and `slope` make the same NumPy calls every time."""

    def __init__(self, strength: float, *, kinds: tuple[str, ...] = ("weights",)) -> None:
        if not strength >= 0:
            raise ValueError(f"{type(self).__name__} expects a strength >= 0, got {strength}")
        self.strength = strength
        self.kinds = tuple(kinds) if isinstance(kinds, list) else kinds

    def value(self, params: Array) -> Any:
        """The penalty of `params: (..., n)`, summed over the last axis."""
        raise NotImplementedError

    def slope(self, params: Array, out: Array) -> None:
        """Write its derivative, in the shape of `params`, into `out`."""
        raise NotImplementedError

    def kink_signature(self, params: Array) -> Array | None:
        """On which side of its kinks each parameter lies; None where it has none."""
        return None

    @classmethod
    def example(cls) -> Self:
        """A penalty with options worth a test, for tests that go through every class."""
        return cls(0.1)


class L2(Penalty):
    """lambda/2 sum w^2, slope lambda w: what others call a (coupled) weight decay of lambda.

    Examples
    --------
    >>> import numpy as np
    >>> float(L2(0.1).value(np.array([3.0, 4.0])))
    1.25
    """

    repeatable = True

    def value(self, params: Array) -> Any:
        # a matrix product: vecdot would take the conjugate of complex numbers
        squares = np.matmul(params[..., None, :], params[..., None])[..., 0, 0]
        return 0.5 * self.strength * squares

    def slope(self, params: Array, out: Array) -> None:
        np.multiply(params, constant(self.strength, out.dtype), out)


class L1(Penalty):
    """lambda sum |w|, slope lambda sign(w): drives weights to zero.

    Examples
    --------
    >>> import numpy as np
    >>> float(L1(0.1).value(np.array([3.0, -4.0])).round(12))
    0.7
    """

    repeatable = True

    def value(self, params: Array) -> Any:
        starts = range(0, params.shape[-1], PIECE)
        pieces = (params[..., start : start + PIECE] for start in starts)
        # w sign(w) instead of |w|: keeps the derivative of complex numbers
        return self.strength * sum(np.add.reduce(w * np.sign(w.real), axis=-1) for w in pieces)

    def slope(self, params: Array, out: Array) -> None:
        np.sign(params.real, out)
        np.multiply(out, constant(self.strength, out.dtype), out)

    def kink_signature(self, params: Array) -> Array | None:
        signs: Array = np.sign(params.real)
        return signs


def penalise(value: Any, acting: list[tuple[Penalty, Array, Array]], slopes: Array) -> Any:
    """Add penalties to a loss, and what they change to its gradient.

    Parameters
    ----------
    value : number or array (E,)
        The loss.
    acting : list of (penalty, params, grads)
        With views of the parameters that each acts on, and of their gradients.
    slopes : array
        To work in: as large as the largest of `params`.
    """
    for penalty, params, grads in acting:
        value = value + penalty.value(params)
        slope = slopes[: params.size].reshape(params.shape)
        penalty.slope(params, slope)
        np.add(grads, slope, grads)
    return value
