"""Differences of f over a segment, compared with the integral of its gradient there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.derivative import Estimate, Scheme, independent
from mlpgrad.gradcheck.numeric.directions import Place
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome, judge, same
from mlpgrad.gradcheck.numeric.methods import RESOLVED, resolved
from mlpgrad.gradcheck.numeric.problem import (
    BEYOND_DOMAIN,
    BadGradientError,
    Direction,
    Problem,
)

PARTS, MORE = 32, 64
"""The number of parts of a segment, and of further points, where slopes differ most."""
LENGTHS = 1 / 4, 1.0, 4.0, 16.0, 64.0, 256.0
"""Half the lengths to try, in units of the first step."""
LONGER = 4.0
"""Half the longest segment that may overrule a difference, in units of the step that showed it."""
BESIDE = 1 / 256
"""The distance of the nearest points from the point of the check, in units of half the segment."""
NARROW = 0.1
"""Slopes on both sides that differ by more than this, relative to their scale, show a kink."""
SURE = 5.0
"""The number of standard deviations that are tolerated."""


def integrated(problem: Problem, place: Place, finding: Finding) -> Finding:
    """The finding, or one by integrals: f must change along a segment as its gradient says.

    Kinks do not disturb an integral, so segments can be long, and the noise of f matters little.
    A mistake must show at two lengths, since a jump of f looks like one at some lengths. What
    differs at a smaller step may be a fast part of f, which disappears over a segment.
    """
    direction = finding.direction
    settings = place.settings_of(problem, problem.leaves[direction.tensor])
    differs = finding.outcome in (Outcome.DIFFERS, Outcome.BEYOND_KINK)
    visible = 8 * max(settings.sharp, RESOLVED) * finding.scale
    longest = LONGER * finding.estimate.step if differs else np.inf
    seen: list[Finding] = []
    for h in [length * direction.step for length in LENGTHS]:
        in_range = settings.noise < h * visible and h <= longest
        found = estimate(problem, place, direction, h) if in_range else None
        if found is None:
            continue
        judged = resolved(judge(direction, found, settings), settings)
        seen.append(judged)
        if any(same(*pair) for pair in pairwise(seen[-2:])):
            return judged
        sharper = judged.tolerance < 0.5 * abs(finding.error)
        agrees = judged.outcome is Outcome.AGREES
        if abs(judged.error) <= judged.tolerance and (sharper if differs else agrees):
            return judged if found.smooth else judged._replace(outcome=Outcome.KINK)
    return finding


def estimate(problem: Problem, place: Place, direction: Direction, h: float) -> Estimate | None:
    """The slope by an integral over a segment of length 2h; None if slopes differ too much there.

    The difference of f and the integral must have no trend.
    """
    try:
        at, slopes = sampled(problem, place.point, direction, h)
    except (*BEYOND_DOMAIN, BadGradientError):  # beyond the domain of the gradient
        return None
    scale = max(abs(direction.analytic), direction.rms)
    if not np.ptp(slopes) <= scale:
        return None
    values, _ = problem.values(place.point, [direction.at(t) for t in at])
    parts = np.diff(at) * (slopes[1:] + slopes[:-1]) / 2
    left = values - np.concatenate([[0.0], np.cumsum(parts)])
    jumps = np.diff(at) * np.diff(slopes)
    found, deviation = (t / h for t in trend(at / h, left, jumps, place.settings.noise))
    near, bound = slopes[np.abs(at) <= h / 4], SURE * deviation
    if not near.min() - bound <= direction.analytic <= near.max() + bound:
        return None
    left_side, right_side = slopes[at < 0][-1], slopes[at > 0][0]
    smooth = bool(abs(right_side - left_side) <= NARROW * scale)
    value, used = direction.analytic + found, 2 * len(at)
    return Estimate(value, bound, h, Scheme.INTEGRAL, smooth, bound, used)


def sampled(problem: Problem, point: Array, direction: Direction, h: float) -> tuple[Array, Array]:
    """Offsets along a direction, and slopes there by the gradient, closest where they jump."""
    part, vector = slice(direction.start, direction.stop), direction.vector

    def slope(t: float) -> float:
        """The slope at one point, by the gradient."""
        moved = point.copy()
        moved[part] += t * vector
        return float(vector @ problem.gradient(moved)[part])

    positive = h * np.linspace(BESIDE**0.5, 1, PARTS // 2) ** 2  # uneven, unlike f's rounding
    at = np.concatenate([-positive[::-1], positive])
    slopes = np.array([slope(t) for t in at])
    for _ in range(MORE if np.isfinite(slopes).all() else 0):
        spare = np.diff(at) * (at[1:] * at[:-1] > 0)  # no slope at the point itself
        widest = int(np.argmax(np.abs(np.diff(slopes)) * spare))
        middle = (at[widest] + at[widest + 1]) / 2
        at = np.insert(at, widest + 1, middle)
        slopes = np.insert(slopes, widest + 1, slope(middle))
    return at, slopes


def trend(at: Array, left: Array, jumps: Array, noise: float) -> tuple[float, float]:
    """The slope of a line through values, and its standard deviation.

    Its variance is a sum of two. That of the scatter counts two observations for each change of its
    sign. That of the integral has a term for each part, in which the slope may jump anywhere.
    """
    at, left = at - at.mean(), left - left.mean()
    square = float(at @ at)
    slope = float(at @ left) / square
    scatter = left - slope * at
    signs = np.sign(scatter) * (np.abs(scatter) > noise / 16)
    single = max(float(np.std(scatter)), noise / 4) ** 2 * len(at) / independent(signs)
    share = np.cumsum(at[::-1])[::-1][1:] / square  # d slope / d one part
    return slope, float(np.sqrt(single / square + np.sum((share * jumps) ** 2) / 12))
