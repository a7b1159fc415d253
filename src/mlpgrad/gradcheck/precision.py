"""The gradient in the user's precision, compared with that in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.directions import rounded, second_point
from mlpgrad.gradcheck.numeric.judgement import HALF
from mlpgrad.gradcheck.numeric.noise import CLOSE, noise_of
from mlpgrad.gradcheck.numeric.problem import Problem
from mlpgrad.gradcheck.report import TensorReport
from mlpgrad.gradcheck.verdicts import GOOD, Verdict

SPACING = 1e-6
"""The distance of close points, relative to each parameter: values near 1 differ there, too."""
STANDS_OUT = 10
"""The error that is not below the noise of f, in units of the tolerance for slopes."""


def in_own_precision(
    problem: Problem, gradient: Array, tensors: Sequence[TensorReport], rng: np.random.Generator
) -> None:
    """Compare the gradient in the user's precision with that in float64, if it is shorter.

    The rounding error is estimated by moving each parameter by a rounding error, and by that of
    the gradient in float64. A difference at one point only is attributed to a kink that the
    rounding has crossed. A difference that the noise of f would hide does not count: a saturated
    unit passes nothing back in a shorter dtype, and hardly more in float64.
    """
    judged, dtype = (*GOOD, Verdict.INCONCLUSIVE), problem.own_dtype
    if not problem.lifts or dtype.itemsize >= 8:
        return
    moved = rounded(second_point(problem.point, problem.leaves, rng), problem.leaves)
    seen = np.array([any(f.is_seen for f in t.findings) for t in tensors])
    here, there = rounding(problem, problem.point, gradient, seen, rng), None
    for number, tensor in enumerate(tensors):
        error, tolerance, norm, _ = here[:, number]
        hidden = STANDS_OUT * np.fmin.reduce([f.tolerance for f in tensor.findings] or [0.0])
        if not error > max(tolerance, hidden):
            if tolerance > 5e-5 * norm and tensor.verdict is Verdict.PASS:
                tensor.note = f"rounding to {dtype} hides errors below {tolerance / norm:.0e}"
            continue
        if there is None:
            there = rounding(problem, moved, problem.gradient(moved), seen, rng, here[3] > 0)
        if there[0, number] > there[1, number] and tensor.verdict in judged:
            in_float64 = "correct in float64" if tensor.verdict in GOOD else "not judged there"
            tensor.verdict = Verdict.FAIL
            tensor.note = (
                f"{in_float64}, but in {dtype} off by {error / (norm or 1):.0e} of its norm, "
                f"of which rounding explains {tolerance / (norm or 1):.0e}"
            )
            if not np.isfinite(error):
                tensor.note = f"{in_float64}, but not finite in {dtype}"


def rounding(
    problem: Problem,
    point: Array,
    exact: Array,
    seen: Array,
    rng: np.random.Generator,
    wrong: Array | None = None,
) -> Array:
    """Return error, tolerance and norm of the user's gradient for each tensor, and if it is wrong.

    A gradient is wrong if rounding of its formula, and not of the parameters, makes up most of it.
    One that was `wrong` at another point is not excused here by the rounding of its formula.
    """
    eps = float(np.finfo(problem.own_dtype).eps)
    sizes = [leaf.size for leaf in problem.leaves]
    each = np.repeat([float(np.finfo(leaf.dtype).eps) for leaf in problem.leaves], sizes)

    def norms(vector: Array) -> Array:
        return np.array([np.linalg.norm(vector[leaf.slice]) for leaf in problem.leaves])

    own = problem.own_gradient(point)
    error = norms(own - exact)
    moves = [1 + each * rng.choice([-1.0, 1.0], point.shape) for _ in range(3)]
    near = np.max([norms(problem.own_gradient(point * move) - own) for move in moves], axis=0)
    of_format = (50 if eps < HALF else 8) * eps * norms(exact)
    explained = of_format + 8 * near
    excused = error > explained if wrong is None else (error > explained) & ~wrong
    if excused.any():
        explained[excused] += 8 * in_proportion(problem, point, eps, rng)[excused]
    gross = np.zeros(len(error), bool)
    if not problem.shows_kinks:
        # cancellation: rounding of the parameters hardly changes the function in float64
        twin = np.max([norms(problem.gradient(point * move) - exact) for move in moves], axis=0)
        gross = seen & (error > np.maximum(0.3 * norms(exact), 50 * twin))
        explained[gross] = of_format[gross]
    return np.array([error, explained, norms(exact), gross])


def in_proportion(problem: Problem, point: Array, eps: float, rng: np.random.Generator) -> Array:
    """Return the rounding error of each tensor's gradient in float64, times the ratio of the eps.

    A probability near 1 may be the same number at all points a rounding error apart. The gradient,
    which contains its difference to 1, then has the same rounding error at all of them.
    """
    line = SPACING * rng.choice([-1.0, 1.0], point.shape)
    steps = np.arange(CLOSE) - CLOSE // 2
    close = np.transpose([problem.gradient(point * (1 + step * line)) for step in steps])
    sizes = [np.sqrt(leaf.size) * noise_of(close[leaf.slice]) for leaf in problem.leaves]
    return np.nan_to_num(np.multiply(sizes, eps / np.finfo(np.float64).eps))
