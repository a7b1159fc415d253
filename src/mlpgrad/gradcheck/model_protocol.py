"""Whether a model's calls leave everything as they found it, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.model_problem import ModelProblem
from mlpgrad.gradcheck.verdicts import Verdict
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward, walk

if TYPE_CHECKING:
    pass

Findings = dict[Verdict, str]


def dirty_gradients(problem: ModelProblem, first: Array, rng: np.random.Generator) -> Findings:
    """A second step, into gradients that hold something already: it must overwrite them.

    Layers that never write theirs at all are left to the comparison with the numeric slopes.
    """
    twin = problem.twin
    size = float(np.abs(first).max()) or 1.0
    dirt = np.asarray(rng.standard_normal(first.shape)) * size
    twin.params, twin.state = problem.point.reshape(twin.params.shape), problem.state
    twin.grads = dirt.reshape(twin.grads.shape)
    with twin.same_randomness():
        twin._step(*problem.batch)
    problem.passes += 1
    second = twin.grads.ravel().copy()
    for leaf in problem.leaves:
        a, b, added = first[leaf.slice], second[leaf.slice], dirt[leaf.slice]
        if same(a, b) or (not a.any() and same(b, added)):
            continue
        if same(a + added, b):
            text = f"{leaf.name} is added to what its gradient held before; overwrite it"
            return {Verdict.ACCUMULATES: text}
        text = f"a second step with the same arguments gives another gradient of {leaf.name}"
        return {Verdict.NON_REENTRANT: text}
    return {}


def stale_cache(problem: ModelProblem, first: Array, decoy: Array) -> Findings:
    """A step elsewhere, against a model that has never been anywhere, and back again."""
    x, target, weights = problem.batch
    turned = np.roll(x, 1, axis=-2) * 1.1 + 0.01
    batch = (turned, target, weights)
    used = problem.step(problem.twin, decoy, batch)
    fresh = problem.step(problem.fresh, decoy, batch)
    back = problem.step(problem.twin, problem.point, problem.batch)
    # a step on a shorter batch: buffers of the longer one must not shine through
    for leaf in problem.leaves:
        part = leaf.slice
        if not same(used[part], fresh[part]) or not same(first[part], back[part]):
            return {
                Verdict.STALE_CACHE: f"the gradient of {leaf.name} depends on an earlier batch; "
                f"keep in forward what backward needs, at every call"
            }
    return {}


def mutations(problem: ModelProblem, point: Array) -> Findings:
    """One step in which every layer's arguments are compared before and after its backward."""
    model = problem.twin
    model.params, model.state = point.reshape(model.params.shape), problem.state
    x, target, weights = problem.batch
    arguments = {"x": x, "y": target} | ({} if weights is None else {"sample_weight": weights})
    given = {name: array.copy() for name, array in arguments.items()}
    changed: list[str] = []
    for position, layer in walk(model.layers):
        watch(layer, f"layers[{position}] {layer!r}", changed)
    problem.passes += 1
    try:
        with model.same_randomness():
            model._step(given["x"], given["y"], given.get("sample_weight"))
    finally:
        for _, layer in walk(model.layers):
            del layer.forward, layer.backward  # the instance's: what `watch` has set
    for name, array in arguments.items():
        if not np.array_equal(given[name], array):
            changed.append(f"the step changes its argument {name}")
    found = model.params.ravel()
    for leaf in problem.leaves:
        if not np.array_equal(found[leaf.slice], point[leaf.slice]):
            changed.insert(0, f"the step changes the parameter {leaf.name}")
    if not changed:
        return {}
    return {Verdict.MUTATES_INPUT: f"{changed[0]}; write into a buffer of its own"}


def watch(layer: Layer, name: str, changed: list[str]) -> None:
    """Have a layer's calls compare what they were given before and after."""
    forward, backward = layer.forward, layer.backward
    seen: list[tuple[Array, Array]] = []

    def watched_forward(x: Array) -> Array:
        seen[:] = [(x, x.copy())]
        out = forward(x)
        if not np.array_equal(*seen[0]):
            changed.append(f"forward of {name} changes its input")
        if out is not x:  # Identity-like layers may hand on what they were given
            seen.append((out, out.copy()))
        return out

    def watched_backward(delta: Array) -> Array | None:
        before, params = delta.copy(), [view.copy() for _, view in layer.params.items()]
        passed = backward(delta)
        if not np.array_equal(delta, before) and passed is not None:
            changed.append(f"backward of {name} changes the delta it is given")
        if any(not np.array_equal(now, then) for now, then in seen[:1]):
            changed.append(f"backward of {name} changes the input kept by forward")
        elif any(not np.array_equal(now, then) for now, then in seen[1:]):
            changed.append(f"backward of {name} changes the output of its forward")
        pairs = zip(layer.params.items(), params, strict=True)
        changed.extend(
            f"backward of {name} changes the parameter {kind}"
            for (kind, view), old in pairs
            if not np.array_equal(view, old)
        )
        return passed

    layer.forward, layer.backward = watched_forward, watched_backward  # type: ignore[method-assign]


def not_linear(problem: ModelProblem, point: Array) -> Findings:
    """backward(0) = 0 and backward(2 delta) = 2 backward(delta), for each layer from the loss."""
    model = problem.twin
    model.params, model.state = point.reshape(model.params.shape), problem.state
    x, target, weights = problem.batch
    problem.passes += 1
    with model.same_randomness():
        model.loss.forward(run_forward(model.layers, x, weights), target, weights)
        delta: Array | None = model.loss.backward().copy()
        for index in reversed(range(len(model.layers))):
            layer = model.layers[index]
            assert delta is not None
            once, twice, nothing = (responses(layer, delta * factor) for factor in (1, 2, 0))
            for kind, (one, two, zero) in zip(
                once, zip(once.values(), twice.values(), nothing.values(), strict=True), strict=True
            ):
                if not same(2 * one, two) or np.abs(zero).max(initial=0) > 1e-9 * (
                    np.abs(one).max(initial=0)
                ):
                    what = "the delta it passes on" if kind == "" else f"the gradient of {kind}"
                    return {
                        Verdict.NOT_LINEAR_IN_SEED: f"layers[{index}] {layer!r}: {what} is not "
                        f"proportional to the delta that comes in"
                    }
            if layer.wants_input_delta:
                delta = once[""]
    return {}


def responses(layer: Layer, delta: Array) -> dict[str, Array]:
    """What backward gives for a delta: the gradients by name, and the delta passed on as ``""``."""
    for _, inner in [("", layer), *walk(layer.children())]:
        for _, view in inner.grads.items():
            view.fill(0)
    passed = layer.backward(delta)
    found = {
        f"{place}{kind}": view.copy()
        for place, inner in [("", layer), *((f"[{p}].", i) for p, i in walk(layer.children()))]
        for kind, view in inner.grads.items()
    }
    if layer.wants_input_delta and passed is not None:
        found[""] = passed.copy()
    return found


def same(a: Array, b: Array) -> bool:
    """Equal but for the rounding of another order of summation."""
    if a.shape != b.shape:
        return False
    return bool(np.abs(a - b).max(initial=0) <= 1e-9 * np.abs(a).max(initial=0) + 1e-300)
