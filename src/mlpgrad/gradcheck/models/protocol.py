"""The checks that a model's calls leave their arguments and earlier results unchanged."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.hooks import assign, replaced
from mlpgrad.gradcheck.models.problem import ModelProblem
from mlpgrad.gradcheck.numeric.problem import BadGradientError
from mlpgrad.gradcheck.verdicts import Verdict
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward, walk
from mlpgrad.losses.base import Loss

Findings = dict[Verdict, str]

EARLIER = (
    "the gradient of {} depends on an earlier batch; forward must store what backward needs at "
    "every call"
)
SHORTER = (
    "a shorter batch after a longer one {} in a model that has never seen the longer one; use "
    "only the current batch's rows of a buffer that is reused"
)
LONGER = (
    "a longer batch after a shorter one gives a different gradient of {} than before; a buffer "
    "that is reused must have as many rows as the current batch"
)


def results(problem: ModelProblem) -> Findings:
    """Find methods that return what does not fit, or return what they must write into `out`."""
    model, found = problem.model.lifted(np.float64), []

    def watched(owner: Any, method: str, name: str) -> None:
        original = getattr(owner, method)

        def call(*arguments: Array) -> None:
            out = arguments[-1]
            before = out.copy()
            if original(*arguments) is not None and np.array_equal(before, out, equal_nan=True):
                found.append(f"{method} of {name} returns its result; write it into out[...]")

        assign(owner, method, call)  # not an option with that name

    for (_, layer), (_, twin) in zip(walk(model.layers), walk(problem.twin.layers), strict=True):
        name = f"{problem.called(twin)} {layer!r}"
        fit_required(layer, name)
        for method in ("apply", "slope"):
            if callable(getattr(layer, method, None)):
                watched(layer, method, name)
    watched(model.loss, "slopes", f"the loss {model.loss!r}")
    try:
        problem.step(model, problem.batch, problem.point)
    except BadGradientError as bad:
        return {bad.verdict: str(bad)}
    return {Verdict.NOT_WRITTEN: found[0]} if found else {}


def fit_required(layer: Layer, name: str) -> None:
    """Raise BadGradientError from now on if a result of a layer's methods does not fit."""
    forward, backward = layer.forward, layer.backward
    shape = [0, 0]

    def fitting_forward(x: Array) -> Array:
        shape[:] = x.shape[-2:]
        out = forward(x)
        expected = [shape[0], layer.out_features or shape[1]]
        require(out, expected, layer.dtype, f"forward of {name}")
        return out

    def fitting_backward(delta: Array) -> Array | None:
        passed = backward(delta)
        if layer.wants_input_delta:
            require(passed, shape, layer.dtype, f"backward of {name}")
        return passed

    assign(layer, "forward", fitting_forward)
    assign(layer, "backward", fitting_backward)


def require(found: Any, shape: list[int], dtype: np.dtype[Any], who: str) -> None:
    """Raise BadGradientError unless a result is an array with these last two axes and dtype."""
    if not isinstance(found, np.ndarray) or list(found.shape[-2:]) != shape:
        what = "None: is a return missing?" if found is None else f"{shown(found)};"
        raise BadGradientError(
            Verdict.SHAPE, f"{who} returns {what} expected an array of shape {tuple(shape)}"
        )
    if found.dtype != dtype:
        raise BadGradientError(
            Verdict.DTYPE,
            f"{who} returns {found.dtype}, but its dtype is {dtype} here, since checks compute in "
            f"float64; use `self.dtype`, in buffers as well",
        )


def dirty_gradients(problem: ModelProblem, first: Array, rng: np.random.Generator) -> Findings:
    """Make a second step, which must overwrite the gradients of the first.

    Layers that never write gradients are left to the comparison with numeric slopes.
    """
    dirt = np.asarray(rng.standard_normal(first.shape) * (float(np.abs(first).max()) or 1.0))
    held = dirt.reshape(problem.twin.grads.shape)
    second = problem.step(problem.twin, problem.batch, problem.point, held)
    for leaf in problem.leaves:
        a, b, added = first[leaf.slice], second[leaf.slice], dirt[leaf.slice]
        if same(a, b) or (not a.any() and same(b, added)):
            continue
        if same(a + added, b):
            text = f"the gradient of {leaf.name} is added to what was there before; overwrite it"
            return {Verdict.ACCUMULATES: text}
        text = f"a second step with the same arguments changes the gradient of {leaf.name}"
        return {Verdict.NON_REENTRANT: text}
    return {}


def stale_cache(problem: ModelProblem, first: Array, decoy: Array) -> Findings:
    """Compare a step on another batch with that of a new model, and repeat the first step."""
    x, target, weights = problem.batch
    batch = np.roll(x, 1, axis=-2) * 1.1 + 0.01, target, weights
    used = problem.step(problem.twin, batch, decoy)
    fresh = problem.step(problem.fresh, batch, decoy)
    back = problem.gradient(problem.point)
    name = different(problem, used, fresh) or different(problem, first, back)
    return {Verdict.STALE_CACHE: EARLIER.format(name)} if name else {}


def stale_rows(problem: ModelProblem, first: Array) -> Findings:
    """Compare a shorter batch after a longer one with a model that never had the longer one.

    Buffers for another number of rows must not affect the value, the gradients and dL/dx of the
    shorter batch, or the gradients of the longer batch afterwards.
    """
    if problem.rows == 1:
        return {}
    half = np.s_[..., : (problem.rows + 1) // 2, :]
    try:
        batch = [None if part is None else part[half].copy() for part in problem.batch]
        expected = problem.outcome(problem.newcomer(), batch)
    except Exception:  # a user's layer may need a fixed number of rows
        return {}
    try:
        found = problem.outcome(problem.fresh, batch)
    except Exception as error:
        what = f"raises {type(error).__name__} ({error}), which it does not"
        return {Verdict.STALE_CACHE: SHORTER.format(what)}
    for name, part in expected.items():
        if not same(part, found[name]):
            return {Verdict.STALE_CACHE: SHORTER.format(f"gives a different {name} than")}
    again = problem.step(problem.fresh, problem.batch, problem.point)
    changed = different(problem, first, again)
    return {Verdict.STALE_CACHE: LONGER.format(changed)} if changed else {}


def mutations(problem: ModelProblem) -> Findings:
    """Make a step that compares the arguments of every layer's calls before and after."""
    model = problem.twin
    names = ("x", "y", "sample_weight")
    given = [None if part is None else part.copy() for part in problem.batch]
    changed: list[str] = []
    with contextlib.ExitStack() as watching:
        for _, layer in walk(model.layers):
            name = f"{problem.called(layer)} {layer!r}"
            watching.enter_context(replaced(layer, **watched_calls(layer, name, changed)))
        loss = f"the loss {model.loss!r}"
        watching.enter_context(replaced(model.loss, **watched_loss(model.loss, loss, changed)))
        problem.step(model, given, problem.point)
    for name, now, before in zip(names, given, problem.batch, strict=True):
        if now is not None and before is not None and not np.array_equal(now, before):
            changed.append(f"the step changes its argument {name}")
    found = model.params.ravel()
    for leaf in problem.leaves:
        if not np.array_equal(found[leaf.slice], problem.point[leaf.slice]):
            changed.insert(0, f"the step changes the parameter {leaf.name}")
    if not changed:
        return {}
    return {Verdict.MUTATES_INPUT: f"{changed[0]}; work on a copy or in a separate buffer"}


def watched_calls(layer: Layer, name: str, changed: list[str]) -> dict[str, Any]:
    """Return a layer's methods, which then compare their arguments before and after."""
    forward, backward = layer.forward, layer.backward
    kept: list[tuple[str, Array, Array]] = []

    def watched_forward(x: Array) -> Array:
        kept[:] = [("the input kept by forward", x, x.copy())]
        out = forward(x)
        if not np.array_equal(x, kept[0][2]):
            changed.append(f"forward of {name} changes its input")
        if out is not x:  # layers such as Identity may pass on their argument
            kept.append(("the output of its forward", out, out.copy()))
        return out

    def watched_backward(delta: Array) -> Array | None:
        watched = [("the delta it is given", delta, delta.copy()), *kept]
        watched += [(f"the parameter {k}", view, view.copy()) for k, view in layer.params.items()]
        passed = backward(delta)
        changed.extend(
            f"backward of {name} changes {what}"
            for what, now, before in watched[passed is None :]  # without dL/dx, delta is free
            if not np.array_equal(now, before)
        )
        return passed

    return {"forward": watched_forward, "backward": watched_backward}


def watched_loss(loss: Loss, name: str, changed: list[str]) -> dict[str, Any]:
    """Return a loss's methods, which then compare the prediction before and after."""
    forward, backward = loss.forward, loss.backward
    kept: list[Array] = []

    def compared(result: Any) -> Any:
        now, before = kept
        if not np.array_equal(now, before):
            changed.append(f"{name} changes its prediction")
        return result

    def watched_forward(prediction: Array, *rest: Any) -> Any:
        kept[:] = prediction, prediction.copy()
        return compared(forward(prediction, *rest))

    return {"forward": watched_forward, "backward": lambda: compared(backward())}


PASSED = "the delta it passes on"


def not_linear(problem: ModelProblem) -> Findings:
    """Check backward(0) = 0 and backward(2 delta) = 2 backward(delta), from the last layer on."""
    model = problem.twin
    model.params, model.state = problem.point.reshape(model.params.shape), problem.state
    x, target, weights = problem.batch
    problem.passes += 1
    with model.same_randomness():
        model.loss.forward(run_forward(model.layers, x, weights), target, weights)
        delta = model.loss.backward().copy()
        for layer in reversed(model.layers):
            once, twice, nothing = (responses(problem, layer, delta * n) for n in (1, 2, 0))
            for what, one in once.items():
                most = 1e-9 * np.abs(one).max(initial=0)
                if not same(2 * one, twice[what]) or np.abs(nothing[what]).max(initial=0) > most:
                    text = f"{what} is not proportional to the delta that comes in"
                    found = f"{problem.called(layer)} {layer!r}: {text}"
                    return {Verdict.NOT_LINEAR_IN_SEED: found}
            if layer.wants_input_delta:
                delta = once[PASSED]
    return {}


def responses(problem: ModelProblem, layer: Layer, delta: Array) -> dict[str, Array]:
    """The results of backward for a delta: the gradients, and the delta passed on."""
    names, grads = problem.arrays(layer), problem.twin.grads
    for name in names:
        problem.slots[name].view(grads).fill(0)
    passed = layer.backward(delta)
    found = {f"the gradient of {n}": problem.slots[n].view(grads).copy() for n in names}
    if layer.wants_input_delta and passed is not None:
        found[PASSED] = passed.copy()
    return found


def different(problem: ModelProblem, a: Array, b: Array) -> str | None:
    """The first array whose gradients differ by more than rounding."""
    names = (t.name for t in problem.leaves if not same(a[t.slice], b[t.slice]))
    return next(names, None)


def same(a: Array, b: Array) -> bool:
    """Whether arrays are equal up to the rounding of another order of summation."""
    if a.shape != b.shape:
        return False
    if np.array_equal(a, b, equal_nan=True):
        return True
    return bool(np.abs(a - b).max(initial=0) <= 1e-9 * np.abs(a).max(initial=0) + 1e-300)
