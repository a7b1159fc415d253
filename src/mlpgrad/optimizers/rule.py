"""What an optimizer's class says of its rule."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described


class Rule(Described):
    """The part of `Optimizer` that its subclasses override: `update`, and what it takes."""

    states: tuple[str, ...] = ()
    """Names of the arrays that the rule keeps; `update` takes them in this order."""
    scratch: int = 0
    """The number of arrays that `update` takes for intermediate results."""
    repeatable: bool = False
    """True, in the class itself, if `update` makes the same NumPy calls at every step."""

    def update(self, p: Array, g: Array, *arrays: Any, **_: Any) -> None:
        """Change the parameters `p` and the arrays of `states` in place; a subclass implements it.

        It is called for one block of the parameters at a time, and must therefore treat every
        element alike: no norms or means over `p` or `g`. All arrays have the dtype of `p`.

        Parameters
        ----------
        p : array (n,), or (e, n) where members have their own learning rates
            A block of the parameters, which `update` changes.
        g : array of the shape of `p`
            The gradient, clipped if the options say so; not to be changed.
        *arrays : arrays
            In this order: one array () or (e, 1) for each number of `scalars`, by default the
            learning rate alone; one array of the shape of `p` for each name in `states`; and
            `scratch` arrays of the shape of `p` with arbitrary contents, 0 by default. With
            `states = ("v",)` and `scratch = 1` a rule is `update(self, p, g, rate, v, s)`.
        """
        raise NotImplementedError

    def scalars(self, rate: Any, t: int) -> tuple[Any, ...]:
        """The numbers that `update` takes at step t: by default the learning rate alone.

        Parameters
        ----------
        rate : float, or array (E, 1) where members have their own learning rates
            The learning rate of this step.
        t : int
            The number of this step: 1, 2, ...

        Returns
        -------
        tuple
            Numbers or arrays (E, 1), as many at every step.
        """
        return (rate,)

    def make_state(self, params: Array) -> dict[str, Array]:
        """The arrays of `states` before the first step, by name: zeros by default."""
        return {name: np.zeros_like(params) for name in self.states}

    @classmethod
    def example(cls) -> Self:
        """An optimizer for the tests that go through every class, with options worth a test."""
        return cls(0.01)
