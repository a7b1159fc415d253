"""Differences that the rounding errors of the gradient under test explain."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.directions import Place
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome, Settings, judge
from mlpgrad.gradcheck.numeric.problem import BEYOND_DOMAIN, BadGradientError, Problem, stream

POINTS = 8
"""The number of gradients that show the scatter."""
AWAY = 1000 * float(np.finfo(np.float64).eps)
"""Their distance from the point, relative to each parameter: values do not repeat there by chance.
"""
TIMES = 4.0
"""The error that rounding explains, in units of the range of the slopes, one left out at each end.
"""


def beyond_rounding(problem: Problem, place: Place, seed: int) -> Place:
    """The findings, in which a difference must exceed the rounding errors of the gradient.

    Terms of a gradient may nearly cancel, or an inverse may amplify their rounding errors, so that
    few digits of it are correct. Such errors differ from one number to the next, but a mistake
    remains the same. The point itself is left out, since a gradient that is wrong at a tie only
    is correct beside it. A slope that was seen is not empty, whatever the gradient says.
    """
    if Outcome.DIFFERS not in place.outcomes() or not problem.lifts:
        return place  # a gradient in a shorter dtype has a tolerance for that
    try:
        ranges = scatter(problem, place, seed)
    except (*BEYOND_DOMAIN, BadGradientError):  # the domain ends here
        return place
    found = []
    for leaf, findings, widths in zip(problem.leaves, place.found, ranges, strict=True):
        settings = place.settings_of(problem, leaf)
        pairs = zip(findings, widths, strict=True)
        found.append([explained(finding, TIMES * width, settings) for finding, width in pairs])
    return place._replace(found=found)


def scatter(problem: Problem, place: Place, seed: int) -> list[Array]:
    """The range of the slope of each finding at points that differ by rounding errors."""
    rng, point = stream(seed, 6), place.point
    seen: list[list[list[float]]] = [[] for _ in place.found]
    for _ in range(POINTS):
        gradient = problem.gradient(point * (1 + AWAY * rng.uniform(-1, 1, point.shape)))
        for slopes, findings in zip(seen, place.found, strict=True):
            parts = [(gradient[f.direction.start : f.direction.stop], f) for f in findings]
            slopes.append([float(f.direction.vector @ part) for part, f in parts])
    return [np.ptp(np.sort(slopes, axis=0)[1:-1], axis=0) for slopes in seen]


def explained(finding: Finding, rounding: float, settings: Settings) -> Finding:
    """The finding, judged again if this rounding error of the gradient explains the difference."""
    if finding.outcome is not Outcome.DIFFERS or not rounding > 0:
        return finding
    found = finding.estimate
    wider = found._replace(bound=found.bound + rounding, rounding=found.rounding + rounding)
    judged = judge(finding.direction, wider, settings)
    unseen = judged.outcome is Outcome.EMPTY and finding.is_seen
    return judged._replace(outcome=Outcome.UNSURE) if unseen else judged
