"""Which layer is wrong: from the loss downwards, the first whose upstream delta is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.gradcheck import diagnosis
from mlpgrad.gradcheck.derivative import STEP, Answers
from mlpgrad.gradcheck.diagnosis import Evidence, Hint
from mlpgrad.gradcheck.engine import Plan, directions, probe
from mlpgrad.gradcheck.model_problem import ModelProblem, forward, signatures
from mlpgrad.gradcheck.probes import Direction, Finding, Outcome, Settings, compare
from mlpgrad.gradcheck.problem import Problem, Request, search
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.layers import Layer


class DeltaProblem(Problem):
    """The objective as a function of the output of one layer; its gradient is delta."""

    shows_kinks = True

    def __init__(self, problem: ModelProblem, point: Array, layer: Layer, name: str) -> None:
        self.model, self.params, self.layer = problem, point, layer
        problem.step(problem.twin, point, problem.batch)
        outputs, delta = layer.outputs, layer.delta
        assert outputs is not None
        assert delta is not None
        self.shape = delta.shape
        self.point, self.delta = np.broadcast_to(outputs, delta.shape).ravel(), delta.ravel()
        self.leaves = [Leaf(name, 0, delta.size, delta.shape)]
        self.knows_all_kinks = problem.knows_all_kinks
        self._base = [signature.copy() for signature in signatures(problem.twin)]

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        problem, shift = self.model, np.zeros(self.shape)
        flat = shift.reshape(-1)
        values, moved = [], []
        original = self.layer.forward
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
        chosen = directions(
            self.leaves, self.delta, self.point, Plan(), 2, STEP, rng, along=True
        )
        return list(probe(self, self.point, settings, chosen))

    def slope(self, vector: Array, settings: Settings) -> Finding:
        """The comparison along one direction, of the shape of the output."""
        unit = vector.ravel() / np.linalg.norm(vector)
        rms = float(np.linalg.norm(self.delta)) / np.sqrt(self.delta.size)
        slope = float(unit @ self.delta)
        direction = Direction(0, 0, self.delta.size, unit, slope, rms, STEP)
        return search(self, self.point, [(direction, compare(direction, settings))])[0]


class Culprit(NamedTuple):
    """The place of the mistake."""

    where: str
    layer: Layer | None
    """None for the loss."""
    own: list[str]
    """Names of its own wrong parameters' gradients."""
    hints: list[Hint]


class Search:
    """The walk from the loss downwards, at one point."""

    def __init__(
        self, problem: ModelProblem, point: Array, wrong: set[str], settings: Settings,
        rng: np.random.Generator,
    ) -> None:
        self.problem, self.point, self.wrong = problem, point, wrong
        self.settings, self.rng = settings, rng

    def culprit(self) -> Culprit | None:
        """The first layer from the loss whose upstream delta is right and whose own is wrong."""
        layers = self.problem.twin.layers
        top, found = self.judge(layers[-1], f"delta of layers[{len(layers) - 1}]")
        if found:
            loss = self.problem.twin.loss
            hints = [*invariances(top, self.settings), *self.of_evidence(top, found)]
            name = f"the loss {loss!r}: the delta that it gives the last layer is wrong"
            return Culprit(name, None, [], hints)
        return self.among(layers, "layers[{}]", None)

    def among(self, layers: Sequence[Layer], names: str, parent: Layer | None) -> Culprit | None:
        for index in reversed(range(len(layers))):
            layer, name = layers[index], names.format(index)
            own = [leaf for leaf in sorted(self.wrong) if leaf.startswith(name + ".") or leaf.startswith(name + "[")]
            own = [
                slot.name
                for slot in self.problem.twin.parameters
                if slot.name in self.wrong and slot.layer in family(layer)
            ]
            below: DeltaProblem | None = None
            found: list[Finding] = []
            if index:
                below, found = self.judge(layers[index - 1], f"dL/dx of {name}")
            if own or found:
                inside = list(layer.children())
                if inside:
                    deeper = self.among(inside, name[:-1] + ".{}]", layer)
                    if deeper is not None:
                        return deeper
                return self.named(layer, name, own, below, found)
        return None

    def judge(self, layer: Layer, name: str) -> tuple[DeltaProblem, list[Finding]]:
        """The findings about a layer's delta, none if it is right."""
        problem = DeltaProblem(self.problem, self.point, layer, name)
        found = problem.findings(self.settings, self.rng)
        wrong = any(finding.outcome is Outcome.DIFFERS for finding in found)
        return problem, found if wrong else []

    def named(
        self, layer: Layer, name: str, own: list[str], below: DeltaProblem | None,
        found: list[Finding],
    ) -> Culprit:
        what = []
        hints: list[Hint] = []
        if own:
            what.append(f"the gradient of {', '.join(own)}")
        if found and below is not None:
            what.append("the delta it passes on")
            upstream, inputs, outputs = layer.delta, layer.inputs, layer.outputs
            assert upstream is not None
            assert inputs is not None
            assert outputs is not None
            passed = below.delta.reshape(below.shape)
            seen = Pass(layer, name, upstream, inputs, outputs, passed)
            hints += pass_hints(seen, diagnosis.evidence(below.leaves[0], found, below.delta))
            if not hints:
                hints += invariances(below, self.settings)
            if not hints:
                hints += self.of_evidence(below, found)
        where = (
            f"{name} {layer!r}: the delta that comes in is right, {' and '.join(what)} "
            f"{'are' if len(what) > 1 else 'is'} wrong"
        )
        return Culprit(where, layer, own, hints)

    def of_evidence(self, below: DeltaProblem, found: list[Finding]) -> list[Hint]:
        evidence = diagnosis.evidence(below.leaves[0], found, below.delta)
        return list(diagnosis.hints(evidence, {}, factors(self.problem)))


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


class Pass(NamedTuple):
    """One backward of a layer: what came in, what it knew, what it passed on."""

    layer: Layer
    name: str
    upstream: Array
    inputs: Array
    outputs: Array
    passed: Array


def pass_hints(seen: Pass, evidence: Evidence) -> Iterator[Hint]:
    """What may be wrong with the delta that a layer passes on."""
    if seen.passed.shape == seen.upstream.shape:
        if np.allclose(seen.passed, seen.upstream, rtol=1e-9, atol=0):
            inside = "the branch is left out" if seen.layer.children() else "its derivative is omitted"
            yield Hint("OMITTED", f"{seen.name} passes delta on unchanged: {inside}")
            return
        if seen.layer.children():
            full = seen.passed + seen.upstream
            if evidence.explained_by(full):
                yield Hint("NO_SKIP", f"{seen.name} passes on the branch's delta only, without the skip's")
                return
    if hasattr(seen.layer, "drop_probability"):
        moved = (seen.passed != 0) != (seen.outputs != 0)
        if moved[(seen.upstream != 0) & (seen.inputs != 0)].mean() > 0.02:
            yield Hint("OTHER_MASK", f"{seen.name} uses another mask in backward than in forward")
            return
    if hasattr(seen.layer, "apply"):
        yield slope_hint(seen)
    weights = getattr(seen.layer.params, "weights", None)
    if weights is not None and weights.shape[-1] == weights.shape[-2]:
        if np.allclose(seen.passed, seen.upstream @ weights, rtol=1e-9):
            yield Hint("TRANSPOSED", f"{seen.name} passes on delta W where delta W^T is meant")


def slope_hint(seen: Pass) -> Hint:
    """How an activation's slope differs from the numeric one."""
    z, a, layer = seen.inputs, seen.outputs, seen.layer
    with np.errstate(all="ignore"):
        used = np.where(seen.upstream == 0, np.nan, seen.passed / seen.upstream)
    right = element_slope(layer, z)
    known = np.isfinite(used)
    if close(used, element_slope(layer, a), known):
        return Hint("AT_A", f"{seen.name} takes its derivative at a = f(z) where z is meant")
    order = np.argsort(a.ravel())
    sorted_a, sorted_slope = a.ravel()[order], right.ravel()[order]
    inside = known & (z > sorted_a[0]) & (z < sorted_a[-1])
    at_z = np.interp(z, sorted_a, sorted_slope)
    if inside.sum() >= 3 and close(used, at_z, inside, 0.1):
        return Hint("AT_Z", f"{seen.name} computes its derivative from z where a = f(z) is meant")
    ratio = used[known] / np.where(right[known] == 0, np.nan, right[known])
    ratio = ratio[np.isfinite(ratio)]
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


def rounding_hint(what: str, size: float) -> Hint:
    """Errors without a pattern, as small as those of a short number format."""
    kind = "float16" if size > 3e-6 else "float32"
    return Hint("ROUNDING", f"{what} is off by a relative {size:.0e} without pattern: kept in {kind}?")


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
    for vector, code, text in tests:
        finding = below.slope(np.array(vector), settings)
        numeric, analytic = abs(finding.estimate.value), abs(finding.direction.analytic)
        wrong = finding.outcome is Outcome.DIFFERS
        if wrong and numeric < 0.02 * max(analytic, finding.direction.rms):
            yield Hint(code, f"{name}: the loss does not notice {text}")
            return
