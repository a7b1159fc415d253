"""A `Sequential` with its data as a problem to check, evaluated by an ensemble of copies."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.cached import Cached
from mlpgrad._core.calls import is_own
from mlpgrad.gradcheck.models.sides import Sides
from mlpgrad.gradcheck.numeric.derivative import Answers
from mlpgrad.gradcheck.numeric.problem import Leaf, Problem, Request, displaced
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward, walk
from mlpgrad.network.network import Network
from mlpgrad.penalties import penalise

ROWS = 24
"""The largest number of perturbed copies in one forward pass."""
ELEMENTS = 1 << 20
"""The largest total number of elements in the perturbed copies."""


class ModelProblem(Problem):
    """The objective of a model on one batch, computed in float64 by a twin.

    Parameters
    ----------
    model : Sequential
    x, y, sample_weight
        The batch.
    name : callable
        The name of the layer at a position such as `"2.0"`; empty for an only layer.
    """

    shows_kinks = True
    strict_kinks = False
    label = "the model"
    last_value: Any = None
    """The value of the last `step`."""

    def __init__(
        self,
        model: Network,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        name: Callable[[str], str] = "layers[{}]".format,
    ) -> None:
        self.model, self.arguments = model, (x, y, sample_weight)
        self.own_dtype = np.dtype(np.float64) if model.dtype.kind == "c" else model.dtype
        self.twin, self.fresh = model.lifted(np.float64), self.newcomer()
        self.batch = self.twin._cast(*self.arguments)
        self.rows: int = self.batch[0].shape[-2]
        self.point = self.twin.params.ravel().copy()
        if not len(self.point):
            raise ValueError("the model has no parameters: there is no gradient to check")
        self.state = self.twin.state.copy()
        self._names = {id(layer): name(position) for position, layer in walk(self.twin.layers)}
        self.slots = {
            f"{self._names[id(slot.layer)]}.{slot.kind}".lstrip("."): slot
            for slot in self.twin.parameters
        }
        self.leaves = list(self._leaves())
        layers = (layer for _, layer in walk(self.twin.layers))
        everything = (*layers, self.twin.loss, *self.twin.penalties)
        self.knows_all_kinks = all(map(known_forward, everything))
        self._tile = 1 if model.lead else min(ROWS, ELEMENTS // self._size())
        self.sides = Sides(self.twin)
        self._base: list[Array] = []  # the sides at the point `_at`
        self._at: Array | None = None

    def _leaves(self) -> Iterator[Leaf]:
        """All arrays of parameters; in an ensemble, member by member."""
        for member in range(self.model.ensemble_size or 1):
            begin = member * self.twin.params.shape[-1]
            for name, slot in self.slots.items():
                whose = f" of member {member}" if self.model.lead else ""
                start, stop = begin + slot.start, begin + slot.stop
                yield Leaf(name + whose, start, stop, slot.shape, self.own_dtype)

    def _size(self) -> int:
        """The approximate number of elements in one twin."""
        width = sum(layer.out_features or 0 for _, layer in walk(self.twin.layers)) or 1
        return len(self.point) + 4 * self.batch[0].size + 4 * self.rows * width

    def called(self, layer: Layer) -> str:
        """The name of one of the twin's layers."""
        return self._names[id(layer)] or "the layer"

    def arrays(self, layer: Layer) -> list[str]:
        """The names of the parameters of a layer and of the layers inside it."""
        inside = {id(layer), *(id(part) for _, part in walk(layer.children()))}
        return [name for name, slot in self.slots.items() if id(slot.layer) in inside]

    # the value

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        if self._at is not point:
            forward(self.twin, point, self.state, self.batch)
            self._base = self.sides.now()
            self._at = point
        found = self.batched(requests, functools.partial(self._together, point))
        return found or super().values(point, requests)

    def batched(
        self, requests: Sequence[Request], together: Callable[[Sequence[Request]], Answers]
    ) -> Answers | None:
        """Compute many values with few calls of `together`; None if only one by one is possible.

        `together` computes the values of `_tile` requests or fewer at once, by `tiled`.
        """
        if self._tile < 4 or len(requests) < 3 or isinstance(requests[0][3], complex):
            return None
        starts = range(0, len(requests), self._tile)
        try:
            found = [together(requests[start : start + self._tile]) for start in starts]
        except Exception:  # a user's layer may not support ensembles
            self._tile = 1
            return None
        self.passes += len(requests)
        values, moved = zip(*found, strict=True)
        return np.concatenate(values), np.concatenate(moved)

    def evaluate(self, point: Array) -> tuple[Any, bool]:
        if point.dtype.kind == "c":
            model, batch = self._complex
            return forward(model, point, self.state, batch), False
        value = forward(self.twin, point, self.state, self.batch)
        return value, bool(self.sides.crossed(self._base)[0])

    @Cached
    def _complex(self) -> tuple[Network, Any]:
        """A twin that computes with complex numbers, with its batch."""
        model = self.model.lifted(np.complex128)
        return model, model._cast(*self.arguments)

    def _together(self, point: Array, requests: Sequence[Request]) -> Answers:
        return self.at_once(self.displaced(point, requests), len(requests), self._base)

    def displaced(self, point: Array, requests: Sequence[Request]) -> Array:
        """The points of some requests as rows, one for each copy in `tiled`."""
        points = np.tile(point, (self._tile, 1))
        for row, request in zip(points, requests, strict=False):
            displaced(point, request, row)
        return points

    def at_once(self, params: Array, count: int, base: list[Array]) -> Answers:
        """The first `count` values of an ensemble of twins, and whether each has crossed a kink."""
        values = forward(self.tiled, params, self.state, self.batch)
        return values[:count], self._tiled_sides.crossed(base, self._tile)[:count]

    @Cached
    def tiled(self) -> Network:
        """An ensemble of twins, after a test that it computes the same as the twin."""
        tiled = self.twin.tiled(self._tile)
        alone = forward(self.twin, self.point, self.state, self.batch)
        same = np.tile(self.point, (self._tile, 1))
        together = forward(tiled, same, self.state, self.batch)
        if not np.allclose(together, alone, rtol=1e-9, atol=0, equal_nan=True):
            raise ValueError("this model does not compute the same as an ensemble")
        return tiled

    @Cached
    def _tiled_sides(self) -> Sides:
        return Sides(self.tiled)

    # the gradient

    def gradient(self, point: Array) -> Array:
        return self.step(self.twin, self.batch, point)

    def own_gradient(self, point: Array) -> Array:
        return self.step(*self._own, point).real.astype(np.float64)

    @Cached
    def _own(self) -> tuple[Network, Any]:
        """A copy in the dtype of the user's model, with its batch."""
        return self.model.copy(), self.model._cast(*self.arguments)

    def newcomer(self) -> Network:
        """A twin that has had no batch yet, and computes dL/dx."""
        twin = self.model.lifted(np.float64)
        twin.layers[0].wants_input_delta = True
        return twin

    def penalty_gradient(self, point: Array) -> Array:
        """The part of the gradient due to penalties, as a flat vector."""
        model = self.twin
        model.params, model.grads = point.reshape(model.params.shape), 0
        penalise(0.0, model._penalised, model._slopes)
        found: Array = model.grads.ravel().copy()
        return found

    def step(self, model: Network, batch: Any, point: Array, grads: Any = 0) -> Array:
        """The gradient of one step of a model whose gradients were `grads` before."""
        model.params, model.grads = point.reshape(model.params.shape), grads
        model.state = self.state.astype(model.dtype)
        self.passes += 1
        with model.same_randomness():
            self.last_value = model._step(*batch)
        found: Array = model.grads.ravel().copy()
        return found

    def outcome(self, model: Network, batch: Any) -> dict[str, Array]:
        """The results of one step at the point: the value, the gradients by name, and dL/dx."""
        gradient = self.step(model, batch, self.point)
        found = {f"gradient of {leaf.name}": gradient[leaf.slice] for leaf in self.leaves}
        if model._input_delta is not None:
            found["dL/dx"] = model._input_delta.copy()
        return {"value": np.array(self.last_value)} | found


def forward(model: Network, params: Array, state: Array, batch: Any) -> Any:
    """The objective at `params`, by a forward pass; for a user's ensemble the sum over members.

    The members of a user's ensemble are independent of each other. Tiled copies `(rows, P)` give
    one value each.
    """
    x, target, weights = batch
    model.params, model.state = params.reshape(model.params.shape), state
    with model.same_randomness():
        value = model.loss.forward(run_forward(model.layers, x, weights), target, weights)
        value = np.array(value + model.penalty())
    return value.sum().item() if params.ndim == 1 else value


def known_forward(part: Any) -> bool:
    """Whether the forward of a layer, loss or penalty is the library's, with known kinks."""
    if callable(getattr(part, "function", None)):
        return False  # defined by the user
    methods = ("forward", "apply", "losses", "value")
    found = (getattr(type(part), name, None) for name in methods)
    return all(map(is_own, filter(None, found)))
