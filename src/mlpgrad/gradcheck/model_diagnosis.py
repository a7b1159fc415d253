"""Which layer is wrong: from the loss downwards, the first whose upstream delta is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck import diagnosis
from mlpgrad.gradcheck.derivative import STEP, Answers
from mlpgrad.gradcheck.diagnosis import Evidence, Hint
from mlpgrad.gradcheck.engine import Plan, directions, probe
from mlpgrad.gradcheck.model_problem import ModelProblem, forward, signatures
from mlpgrad.gradcheck.probes import Direction, Finding, Outcome, Settings, compare
from mlpgrad.gradcheck.problem import Problem, Request, search
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.layers.base import Layer


class DeltaProblem(Problem):
    """The objective as a function of the input of one layer, or of its output.

    Its gradient is the delta that the layer passes on, or the one that comes in.
    """

    shows_kinks = True

    def __init__(
        self, problem: ModelProblem, point: Array, layer: Layer, name: str, *, at_input: bool
    ) -> None:
        self.model, self.params, self.layer, self.at_input = problem, point, layer, at_input
        passed = self._step()
        values, delta = (layer.inputs, passed) if at_input else (layer.outputs, layer.delta)
        assert values is not None
        assert delta is not None
        self.shape = delta.shape
        self.point, self.delta = np.broadcast_to(values, delta.shape).ravel(), delta.ravel()
        self.leaves = [Leaf(name, 0, delta.size, delta.shape)]
        self.knows_all_kinks = problem.knows_all_kinks
        self._base = [signature.copy() for signature in signatures(problem.twin)]

    def _step(self) -> Array | None:
        """One step of the model; what the layer's backward returns."""
        returned: list[Array | None] = []
        original = self.layer.backward

        def backward(delta: Array) -> Array | None:
            passed = original(delta)
            returned.append(None if passed is None else passed.copy())
            return passed

        self.layer.backward = backward  # type: ignore[method-assign]
        try:
            self.model.step(self.model.twin, self.params, self.model.batch)
        finally:
            del self.layer.backward
        return returned[0]

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        problem, shift = self.model, np.zeros(self.shape)
        flat = shift.reshape(-1)
        values, moved = [], []
        original = self.layer.forward
        if self.at_input:
            self.layer.forward = lambda x: original(x + shift)  # type: ignore[method-assign]
        else:
            self.layer.forward = lambda x: original(x) + shift  # type: ignore[method-assign]
        try:
            for start, stop, vector, t in requests:
                flat[:] = 0
                flat[start:stop] = t * vector
                values.append(forward(problem.twin, self.params, problem.state, problem.batch))
                pairs = zip(signatures(problem.twin), self._base, strict=True)
                moved.append(any((now != before).any() for now, before in pairs))
        finally:
            del self.layer.forward
        problem.passes += len(requests)
        return np.array(values), np.array(moved)

    def findings(self, settings: Settings, rng: np.random.Generator) -> list[Finding]:
        """The delta against numeric slopes along its own and two random directions."""
        chosen = directions(self.leaves, self.delta, self.point, Plan(), 2, STEP, rng, along=True)
        return list(probe(self, self.point, settings, chosen))

    def slope(self, vector: Array, settings: Settings) -> Finding:
        """The comparison along one direction, of the shape of the output."""
        unit = vector.ravel() / np.linalg.norm(vector)
        rms = float(np.linalg.norm(self.delta)) / np.sqrt(self.delta.size)
        slope = float(unit @ self.delta)
        direction = Direction(0, 0, self.delta.size, unit, slope, rms, STEP)
        return search(self, self.point, [(direction, compare(direction, settings))])[0]


class Pass(NamedTuple):
    """A layer's part in one step: what it got, gave, got back and passed on."""

    layer: Layer
    name: str
    inputs: Array
    outputs: Array
    upstream: Array
    passed: Array | None


class Culprit(NamedTuple):
    """The place of the mistake."""

    where: str
    layer: Layer | None
    """None for the loss."""
    own: list[str]
    """Names of its own wrong parameters' gradients."""
    hints: list[Hint]
    seen: Pass | None = None
    """Its part in the step; None for the loss."""


class Search:
    """The walk from the loss downwards, at one point."""

    def __init__(
        self,
        problem: ModelProblem,
        point: Array,
        wrong: set[str],
        settings: Settings,
        rng: np.random.Generator,
    ) -> None:
        self.problem, self.point, self.wrong = problem, point, wrong
        self.settings = settings._replace(method="auto")  # complex numbers end at the parameters
        self.rng = rng

    def culprit(self) -> Culprit | None:
        """The first layer from the loss whose upstream delta is right and whose own is wrong."""
        layers = self.problem.twin.layers
        last = len(layers) - 1
        top, found = self.judge(layers[last], f"delta of layers[{last}]", at_input=False)
        if found:
            loss = self.problem.twin.loss
            hints = self.of_evidence(top, found)
            name = f"the loss {loss!r}: the delta that it starts with is wrong"
            return Culprit(name, None, [], hints)
        return self.among(layers, "layers[{}]")

    def among(self, layers: Sequence[Layer], names: str) -> Culprit | None:
        """The first of a row of layers, from its end, that makes a mistake."""
        slots = [slot for slot in self.problem.twin.parameters if slot.name in self.wrong]
        for index in reversed(range(len(layers))):
            layer, name = layers[index], names.format(index)
            own = [slot.name for slot in slots if slot.layer in family(layer)]
            below: DeltaProblem | None = None
            found: list[Finding] = []
            if layer.wants_input_delta:
                below, found = self.judge(layer, f"dL/dx of {name}", at_input=True)
            if own or found:
                inside = self.among(layer.children(), name[:-1] + ".{}]")
                return inside or self.named(layer, name, own, below, found)
        return None

    def judge(
        self, layer: Layer, name: str, *, at_input: bool
    ) -> tuple[DeltaProblem, list[Finding]]:
        """The findings about a layer's delta, none if it is right."""
        problem = DeltaProblem(self.problem, self.point, layer, name, at_input=at_input)
        found = problem.findings(self.settings, self.rng)
        wrong = any(finding.outcome is Outcome.DIFFERS for finding in found)
        return problem, found if wrong else []

    def named(
        self,
        layer: Layer,
        name: str,
        own: list[str],
        below: DeltaProblem | None,
        found: list[Finding],
    ) -> Culprit:
        what = []
        hints: list[Hint] = []
        self.problem.step(self.problem.twin, self.point, self.problem.batch)
        inputs, outputs, upstream = layer.inputs, layer.outputs, layer.delta
        assert inputs is not None
        assert outputs is not None
        assert upstream is not None
        passed = below.delta.reshape(below.shape) if below else None
        seen = Pass(layer, name, inputs, outputs, upstream, passed)
        if own:
            what.append(f"the gradient of {', '.join(own)}")
        if found and below is not None:
            what.append("the delta it passes on")
            evidence = diagnosis.evidence(below.leaves[0], found, below.delta)
            hints += pass_hints(seen, below.delta.reshape(below.shape), evidence)
            hints = hints or self.of_evidence(below, found)
        where = (
            f"{name} {layer!r}: the delta that comes in is right, {' and '.join(what)} "
            f"{'are' if len(what) > 1 else 'is'} wrong"
        )
        return Culprit(where, layer, own, hints, seen)

    def of_evidence(self, below: DeltaProblem, found: list[Finding]) -> list[Hint]:
        """What a delta's slopes say: simple patterns, then what the loss does not notice."""
        evidence = diagnosis.evidence(below.leaves[0], found, below.delta)
        hints = list(diagnosis.hints(evidence, {}, factors(self.problem)))
        if not hints or hints[0].code == "ZERO_LINE":
            hints = list(invariances(below, self.settings)) or hints
        return hints


def family(layer: Layer) -> list[Layer]:
    """A layer and all that is inside it."""
    return [layer, *(part for child in layer.children() for part in family(child))]


def factors(problem: ModelProblem) -> dict[float, str]:
    """Constant ratios that would have a reason in this model."""
    rows = problem.batch[0].shape[-2]
    named: dict[float, str] = {
        float(rows): f"{rows} rows: the mean over the batch (1/N) is missing",
        1 / rows: f"{rows} rows: divided by the size of the batch once too often",
    }
    for layer in problem.twin.layers:
        for part in family(layer):
            drop = getattr(part, "drop_probability", None)
            if isinstance(drop, float) and 0 < drop < 1:
                named[1 - drop] = f"1/(1 - {drop:g}), dropout's factor, is missing"
                named[1 / (1 - drop)] = f"1/(1 - {drop:g}), dropout's factor, is there twice"
            out = part.out_features
            if out and out > 2:
                named.setdefault(float(out), f"{out} outputs: a mean over them is missing")
                named.setdefault(1 / out, f"{out} outputs: averaged over them where a sum is meant")
    return {value: reason for value, reason in named.items() if value not in (1.0, 2.0, 0.5)} | {
        value: reason for value, reason in named.items() if value in (2.0, 0.5)
    }


def pass_hints(seen: Pass, passed: Array, evidence: Evidence) -> Iterator[Hint]:
    """What may be wrong with the delta that a layer passes on."""
    layer, name, upstream = seen.layer, seen.name, seen.upstream
    weights = getattr(layer.params, "weights", None)
    if passed.shape == upstream.shape and np.allclose(passed, upstream, rtol=1e-9, atol=0):
        missing = "the branch is left out" if layer.children() else "its derivative is omitted"
        yield Hint("OMITTED", f"{name} passes delta on unchanged: {missing}")
    elif layer.children() and evidence.explained_by(passed + upstream):
        yield Hint("NO_SKIP", f"{name} passes on the branch's delta only, without the skip's")
    elif hasattr(layer, "drop_probability"):
        moved = (passed != 0) != (seen.outputs != 0)
        if moved[(upstream != 0) & (seen.inputs != 0)].mean() > 0.02:
            yield Hint("OTHER_MASK", f"{name} uses another mask in backward than in forward")
    elif hasattr(layer, "apply"):
        yield slope_hint(seen, passed)
    elif weights is not None and weights.shape[-1] == weights.shape[-2]:
        turned = upstream @ weights
        if np.allclose(passed, turned, rtol=1e-9):
            yield Hint("TRANSPOSED", f"{name} passes on delta W where delta W^T is meant")


def slope_hint(seen: Pass, passed: Array) -> Hint:
    """How an activation's slope differs from the numeric one."""
    z, a, layer = seen.inputs, seen.outputs, seen.layer
    with np.errstate(all="ignore"):
        used = np.where(seen.upstream == 0, np.nan, passed / seen.upstream)
    right = element_slope(layer, z)
    known = np.isfinite(used)
    if close(used, element_slope(layer, a), known):
        return Hint("AT_A", f"{seen.name} takes its derivative at a = f(z) where z is meant")
    order = np.argsort(a.ravel())
    low, high = a.min(), a.max()
    at_z = np.interp(z, a.ravel()[order], right.ravel()[order])
    inside = known & (z > low) & (z < high)
    if inside.sum() >= 3 and close(used, at_z, inside, 0.1):
        return Hint("AT_Z", f"{seen.name} computes its derivative from z where a = f(z) is meant")
    ratio = used[known & (right != 0)] / right[known & (right != 0)]
    if len(ratio) and np.ptp(ratio) < 1e-5 * abs(ratio[0]):
        return diagnosis.named_ratio(f"the slope of {seen.name}", float(ratio[0]), {})
    off = np.where(known, abs(used - right), 0)
    worst = np.unravel_index(int(off.argmax()), off.shape)
    if off.max() < 5e-3 * abs(right).max():
        return rounding_hint(f"the slope of {seen.name}", float(off.max() / abs(right).max()))
    return Hint(
        "SLOPE",
        f"{seen.name} uses the slope {used[worst]:.6g} at z = {z[worst]:.6g}, "
        f"where numerically it is {right[worst]:.6g}",
    )


def vector_hints(seen: Pass, leaf: Leaf, gradient: Array) -> Iterator[Hint]:
    """A gradient with one number a feature that was not summed over the batch.

    Where the output is affine in the parameter, output(1 + p) - output(p) is its slope.
    """
    layer, delta, x = seen.layer, seen.upstream, seen.inputs
    if leaf.shape != delta.shape[-1:]:
        return
    before = np.array(layer.forward(x))
    view = layer.params[leaf.name.rpartition(".")[2]]
    view += 1
    share = delta * (layer.forward(x) - before)
    view -= 1
    size = 1e-9 * np.abs(share).max()
    if (np.abs(share - gradient).max(axis=-1) <= size).any():
        text = f"the gradient of {leaf.name} is that of one row: sum over the batch"
        yield Hint("NOT_SUMMED", text)
    elif np.abs(np.resize(share.sum(axis=-1), leaf.shape) - gradient).max() <= size * len(share):
        text = f"the gradient of {leaf.name} is summed over the features: sum over the batch"
        yield Hint("WRONG_AXIS", text)


def rounding_hint(what: str, size: float) -> Hint:
    """Errors without a pattern, as small as those of a short number format."""
    kind = "float16" if size > 3e-6 else "float32"
    return Hint(
        "ROUNDING", f"{what} is off by a relative {size:.0e} without pattern: kept in {kind}?"
    )


def close(used: Array, right: Array, where: Array, tolerance: float = 1e-3) -> bool:
    """Whether the slopes agree nearly everywhere."""
    with np.errstate(all="ignore"):
        near = abs(used - right)[where] <= tolerance * (abs(right)[where] + 0.01)
    return bool(near.size and near.mean() > 0.95)


def element_slope(layer: Any, z: Array) -> Array:
    """f'(z) of an activation by central differences of its `apply`."""
    h = 1e-5
    plus, minus = np.empty_like(z), np.empty_like(z)
    layer.apply(z + h, plus)
    layer.apply(z - h, minus)
    slope: Array = (plus - minus) / (2 * h)
    return slope


def invariances(below: DeltaProblem, settings: Settings) -> Iterator[Hint]:
    """Changes that the loss does not notice, although its delta says so: normalisations."""
    shape, name = below.shape, below.leaves[0].name
    rng = np.random.default_rng(2)
    x = below.point.reshape(shape)
    tests = (
        (np.broadcast_to(rng.standard_normal(shape[-1]), shape), "BATCH_MEAN",
         "rows shifted together: is the batch's mean treated as a constant?"),
        ((x - x.mean(axis=-2, keepdims=True)) * rng.standard_normal(shape[-1]), "BATCH_VARIANCE",
         "columns scaled about their mean: is the batch's variance treated as a constant?"),
        (np.broadcast_to(rng.standard_normal((*shape[:-1], 1)), shape), "SAMPLE_SUM",
         "a constant added to all of a sample: are terms off the Jacobian's diagonal missing?"),
    )  # fmt: skip
    found: list[tuple[float, Hint]] = []
    for vector, code, text in tests:
        finding = below.slope(np.array(vector), settings)
        numeric, analytic = abs(finding.estimate.value), abs(finding.direction.analytic)
        share = numeric / max(analytic, finding.direction.rms, 1e-300)
        if finding.outcome is Outcome.DIFFERS and share < 0.02:
            found.append((share, Hint(code, f"{name}: the loss does not notice {text}")))
    if found:
        yield min(found)[1]
