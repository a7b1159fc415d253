"""Location of a wrong element of a gradient, and a Taylor test of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.derivative import STENCIL, Scheme, richardson
from mlpgrad.gradcheck.numeric.directions import Place
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf, Problem, Request
from mlpgrad.gradcheck.report import Culprit


def locate(
    problem: Problem, place: Place, leaf: Leaf, findings: Sequence[Finding]
) -> tuple[Culprit, bool]:
    """Return one wrong element of a tensor, and whether it is the only one."""
    differing = [f for f in findings if f.outcome is Outcome.DIFFERS]
    finding = max(differing, key=lambda f: f.excess)
    exact = finding.estimate.scheme is Scheme.COMPLEX  # the step is too small for differences
    h = finding.direction.step if exact else finding.estimate.step
    position = bisect(problem, place, leaf, finding, h)
    culprit = single_element(problem, place, leaf, position, h)
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


def bisect(problem: Problem, place: Place, leaf: Leaf, finding: Finding, h: float) -> int:
    """Return the position of a wrong element in its tensor, with 4 evaluations per level.

    The error along a direction is the sum of the errors along its two halves, so measuring one
    half gives the other. The search follows the half with the larger error.
    """
    vector, error, gradient = finding.direction.vector, finding.error, place.gradient[leaf.slice]
    low, high = 0, leaf.size
    while high - low > 1:
        middle = (low + high) // 2
        half, start, stop = vector[low:middle], leaf.start + low, leaf.start + middle
        length = float(np.linalg.norm(half)) or 1.0
        requests = [(start, stop, half, t * h / length) for t in (1, -1, 2, -2)]
        values, _ = problem.values(place.point, requests)
        d1, d2 = (values[0] - values[1]) / (2 * h), (values[2] - values[3]) / (4 * h)
        here = float((4 * d1 - d2) / 3) * length - float(half @ gradient[low:middle])
        if abs(here) >= abs(error - here):
            high, error = middle, here
        else:
            low, error = middle, error - here
    return low


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
