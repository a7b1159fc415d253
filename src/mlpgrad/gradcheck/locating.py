"""Location of a wrong element of a gradient, and a Taylor test of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.derivative import STENCIL, TINY, Scheme, richardson
from mlpgrad.gradcheck.numeric.directions import Place, first_step
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
from mlpgrad.gradcheck.numeric.norms import norm
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf, Problem, Request, spread
from mlpgrad.gradcheck.report import Culprit


def locate(
    problem: Problem, place: Place, leaf: Leaf, findings: Sequence[Finding]
) -> tuple[Culprit | None, bool]:
    """Return one wrong element of a tensor, and whether it is the only one.

    None if noise hides which elements are wrong, since a mistake may be spread over all of them.
    """
    differing = [f for f in findings if f.outcome is Outcome.DIFFERS]
    finding = max(differing, key=lambda f: f.excess)
    exact = finding.estimate.scheme is Scheme.COMPLEX  # the step is too small for differences
    h = finding.direction.step if exact else finding.estimate.step
    position, step = bisect(problem, place, leaf, finding, h)
    culprit = single_element(problem, place, leaf, position, step)
    if step < h and not culprit.is_wrong:
        culprit = single_element(problem, place, leaf, position, h)
    if not culprit.is_wrong:
        return None, False
    off = culprit.numeric - culprit.analytic
    only = leaf.size > 1 and all(
        abs(f.direction.vector[position] * off - f.error) <= 0.01 * abs(f.error) + f.tolerance
        for f in findings
    )
    return culprit, only


def single_element(problem: Problem, place: Place, leaf: Leaf, position: int, h: float) -> Culprit:
    """Return the slope along one element of a tensor."""
    where, one = leaf.start + position, np.ones(1)
    requests: list[Request] = [(where, where + 1, one, t * h) for t in STENCIL]
    values, _ = problem.values(place.point, requests)
    analytic, size = float(place.gradient[where]), abs(float(place.point[where]))
    direction = Direction(0, where, where + 1, one, analytic, abs(analytic), h, size)
    found = richardson(values, h, place.settings.along(direction))
    return Culprit(leaf.element(position), analytic, found.value, found.bound, h)


def bisect(
    problem: Problem, place: Place, leaf: Leaf, finding: Finding, h: float
) -> tuple[int, float]:
    """Return the position of a wrong element in its tensor, with 4 evaluations per level.

    The error along a direction is the sum of the errors along its two halves, so measuring one
    half gives the other. The search follows the half with the larger error. Steps shrink with the
    halves, since a single element has a scale of its own; the last one is returned, too.
    """
    vector, error, gradient = finding.direction.vector, finding.error, place.gradient[leaf.slice]
    sizes = spread(place.point, problem.leaves)[leaf.slice] * (vector != 0)

    def step_of(low: int, high: int) -> float:
        return max(h * first_step(norm(sizes[low:high]), place.settings) / first, TINY)

    first, low, high = first_step(norm(sizes), place.settings), 0, leaf.size
    while high - low > 1:
        middle = (low + high) // 2
        half, start, stop = vector[low:middle], leaf.start + low, leaf.start + middle
        length, step = float(np.linalg.norm(half)) or 1.0, step_of(low, middle)
        requests = [(start, stop, half, t * step / length) for t in (1, -1, 2, -2)]
        values, _ = problem.values(place.point, requests)
        d1, d2 = (values[0] - values[1]) / (2 * step), (values[2] - values[3]) / (4 * step)
        here = float((4 * d1 - d2) / 3) * length - float(half @ gradient[low:middle])
        if abs(here) >= abs(error - here):
            high, error = middle, here
        else:
            low, error = middle, error - here
    return low, step_of(low, high)


def taylor_slope(
    problem: Problem, point: Array, direction: Direction, value: float, noise: float
) -> float | None:
    """Return the slope of log |f(p + h u) - f(p) - h g.u| over three decades; 2 if g is correct."""
    steps = direction.step * np.array([8.0, 0.8, 0.08, 0.008])
    values, _ = problem.values(point, [direction.at(t) for t in steps])
    rest = np.abs(values - value - steps * direction.analytic)
    seen = (rest > 20 * noise) & np.isfinite(rest)
    if seen.sum() < 2:
        return None
    x, y = np.log(steps[seen]), np.log(rest[seen])
    return float(np.median(np.diff(y) / np.diff(x)))
