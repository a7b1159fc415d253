"""Functions that are computed to a tolerance only, as by a solver, have slopes of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.hints import Hint
from mlpgrad.gradcheck.numeric.directions import Place
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
from mlpgrad.gradcheck.numeric.problem import BEYOND_DOMAIN, BadGradientError, Problem

LENGTHS = 64.0, 200.0, 16.0
"""Half the segments to look at, in units of the first step."""
POINTS, NODES = 129, 8
"""The number of values of f on a segment, and of gradients."""
ORDER = 6
"""The order of the differences of values that show their scatter."""
ZOOMS = 3
"""How often to look closer at the roughest place, each time about five times as close."""
SMALL = 0.1
"""The largest relative error that a tolerance explains."""
BETTER, WITHIN = 0.5, 4.0
"""The largest error over a segment, in units of the error at the point, or of the scatter."""


def tolerance_hint(problem: Problem, place: Place, seen: Iterable[Finding]) -> Hint | None:
    """Return a hint if f scatters along a segment, and otherwise changes as the gradient says.

    A solver or an iteration that stops at a tolerance takes another number of steps elsewhere, so
    that its result jumps. Between two jumps it is smooth, and its slope is not that of the limit.
    The verdict remains, since a mistake of this size would look the same. `seen` are the findings
    at all points.
    """
    here = [f for _, findings in place.wrong(problem.leaves) for f in findings]
    largest = max((relative(f) for f in seen), default=0.0)
    worst = max(here, key=relative, default=None)
    if worst is None or not 0 < largest < SMALL:
        return None
    for length in LENGTHS:
        try:
            scatter = explained(problem, place, worst, length * worst.direction.step)
        except (*BEYOND_DOMAIN, BadGradientError):  # the domain ends nearby
            continue
        if scatter:
            rtol = 10.0 ** math.ceil(math.log10(2 * largest))
            return Hint(
                "TOLERANCE",
                f"{problem.label} seems to be computed to a tolerance only, as by an ODE solver or "
                f"an iteration: its values scatter by {scatter:.0e} along a segment, and otherwise "
                f"change as the gradient says; make that tolerance smaller, or accept errors of "
                f"this size, as rtol={rtol:.0e} of check_gradient does",
            )
    return None


def relative(finding: Finding) -> float:
    """The relative error if the gradient differs, else 0."""
    differs = finding.outcome is Outcome.DIFFERS and finding.scale > 0
    return abs(finding.error) / finding.scale if differs else 0.0


def explained(problem: Problem, place: Place, finding: Finding, half: float) -> float:
    """The scatter of f along a segment if the gradient agrees there; else 0."""
    direction = finding.direction
    at = half * np.linspace(-1, 1, POINTS)

    def along(offsets: Array) -> Array:
        return problem.values(place.point, [direction.at(t) for t in offsets])[0]

    values = along(at)
    scatter, coarser = differences(values).max(), differences(values[::4]).max()
    if not max(0.5 * coarser, 8 * place.settings.noise) < scatter < math.inf:
        return 0.0  # f is smooth here, or has kinks, or its rounding is known
    if not jumps(along, at, differences(values)):
        return 0.0
    nodes, _ = np.polynomial.legendre.leggauss(NODES)
    slopes = [slope(problem, place, finding, half * t) for t in nodes]
    fit = np.polynomial.Legendre.fit(half * nodes, slopes, NODES - 1, domain=[-half, half])
    error = float(at @ (values - fit.integ()(at)) / (at @ at))
    most = max(BETTER * abs(finding.error), WITHIN * scatter / half)
    return scatter if abs(error) < most else 0.0


def slope(problem: Problem, place: Place, finding: Finding, t: float) -> float:
    """The slope by the gradient at one point of a segment."""
    part = slice(finding.direction.start, finding.direction.stop)
    moved = place.point.copy()
    moved[part] += t * finding.direction.vector
    return float(finding.direction.vector @ problem.gradient(moved)[part])


def differences(values: Array) -> Array:
    """The differences of high order, which a smooth function does not have."""
    return np.abs(np.diff(values, ORDER)) / math.sqrt(math.comb(2 * ORDER, ORDER))


def jumps(along: Callable[[Array], Array], at: Array, rough: Array) -> bool:
    """Whether f is as rough close to the roughest place as it is there, which a wave is not."""
    height = rough.max()
    for _ in range(ZOOMS):
        roughest = int(rough.argmax())
        at = np.linspace(at[roughest], at[roughest + ORDER], POINTS // 4)
        rough = differences(along(at))
        if not rough.max() > 0.5 * height:
            return False
    return True
