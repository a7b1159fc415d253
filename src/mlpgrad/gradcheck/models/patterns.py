"""Patterns of mistakes in the results of one layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.hints import Evidence, Hint, named_ratio
from mlpgrad.gradcheck.models.problem import ModelProblem
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
from mlpgrad.gradcheck.numeric.problem import stream
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk

LITTLE = 0.02  # a slope relative to that by the delta that counts as none


class Pass(NamedTuple):
    """A layer's part in one step: its input, its output, and its deltas."""

    layer: Layer
    name: str
    inputs: Array
    outputs: Array
    upstream: Array


def factors(problem: ModelProblem) -> dict[float, str]:
    """Constant ratios that have a known reason in this model."""
    rows = problem.rows
    named: dict[float, str] = {
        float(rows): f"{rows} rows: the mean over the batch (1/N) is missing",
        1 / rows: f"{rows} rows: divided by the size of the batch once too often",
    }
    for _, layer in walk(problem.twin.layers):
        drop = getattr(layer, "drop_probability", None)
        if isinstance(drop, float) and 0 < drop < 1:
            named[1 - drop] = f"1/(1 - {drop:g}), dropout's factor, is missing"
            named[1 / (1 - drop)] = f"1/(1 - {drop:g}), dropout's factor, is applied twice"
        out = layer.out_features
        if out and out > 2:
            named.setdefault(float(out), f"{out} outputs: a mean over them is missing")
            named.setdefault(1 / out, f"{out} outputs: averaged over them instead of summed")
    named.pop(1.0, None)
    return named


def pass_hints(seen: Pass, passed: Array, found: Evidence) -> Iterator[Hint]:
    """Hints about the delta that a layer passes on."""
    layer, name, upstream = seen.layer, seen.name, seen.upstream
    weights = getattr(layer.params, "weights", np.empty((0, 1)))
    square = weights.shape[-1] == weights.shape[-2]
    if passed.shape == upstream.shape and np.allclose(passed, upstream, rtol=1e-9, atol=0):
        missing = "the branch is left out" if layer.children() else "its derivative is omitted"
        yield Hint("OMITTED", f"{name} passes delta on unchanged: {missing}")
    elif layer.children() and found.explained_by(passed + upstream):
        yield Hint(
            "NO_SKIP",
            f"{name} passes on the branch's delta only, without that of the skip connection",
        )
    elif hasattr(layer, "drop_probability"):
        moved = (passed != 0) != (seen.outputs != 0)
        if moved[(upstream != 0) & (seen.inputs != 0)].mean() > 0.02:
            yield Hint("OTHER_MASK", f"{name} uses a different mask in backward than in forward")
    elif hasattr(layer, "apply"):
        yield slope_hint(seen, passed)
    elif square and np.allclose(passed, upstream @ weights, rtol=1e-9):
        yield Hint("TRANSPOSED", f"{name} passes on delta W instead of delta W^T")


def slope_hint(seen: Pass, passed: Array) -> Hint:
    """Hints about the slope of an activation that differs from the numeric slope."""
    z, a, what = seen.inputs, seen.outputs, f"the slope of {seen.name}"
    used = np.where(seen.upstream == 0, np.nan, passed / seen.upstream)
    correct, known = element_slope(seen.layer, z), np.isfinite(used)
    if close(used, element_slope(seen.layer, a), known):
        return Hint("AT_A", f"{seen.name} evaluates its derivative at a = f(z) instead of z")
    order = np.argsort(a.ravel())
    at_z = np.interp(z, a.ravel()[order], correct.ravel()[order])
    inside = known & (z > a.min()) & (z < a.max())
    if inside.sum() >= 3 and close(used, at_z, inside, 0.1):
        return Hint("AT_Z", f"{seen.name} computes its derivative from z instead of a = f(z)")
    ratio = used[known & (correct != 0)] / correct[known & (correct != 0)]
    if len(ratio) and np.ptp(ratio) < 1e-5 * abs(ratio[0]):
        return named_ratio(what, float(ratio[0]), {})
    off = np.where(known, abs(used - correct), 0)
    if off.max() < 5e-3 * abs(correct).max():
        return rounding_hint(what, float(off.max() / abs(correct).max()))
    worst = np.unravel_index(int(off.argmax()), off.shape)
    return Hint(
        "SLOPE",
        f"{seen.name} uses the slope {used[worst]:.6g} at z = {z[worst]:.6g}, "
        f"where the numeric slope is {correct[worst]:.6g}",
    )


def vector_hints(seen: Pass, kind: str, found: Evidence) -> Iterator[Hint]:
    """Hints about a gradient with one number per feature that was not summed over the batch.

    If the output is affine in the parameter, output(1 + p) - output(p) is its slope.
    """
    layer, delta, gradient = seen.layer, seen.upstream, found.gradient
    if found.shape != delta.shape[-1:]:
        return
    before, view = np.array(layer.forward(seen.inputs)), layer.params[kind]
    view += 1
    share = delta * (layer.forward(seen.inputs) - before)
    view -= 1
    size, over_features = 1e-9 * np.abs(share).max(), np.resize(share.sum(axis=-1), found.shape)
    if (np.abs(share - gradient).max(axis=-1) <= size).any():
        yield Hint("NOT_SUMMED", f"{found.what} is that of one row: sum over the batch")
    elif np.abs(over_features - gradient).max() <= size * len(share):
        text = f"{found.what} is summed over the features instead of the batch"
        yield Hint("WRONG_AXIS", text)


def rounding_hint(what: str, size: float) -> Hint:
    """The hint that errors without a pattern are as small as those of a short number format."""
    kind = "float16" if size > 3e-6 else "float32"
    text = f"{what} has a relative error of {size:.0e} without a pattern: stored in {kind}?"
    return Hint("ROUNDING", text)


def close(used: Array, correct: Array, where: Array, tolerance: float = 1e-3) -> bool:
    """Whether slopes agree nearly everywhere."""
    near = abs(used - correct)[where] <= tolerance * (abs(correct)[where] + 0.01)
    return bool(near.size and near.mean() > 0.95)


def element_slope(layer: Any, z: Array) -> Array:
    """f'(z) of an activation by central differences of its `apply`."""
    h = 1e-5
    plus, minus = np.empty_like(z), np.empty_like(z)
    layer.apply(z + h, plus)
    layer.apply(z - h, minus)
    slope: Array = (plus - minus) / (2 * h)
    return slope


def invariances(what: str, x: Array, slope: Callable[[Array], Finding]) -> Iterator[Hint]:
    """Hints about changes of x that leave the loss unchanged, contrary to the delta."""
    rng, shape = stream(2, 1), x.shape
    centred = x - x.mean(axis=-2, keepdims=True)
    tests = (
        (lambda: np.broadcast_to(rng.standard_normal(shape[-1]), shape), "BATCH_MEAN",
         "when all rows are shifted together: is the batch mean treated as a constant?"),
        (lambda: centred * rng.standard_normal(shape[-1]), "BATCH_VARIANCE",
         "when columns are scaled about their mean: is the batch variance treated as a constant?"),
        (lambda: np.broadcast_to(rng.standard_normal((*shape[:-1], 1)), shape), "SAMPLE_SUM",
         "when all elements of a row are shifted: are terms off the Jacobian's diagonal missing?"),
    )  # fmt: skip
    found: list[tuple[float, Hint]] = []
    for draw, code, text in tests:
        largest = 0.0
        for direction in [np.array(draw()) for _ in range(3)]:
            largest = max(largest, unnoticed(slope(direction)))
            if largest >= LITTLE:
                break
        else:
            found.append((largest, Hint(code, f"{what}: the loss does not notice {text}")))
    if found:
        yield min(found)[1]


def unnoticed(finding: Finding) -> float:
    """The numeric slope relative to that by the delta if the latter is wrong, else 1."""
    numeric, analytic = abs(finding.estimate.value), abs(finding.direction.analytic)
    differs = finding.outcome is Outcome.DIFFERS
    return numeric / max(analytic, finding.direction.rms, 1e-300) if differs else 1.0
