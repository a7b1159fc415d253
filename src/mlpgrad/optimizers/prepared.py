"""The arrays of a step, prepared once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.optimizers import vectors
from mlpgrad.optimizers.boundary import check_arrays
from mlpgrad.optimizers.rule import Rule
from mlpgrad.optimizers.slots import Layout, views_of

VIEWS = ("_params", "_grads", "_scalars", "_prepared", "_used")
"""Attributes of an optimizer that are made again whenever something changes."""


class Prepared(NamedTuple):
    """The arrays of a step that `apply` needs, prepared once."""

    grads: Any = None
    """The gradient as given."""
    clipped: Any = None
    """A buffer for the clipped gradient, if it is clipped."""
    kept: Any = None
    """The factor of weights by decoupled decay, `()` or `(E, 1)`."""
    blocks: Any = ()
    """The arguments of each call of `update`."""
    decayed: Any = ()
    """Views of the parameters that decay."""
    bounded: Any = ()
    """Views of the weights `(..., in, out)` under `max_norm`."""


class State:
    """Descriptor for the dict of the rule's arrays; assigning a new dict makes the views again.

    It does not define `__get__`, so that reading costs nothing.
    """

    if TYPE_CHECKING:

        def __get__(self, optimizer: Any, owner: Any) -> dict[str, Array]: ...

    def __set__(self, optimizer: Preparing, state: dict[str, Array]) -> None:
        vars(optimizer)["state"] = state
        optimizer._forget_views()
        optimizer._state_given()


class Preparing(Rule):
    """The part of `Optimizer` that makes views once, valid as long as the arrays are."""

    state = State()
    steps: int
    decay_kinds: Sequence[str]
    clip_norm: float | None
    clip_value: float | None
    max_norm: float | None
    _layout: Layout | None
    _conform: bool = False  # whether an option has changed the set of state arrays
    _block: int = vectors.BLOCK  # elements of the parameters in a call of `update`

    def _rate(self, steps: int) -> Any:
        """Return the learning rate after `steps` steps: a number, or (E, 1)."""
        raise NotImplementedError

    def _option_changed(self) -> None:
        self._conform = True
        self._forget_views()

    def _state_given(self) -> None:
        """Called when other arrays have been given as `state`."""

    def follow_state(self) -> None:
        """Detect arrays that have replaced others in `state`."""
        if any(self.state.get(name) is not array for name, array in self._used.items()):
            self._forget_views()

    def _arrays(self, params: Array) -> list[Array]:
        """Return the state arrays in the order of `update`; make them if there are none."""
        if not self.state or self._conform or any(name not in self.state for name in self.states):
            made = self.make_state(params)
            known = {name: self.state.get(name, array) for name, array in made.items()}
            vars(self)["state"] = known
            self._conform = False
        self._used.clear()
        self._used.update(self.state)
        named = set(self.state) == set(self.states)
        return [self.state[name] for name in (self.states if named else self.state)]

    def _forget_views(self) -> None:
        self._used: dict[str, Array] = {}
        self._params: Array | None = None
        self._grads: Array | None = None
        self._scalars: list[Array] = []
        self._prepared = Prepared()

    def prepare(self, params: Array, grads: Array) -> None:
        """Make the state at the first step, and views of all arrays in blocks; called by `step`."""
        rate = self._rate(self.steps)
        check_arrays(type(self).__name__, params, grads, self.state, np.shape(rate))
        states = self._arrays(params)
        clips = self.clip_norm is not None or self.clip_value is not None
        clipped = np.empty_like(grads) if clips else None
        values = self._direct_scalars(rate, self.steps + 1)
        self._scalars = [np.zeros(np.shape(value), params.dtype) for value in values]
        flats = [params, grads if clipped is None else clipped, *states]
        size = min(self._block, params.size)
        shared = [np.empty(size, params.dtype) for _ in range(self.scratch)]
        blocks = []
        for part in vectors.blocks_of(params.shape, self._block, whole=np.ndim(rate) == 0):
            p, g, *cut = (vectors.cut(flat, part) for flat in flats)
            scalars = [s[part[0]] if s.ndim else s for s in self._scalars]
            scratch = [s[: p.size].reshape(p.shape) for s in shared]
            blocks.append([p, g, *scalars, *cut, *scratch])
        kept = np.zeros(np.shape(rate), params.dtype)
        views = views_of(params, self._layout, self.decay_kinds, self.max_norm)
        self._prepared = Prepared(grads, clipped, kept, blocks, *views)
        self._params, self._grads = params, grads
