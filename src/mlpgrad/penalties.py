"""Penalties on parameters: terms of the objective, and therefore of its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import checks
from mlpgrad._core.advice import members
from mlpgrad._core.arrays import Array, constant
from mlpgrad._core.described import Described
from mlpgrad._core.unwritten import unwritten

__all__ = [
    "L1",
    "L2",
    "Penalty",
]

PIECE = 1 << 12  # elements at a time, so that temporary arrays stay small


class Penalty(Described):
    """Add a function of the parameters to the loss: `Sequential(..., penalties=[L2(1e-4)])`.

    A subclass implements `value` and its derivative, `slope`. If `value` is not differentiable
    everywhere, the subclass also implements `kink_signature`, from which the gradient checker
    recognizes such points.

    Parameters
    ----------
    strength : float
        The factor lambda, at least 0.
    kinds : tuple of str
        Names in the layers of the parameters to penalize, such as ("weights", "bias"). Biases are
        usually left out, because they shift the function without making it less smooth.

    Raises
    ------
    ValueError
        If `strength` is not a number of at least 0.
    TypeError
        If `kinds` is not a tuple of names.

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

    _calls_checked = True
    _direct_value: Callable[[Array], Any]
    _direct_slope: Callable[[Array, Array], None]
    _options_act = True

    repeatable: bool = False
    """Class attribute: True if `value` and `slope` make the same NumPy calls every time."""

    def __init__(self, strength: float, *, kinds: tuple[str, ...] = ("weights",)) -> None:
        self.strength = strength
        self.kinds = checks.names(self, "kinds", kinds)
        checks.within(self, "strength", 0)

    def value(self, params: Array) -> Any:
        """Return the penalty, summed over the last axis.

        Parameters
        ----------
        params : array (n,) or (E, n)
            Parameters of one array of a layer.

        Returns
        -------
        number or array (E,)
            The penalty of each member.
        """
        raise NotImplementedError(unwritten(self, "value"))

    def slope(self, params: Array, out: Array) -> None:
        """Write the derivative of `value` with respect to each parameter into `out`.

        Parameters
        ----------
        params : array (n,) or (E, n)
            The same as of `value`; not to be changed.
        out : array of the shape of `params`
            The result.
        """
        raise NotImplementedError(unwritten(self, "slope"))

    def curvature(self, params: Array, out: Array) -> None:
        """Write the second derivative with respect to each parameter into `out`.

        Second-order methods need it. A penalty that is not smooth, or that is not a sum of one
        term per parameter, does not implement this method.

        Parameters
        ----------
        params : array (n,) or (E, n)
            The same as of `value`; not to be changed.
        out : array of the shape of `params`
            The result.
        """
        raise TypeError(
            f"{self!r} has no curvature, which second-order methods need; use L2, or train with a "
            f"first-order optimizer such as mg.Adam(1e-3)"
        )

    def kink_signature(self, params: Array) -> Array | None:
        """Return the side of a kink on which each parameter lies, as numbers; None without kinks.

        Parameters
        ----------
        params : array (n,) or (E, n)
            The same as of `value`.
        """
        return None

    @classmethod
    def example(cls) -> Self:
        """Return a penalty with non-default options, for tests that go through every class."""
        return cls(0.1)


class L2(Penalty):
    """lambda/2 sum w^2, with the slope lambda w; also known as coupled weight decay.

    Hoerl and Kennard 1970, "Ridge regression: biased estimation for nonorthogonal problems";
    Krogh and Hertz 1991, "A simple weight decay can improve generalization".

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

    def curvature(self, params: Array, out: Array) -> None:
        out.fill(self.strength)


class L1(Penalty):
    """lambda sum |w|, with the slope lambda sign(w), which drives weights to exactly zero.

    Tibshirani 1996, "Regression shrinkage and selection via the lasso".

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
        # w sign(w) instead of |w|, so that the complex-step derivative is correct
        return self.strength * sum(np.add.reduce(w * np.sign(w.real), axis=-1) for w in pieces)

    def slope(self, params: Array, out: Array) -> None:
        np.sign(params.real, out)
        np.multiply(out, constant(self.strength, out.dtype), out)

    def kink_signature(self, params: Array) -> Array | None:
        signs: Array = np.sign(params.real)
        return signs


def penalise(value: Any, acting: list[tuple[Penalty, Array, Array]], slopes: Array) -> Any:
    """Add penalties to a loss, and their slopes to its gradient.

    Parameters
    ----------
    value : number or array (E,)
        The loss.
    acting : list of (penalty, params, grads)
        Each penalty with views of the parameters that it acts on, and of their gradients.
    slopes : array
        A work array that is as large as the largest of `params`.

    Returns
    -------
    number or array (E,)
        The loss with the penalties.
    """
    for penalty, params, grads in acting:
        value = value + penalty._direct_value(params)
        slope = slopes[: params.size].reshape(params.shape)
        penalty._direct_slope(params, slope)
        np.add(grads, slope, grads)
    return value


if not TYPE_CHECKING:
    __getattr__ = members(__name__, __all__)
