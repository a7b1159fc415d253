"""The update rule of an optimizer, as defined by its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described
from mlpgrad._core.memory import aligned
from mlpgrad._core.unwritten import unwritten


class Rule(Described):
    """The part of `Optimizer` that subclasses override: `update` and its arguments."""

    _calls_checked = True
    _direct_step: Callable[[Array, Array], None]  # the methods for inner loops
    _direct_advance: Callable[[Array, Array], None]
    _direct_apply: Callable[..., None]
    _direct_update: Callable[..., None]
    _direct_scalars: Callable[[Any, int], tuple[Any, ...]]

    states: tuple[str, ...] = ()
    """Names of the state arrays of the rule; `update` takes them in this order."""
    scratch: int = 0
    """The number of arrays that `update` takes for intermediate results."""
    repeatable: bool = False
    """Class attribute: True if `update` makes the same NumPy calls at every step."""
    rate_is_initial: bool = False
    """Class attribute: True if the rule adapts its steps, and uses only the first learning rate."""

    def update(self, p: Array, g: Array, *arrays: Any, **_: Any) -> None:
        """Update the parameters `p` and the arrays of `states` in place; a subclass implements it.

        It is called for one block of the parameters at a time, and must therefore be element-wise,
        without norms or means over `p` or `g`. All arrays have the dtype of `p`.

        Parameters
        ----------
        p : array (n,), or (e, n) if members have their own learning rates
            A block of the parameters, which `update` changes.
        g : array of the shape of `p`
            The gradient, clipped if the options say so; not to be changed.
        *arrays : arrays
            In this order: one array () or (e, 1) for each number of `scalars`, by default only the
            learning rate; one array of the shape of `p` for each name in `states`; and `scratch`
            arrays of the shape of `p` with arbitrary contents, 0 by default. With
            `states = ("v",)` and `scratch = 1` a rule is `update(self, p, g, rate, v, s)`.
        """
        raise NotImplementedError(unwritten(self, "update"))

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        """Return the scalars for `update` at step t: by default only the learning rate.

        Parameters
        ----------
        rate : float, or array (E, 1) if members have their own learning rates
            The learning rate of this step.
        t : int
            The number of this step: 1, 2, ...

        Returns
        -------
        tuple
            Numbers or arrays (E, 1), the same number at every step.
        """
        return (rate,)

    def make_state(self, params: Array) -> dict[str, Array]:
        """Return the initial arrays of `states`, by name: zeros by default."""
        return {name: aligned(params.shape, params.dtype) for name in self.states}

    @classmethod
    def example(cls) -> Self:
        """Return an optimizer with non-default options, for tests that go through every class."""
        return cls(0.01)
