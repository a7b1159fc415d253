"""The search for the wrong layer: the first from the loss on that gets a correct delta."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.hooks import replaced
from mlpgrad.gradcheck.elements import observe
from mlpgrad.gradcheck.hints import Evidence, Hint, evidence, hints
from mlpgrad.gradcheck.models.patterns import Pass, factors, invariances, pass_hints
from mlpgrad.gradcheck.models.problem import ModelProblem, forward
from mlpgrad.gradcheck.numeric.derivative import STEP, Answers
from mlpgrad.gradcheck.numeric.directions import Place, check_point
from mlpgrad.gradcheck.numeric.judgement import Finding
from mlpgrad.gradcheck.numeric.methods import METHODS
from mlpgrad.gradcheck.numeric.norms import rms
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf, Problem, Request, search
from mlpgrad.gradcheck.reasons import reason
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network


class DeltaProblem(Problem):
    """The objective as a function of the input of one layer, or of the loss.

    Its gradient is the delta that the layer passes on, or that the loss starts with; `what` is
    its name.
    """

    def __init__(self, model: ModelProblem, place: Place, part: Layer | Loss, what: str) -> None:
        self.model, self.params, self.part, self.what = model, place.point, part, what
        self.delta = self._backward()
        inputs: Any = part._prediction if isinstance(part, Loss) else part._inputs
        self.inputs = np.broadcast_to(inputs, self.delta.shape).copy()
        # complex numbers end at the parameters
        settings = place.settings._replace(method=METHODS["auto"])
        self.place = Place(self.inputs.ravel(), self.delta.ravel(), settings)
        self.leaves = [Leaf(what, 0, self.delta.size, self.delta.shape)]
        self.base = model.sides.now()

    def _backward(self) -> Array:
        """The delta that backward of the part returns in one step of the model."""
        returned: list[Array] = []
        original: Any = self.part.backward

        def backward(*delta: Array) -> Any:
            passed = original(*delta)
            returned.append(passed.copy())
            return passed

        with replaced(self.part, backward=backward):
            self.model.gradient(self.params)
        return returned[0]

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        found = self.model.batched(requests, functools.partial(self._together, point))
        return found or super().values(point, requests)

    def evaluate(self, point: Array) -> tuple[Any, bool]:
        problem = self.model
        with self._fed(problem.twin, point.reshape(self.delta.shape)):
            value = forward(problem.twin, self.params, problem.state, problem.batch)
        problem.passes += 1
        return value, bool(problem.sides.crossed(self.base)[0])

    def _together(self, point: Array, requests: Sequence[Request]) -> Answers:
        points = self.model.displaced(point, requests)
        params = np.tile(self.params, (len(points), 1))
        with self._fed(self.model.tiled, points.reshape(-1, *self.delta.shape)):
            return self.model.at_once(params, len(requests), self.base)

    def _fed(self, network: Network, inputs: Array) -> AbstractContextManager[None]:
        """Let this part of the twin, or of its tiled copies, take other inputs within `with`."""
        part = self._part_of(network)
        original = part.forward
        return replaced(part, forward=lambda x, *rest: original(inputs, *rest))

    def _part_of(self, network: Network) -> Layer | Loss:
        pairs = zip(walk(self.model.twin.layers), walk(network.layers), strict=True)
        same = (other for (_, layer), (_, other) in pairs if layer is self.part)
        return next(same, network.loss)

    def evidence(self, rng: np.random.Generator) -> Evidence | None:
        """Compare along the delta and two random directions; return None if none differs."""
        place = check_point(self, self.place, rng, 2, along=True)
        wrong = place.wrong(self.leaves)
        if not wrong:
            return None
        elements = observe(self, place, self.leaves[0], 48, 24)
        return evidence(*wrong[0], place.gradient, elements, self.what)

    def slope(self, vector: Array) -> Finding:
        """Compare along one direction, which has the shape of the delta."""
        unit, place = vector.ravel() / np.linalg.norm(vector), self.place
        typical, slope = rms(place.gradient), float(unit @ place.gradient)
        direction = Direction(0, 0, unit.size, unit, slope, typical, STEP)
        run = place.settings.method.compare(direction, place.settings)
        return search(self, place.point, [(direction, run)])[0]


class Blame(NamedTuple):
    """The place of a mistake."""

    where: str
    own: list[str]
    """Names of the parameters of the layer whose gradients are wrong."""
    hints: list[Hint]
    seen: Pass | None = None
    """The layer's part in the step; None for the loss."""


class Diagnosis:
    """The search at one point from the loss on; `wrong` names the wrong gradients."""

    def __init__(
        self, problem: ModelProblem, place: Place, wrong: set[str], rng: np.random.Generator
    ) -> None:
        self.problem, self.place, self.wrong, self.rng = problem, place, wrong, rng

    def blame(self) -> Blame | None:
        """Blame the loss, or the first layer below it that makes a mistake with a correct delta."""
        loss = self.problem.twin.loss
        top = DeltaProblem(self.problem, self.place, loss, "the delta that the loss starts with")
        found = top.evidence(self.rng)
        if found is None:
            return self.among(self.problem.twin.layers)
        where = f"the loss {loss!r}: the delta that it starts with is wrong"
        return Blame(where, [], self.delta_hints(top, found))

    def among(self, layers: Sequence[Layer]) -> Blame | None:
        """Blame the first of some layers, from the last on, that makes a mistake."""
        for layer in reversed(layers):
            own = [name for name in self.problem.arrays(layer) if name in self.wrong]
            below, found = None, None
            if layer.wants_input_delta:
                what = f"dL/dx of {self.problem.called(layer)}"
                below = DeltaProblem(self.problem, self.place, layer, what)
                found = below.evidence(self.rng)
            if own or found:
                return self.among(layer.children()) or self.named(layer, own, below, found)
        return None

    def named(
        self, layer: Layer, own: list[str], below: DeltaProblem | None, found: Evidence | None
    ) -> Blame:
        """Describe a layer and its mistakes."""
        name = self.problem.called(layer)
        self.problem.gradient(self.place.point)
        seen = Pass(layer, name, *map(np.array, (layer._inputs, layer._outputs, layer._delta)))
        what = [f"the gradient of {', '.join(own)}"] if own else []
        hints: list[Hint] = []
        if below and found:
            what.append("the delta it passes on")
            hints = list(pass_hints(seen, below.delta, found)) or self.delta_hints(below, found)
        verb = "are" if len(what) > 1 else "is"
        where = f"{name} {layer!r}: the delta that comes in is correct, {' and '.join(what)} {verb}"
        return Blame(f"{where} wrong", own, hints, seen)

    def delta_hints(self, below: DeltaProblem, found: Evidence) -> list[Hint]:
        """Hints about a delta: simple patterns, then changes that the loss does not notice."""
        simple = list(hints(found, {}, factors(self.problem)))
        if not simple or simple[0].code == "ZERO_LINE":
            simple = list(invariances(below.what, below.inputs, below.slope)) or simple
        if not simple and (found_reason := reason(found.elements, found.what)):
            return [found_reason]
        return simple
