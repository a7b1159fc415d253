"""A `Sequential` with its data as a problem to check, evaluated as an ensemble of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.derivative import Answers
from mlpgrad.gradcheck.probes import ComplexStepError
from mlpgrad.gradcheck.problem import Problem, Request, complex_steps, displaced
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward, walk
from mlpgrad.penalties import penalise

if TYPE_CHECKING:
    from mlpgrad.network.network import Network

ROWS = 24
"""Perturbed copies evaluated in one forward pass, at most."""
ELEMENTS = 1 << 20
"""Numbers that the perturbed copies may hold together."""


class ModelProblem(Problem):
    """The objective of a model on one batch, computed in float64 by a twin of it."""

    shows_kinks = True

    def __init__(self, model: Network, x: Any, y: Any, sample_weight: Any = None) -> None:
        self.model = model
        self.own_dtype = np.dtype(np.float64) if model.dtype.kind == "c" else model.dtype
        self.twin = model.lifted(np.float64)
        self.fresh = model.lifted(np.float64)  # has never seen another batch
        self.arguments = (x, y, sample_weight)
        self.batch = self.twin._cast(x, y, sample_weight)
        self.own_batch = model._cast(x, y, sample_weight)
        self.point = self.twin.params.ravel().copy()
        self.state = self.twin.state.copy()
        size, lead = self.twin.params.shape[-1], model.lead
        if lead:  # every member has its own parameters: one slot of one member after the other
            self.leaves = [
                Leaf(
                    f"{slot.name} of member {member}",
                    member * size + slot.start,
                    member * size + slot.stop,
                    slot.shape,
                )
                for member in range(lead[0])
                for slot in model.parameters
            ]
        else:
            self.leaves = [Leaf(s.name, s.start, s.stop, s.shape) for s in model.parameters]
        if not len(self.point):
            raise ValueError("the model has no parameters: there is no gradient to check")
        self.label = "the model"
        self.knows_all_kinks = all(known_forward(part) for part in parts(self.twin))
        width = sum(layer.out_features or 0 for _, layer in walk(model.layers)) or 1
        cost = len(self.point) + 4 * self.batch[0].size + 4 * self.batch[0].shape[-2] * width
        self._tile = 1 if lead else min(ROWS, ELEMENTS // cost)
        self._copies: Network | None = None
        self._signatures: list[Array] = []
        self._complex: Network | None = None
        self._own: Network | None = None
        self._at: Array | None = None  # the point that they are of

    # the value

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        if complex_steps(requests):
            return self._complex_steps(point, requests)
        base = self._base_signatures(point)
        self.passes += len(requests)
        if self._tile >= 4 and len(requests) >= 3:
            try:
                return self._together(point, requests, base)
            except Exception:  # a user's layer may not know about ensembles
                self._tile = 1
        values, moved = [], []
        buffer = np.empty_like(point)
        for request in requests:
            values.append(
                forward(self.twin, displaced(point, request, buffer), self.state, self.batch)
            )
            moved.append(self._moved(self.twin, base, 1)[0])
        return np.array(values), np.array(moved)

    def _complex_steps(self, point: Array, requests: Sequence[Request]) -> Answers:
        """The objective of a twin that computes with complex numbers."""
        if self._complex is None:
            self._complex = self.model.lifted(np.complex128)
        batch = self._complex._cast(*self.arguments)
        buffer = np.empty(len(point), np.complex128)
        try:
            values = [
                forward(self._complex, displaced(point, request, buffer), self.state, batch)
                for request in requests
            ]
        except (TypeError, ValueError) as error:
            raise ComplexStepError(f"a layer refuses complex numbers ({error})") from error
        self.passes += len(requests)
        return np.array(values), np.zeros(len(requests), bool)

    def _together(self, point: Array, requests: Sequence[Request], base: list[Array]) -> Answers:
        values, moved = [], []
        for start in range(0, len(requests), self._tile):
            some = requests[start : start + self._tile]
            tiled = self._tiled()
            params = np.tile(point, (self._tile, 1))
            for row, (begin, end, vector, t) in zip(params, some, strict=False):
                row[begin:end] += t * vector
            values.append(forward(tiled, params, self.state, self.batch)[: len(some)])
            moved.append(self._moved(tiled, base, self._tile)[: len(some)])
        return np.concatenate(values), np.concatenate(moved)

    def _tiled(self) -> Network:
        """An ensemble of twins, after a test that it computes what the twin does."""
        if self._copies is None:
            tiled = self.twin.tiled(self._tile)
            alone = forward(self.twin, self.point, self.state, self.batch)
            same = np.tile(self.point, (self._tile, 1))
            together = forward(tiled, same, self.state, self.batch)
            if not np.allclose(together, alone, rtol=1e-9, atol=0, equal_nan=True):
                raise ValueError("this model does not compute the same as an ensemble")
            self._copies = tiled
        return self._copies

    # kinks

    def _base_signatures(self, point: Array) -> list[Array]:
        """On which side of every kink the network is at a point."""
        if self._at is not point:
            forward(self.twin, point, self.state, self.batch)
            self._signatures = [signature.copy() for signature in signatures(self.twin)]
            self._at = point
        return self._signatures

    def _moved(self, model: Network, base: list[Array], rows: int) -> Array:
        """For each perturbed copy, whether it is on another side of some kink."""
        moved = np.zeros(rows, bool)
        for now, before in zip(signatures(model), base, strict=True):
            if now.shape == before.shape:
                moved |= bool((now != before).any())
            else:
                moved |= (now != before).reshape(rows, -1).any(axis=1)
        return moved

    # the gradient

    def gradient(self, point: Array) -> Array:
        return self.step(self.twin, point, self.batch)

    def own_gradient(self, point: Array) -> Array:
        if self._own is None:
            self._own = self.model.copy()
        state = self.state.astype(self._own.dtype)
        return self.step(self._own, point, self.own_batch, state).real.astype(np.float64)

    def penalty_gradient(self, point: Array) -> Array:
        """The penalties' share of the gradient, as a flat vector."""
        model = self.twin
        model.params, model.grads = point.reshape(model.params.shape), 0
        penalise(0.0, model._penalised, model._slopes)
        found: Array = model.grads.ravel().copy()
        return found

    def step(self, model: Network, point: Array, batch: Any, state: Array | None = None) -> Array:
        """One forward and backward of a model at a point, into cleared gradients."""
        model.params = point.reshape(model.params.shape)
        model.state = self.state if state is None else state
        model.grads = 0
        self.passes += 1
        with model.same_randomness():
            model._step(*batch)
        found: Array = model.grads.ravel().copy()
        return found


def forward(model: Network, params: Array, state: Array, batch: Any) -> Any:
    """The objective at `params`, a forward pass only; the sum over an ensemble that was one.

    The loss of an ensemble that the user made is the sum over its members, since they are
    independent of each other; tiled copies `(rows, P)` give one value each.
    """
    x, target, weights = batch
    alone = params.ndim == 1
    model.params = params.reshape(model.params.shape)
    model.state = state
    with model.same_randomness():
        value = model.loss.forward(run_forward(model.layers, x, weights), target, weights)
        value = np.array(value + model.penalty())
    return value.sum().item() if alone else value


def signatures(model: Network) -> list[Array]:
    """Of every layer, of the loss and of the penalties, where they have kinks."""
    found = []
    for _, layer in walk(model.layers):
        signature = getattr(layer, "kink_signature", None)
        if signature is not None and layer._inputs is not None:
            found.append(signature(layer._inputs))
    found.append(model.loss.kink_signature(model.loss._prediction, model.loss._target))
    for penalty, params, _ in model._penalised:
        found.append(penalty.kink_signature(params))
    return [signature for signature in found if signature is not None]


def parts(model: Network) -> Iterator[Any]:
    """Everything that takes part in the forward pass."""
    yield from (layer for _, layer in walk(model.layers))
    yield model.loss
    yield from model.penalties


def known_forward(part: Layer | Any) -> bool:
    """Whether the forward is this library's, so that its kinks are known."""
    if callable(getattr(part, "function", None)):
        return False  # given by the user
    methods = ("forward", "apply", "losses", "value")
    found = (getattr(type(part), name, None) for name in methods)
    return all(getattr(f, "__module__", "mlpgrad").startswith("mlpgrad") for f in found if f)
