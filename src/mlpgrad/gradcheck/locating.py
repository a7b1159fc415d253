"""Which element of a gradient is wrong, and a second opinion on whether it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.gradcheck.numeric.derivative import Scheme, richardson
from mlpgrad.gradcheck.numeric.directions import Place
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf, Problem
from mlpgrad.gradcheck.report import Culprit


def locate(
    problem: Problem, place: Place, leaf: Leaf, findings: Sequence[Finding]
) -> tuple[Culprit, bool]:
    """One wrong element by bisection, at 4 evaluations a level, and whether it is the only one.

    The error along a direction is the sum of the errors along its two halves, so one half is
    measured and the other known; the larger one is followed.
    """
    differing = [f for f in findings if f.outcome is Outcome.DIFFERS]
    finding = max(differing, key=lambda f: abs(f.error) / f.tolerance)
    vector, error = finding.direction.vector, finding.error
    exact = finding.estimate.scheme is Scheme.COMPLEX  # its step is too small for differences
    h = finding.direction.step if exact else finding.estimate.step
    gradient = place.gradient[leaf.slice]

    def values(low: int, high: int, vector: Array, step: float, times: Sequence[int]) -> Array:
        part = leaf.start + low, leaf.start + high, vector
        return problem.values(place.point, [(*part, t * step) for t in times])[0]

    low, high = 0, leaf.size
    while high - low > 1:
        middle = (low + high) // 2
        half = vector[low:middle]
        length = float(np.linalg.norm(half)) or 1.0
        near = values(low, middle, half, h / length, (1, -1, 2, -2))
        d1, d2 = (near[0] - near[1]) / (2 * h), (near[2] - near[3]) / (4 * h)
        here = float((4 * d1 - d2) / 3) * length - float(half @ gradient[low:middle])
        if abs(here) >= abs(error - here):
            high, error = middle, here
        else:
            low, error = middle, error - here
    differences = values(low, high, np.ones(1), h, (1, -1, 2, -2, 4, -4))
    numeric = richardson(differences, h, place.settings.noise)
    culprit = Culprit(leaf.element(low), float(gradient[low]), numeric.value, numeric.bound, h)
    off = numeric.value - gradient[low]
    only = leaf.size > 1 and all(
        abs(f.direction.vector[low] * off - f.error) <= 0.01 * abs(f.error) + f.tolerance
        for f in findings
    )
    return culprit, only


def taylor_slope(
    problem: Problem, point: Array, direction: Direction, value: float, noise: float
) -> float | None:
    """Slope of log |f(p + h u) - f(p) - h g.u| over three decades of h; 2 if g is correct."""
    steps = direction.step * np.array([8.0, 0.8, 0.08, 0.008])
    values, _ = problem.values(point, [direction.at(t) for t in steps])
    rest = np.abs(values - value - steps * direction.analytic)
    seen = (rest > 20 * noise) & np.isfinite(rest)
    if seen.sum() < 2:
        return None
    x, y = np.log(steps[seen]), np.log(rest[seen])
    return float(np.median(np.diff(y) / np.diff(x)))
