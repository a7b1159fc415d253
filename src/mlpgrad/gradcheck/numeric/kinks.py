"""Gradients at kinks: between the slopes of single elements, and between those close by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.derivative import Run, Slopes, second_order
from mlpgrad.gradcheck.numeric.directions import Place, first_step
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome, Settings
from mlpgrad.gradcheck.numeric.norms import rms
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf, Problem, search, spread

MOST = 256
"""The number of elements to check: those with the largest gradients."""
STEPS = (1.0, 1 / 16, 1 / 256, 1 / 4096)
"""The steps of the one-sided slopes, in units of the first step."""
ANYWHERE, DIRECTIONS = 32, 6
"""The number of random points close by, and of random directions, in which slopes are compared."""
CLOSENESS = 1e-7, 1e-4
"""The least step close by, in units of the parameters, and the error that noise may cause there."""
KINKS = (Outcome.KINK, Outcome.BEYOND_KINK)
SHOWN = 4
"""The number of elements outside their own slopes that are compared with slopes close by."""
SIDES = 1024
"""The largest array whose elements are moved one by one to find the sides of extreme slopes."""
UNSEEN = 0.25
"""The share by which slopes may lie beyond those that were seen, since not all of them were."""
FARTHER = 4.0
"""The distance of the points close by, in steps."""


def outside_kinks(
    problem: Problem, place: Place, leaf: Leaf, rng: np.random.Generator
) -> list[tuple[Direction, Slopes]]:
    """The elements at a kink whose gradient is not between the one-sided slopes, nor those nearby.

    One element may move several units that are at their kinks to different sides, so slopes at
    points close by count, too. Zeros are left out: they are the usual convention then.
    """
    gradient, sizes = place.gradient[leaf.slice], spread(place.point, problem.leaves)[leaf.slice]
    chosen = np.argsort(-np.abs(gradient), kind="stable")[:MOST]
    runs = []
    for position in np.flatnonzero(gradient[np.sort(chosen)]):
        index = int(np.sort(chosen)[position])
        where, slope = leaf.start + index, float(gradient[index])
        if not np.isfinite(slope):
            continue
        step = first_step(float(sizes[index]), place.settings)
        size = abs(float(place.point[where]))
        one = Direction(index, where, where + 1, np.ones(1), slope, abs(slope), step, size)
        runs.append((one, both_sides(one, place.settings)))
    seen = zip(runs, search(problem, place.point, runs), strict=True)
    found = [(d, s[1]) for (d, _), s in seen if s is not None and is_outside(d.analytic, *s)]
    return outside_nearby(problem, place, leaf, found, rng)


def outside_nearby(
    problem: Problem,
    place: Place,
    leaf: Leaf,
    found: list[tuple[Direction, Slopes]],
    rng: np.random.Generator,
) -> list[tuple[Direction, Slopes]]:
    """The elements whose gradient is not between their slopes at points close by, either."""
    if not found:
        return []
    found = found[:SHOWN]
    slopes = np.array([direction.analytic for direction, _ in found])
    vectors = np.zeros((len(found), leaf.size))
    for vector, (direction, _) in zip(vectors, found, strict=True):
        vector[direction.start - leaf.start] = 1.0
    low, high, spare = slopes_nearby(problem, place, leaf, vectors, rms(slopes), rng)
    outside = (slopes < low - spare) | (slopes > high + spare)
    return [pair for pair, is_wrong in zip(found, outside, strict=True) if is_wrong]


def both_sides(direction: Direction, settings: Settings) -> Run[tuple[Slopes, Slopes] | None]:
    """The one-sided slopes at the two smallest steps, if their difference stays the same."""
    steps = [direction.step * factor for factor in STEPS]
    found = yield from second_order(settings.along(direction), steps)
    seen = [slopes for slopes in found if slopes.jump > 8 * slopes.central.rounding]
    if len(seen) < 3:
        return None
    large, small = seen[-2:]
    return (large, small) if 0.8 * large.jump < small.jump < 1.25 * large.jump else None


def is_outside(analytic: float, large: Slopes, small: Slopes) -> bool:
    """Whether a slope is outside the one-sided slopes, which may still change with the step."""
    low, high = sorted((small.left, small.right))
    changes = abs(small.left - large.left) + abs(small.right - large.right)
    spare = 2 * small.central.rounding + changes + 1e-6 * small.jump
    return not low - spare <= analytic <= high + spare


def between_slopes_nearby(
    problem: Problem,
    place: Place,
    leaf: Leaf,
    findings: Sequence[Finding],
    rng: np.random.Generator,
) -> list[Finding]:
    """The findings in one array at a kink, judged by the slopes at points close by.

    At each point the slope of a subgradient along a direction lies between the least and the
    largest slope that f has arbitrarily close by (Clarke, "Optimization and nonsmooth analysis",
    1983). The one-sided slopes at the point itself may be closer together, since kinks of several
    elements can cancel.
    """
    sizes = spread(place.point, problem.leaves)[leaf.slice]
    drawn = rng.standard_normal((DIRECTIONS, leaf.size)) * sizes
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors = np.array([*(f.direction.vector for f in findings), *drawn])
    scale = max(f.scale for f in findings)
    low, high, spare = slopes_nearby(problem, place, leaf, vectors, scale, rng)
    width = high - low
    if Outcome.DIFFERS in {f.outcome for f in findings}:  # curvature widens with the distance
        less, more, _ = slopes_nearby(problem, place, leaf, vectors, scale, rng, 8.0)
        width = np.where(more - less < 3 * width, width, 0.0)
    slopes = vectors @ place.gradient[leaf.slice]
    spare += place.settings_of(problem, leaf).rtol * np.abs(slopes)
    beyond = np.maximum(low - slopes, slopes - high)
    contradicted = leaf.size <= SIDES and bool((beyond > spare + UNSEEN * width).any())
    judged = []
    for finding, seen, margin, out in zip(findings, width, spare, beyond > spare, strict=False):
        outcome, error = finding.outcome, abs(finding.error)
        bent = 4 * (seen - 2 * margin) > error
        if outcome is Outcome.KINK and contradicted:
            outcome = Outcome.BEYOND_KINK
        elif outcome is Outcome.BEYOND_KINK or (outcome is Outcome.DIFFERS and bent):
            fits = not (contradicted or out) and 4 * margin < error
            outcome = Outcome.KINK if fits else Outcome.BEYOND_KINK
        judged.append(finding._replace(outcome=outcome))
    return judged


def slopes_nearby(
    problem: Problem,
    place: Place,
    leaf: Leaf,
    vectors: Array,
    scale: float,
    rng: np.random.Generator,
    times: float = 1.0,
) -> tuple[Array, Array, Array]:
    """The least and the largest slope close by along each vector, and their uncertainty.

    The step is the least at which noise changes slopes by little, relative to their `scale`, or
    larger by the factor `times`.
    """
    sizes, noise = spread(place.point, problem.leaves), place.settings.noise
    own = sizes[leaf.slice]
    relative = times * max(CLOSENESS[0], noise / (CLOSENESS[1] * scale * rms(own) or 1.0))
    away = FARTHER * relative * sizes
    steps = relative * np.array([np.min(own[v != 0] / np.abs(v[v != 0])) for v in vectors])
    pairs = zip(vectors, steps, strict=True)
    requests = [(leaf.start, leaf.stop, v, t) for v, h in pairs for t in (h, -h)]
    slopes = []
    for sides in points_nearby(problem, place, leaf, vectors, away, rng):
        values, _ = problem.values(place.point + away * sides, requests)
        slopes.append((values[0::2] - values[1::2]) / (2 * steps))
    known = np.isfinite(slopes)  # unless a point is beyond the domain of f
    low = np.min(slopes, axis=0, where=known, initial=np.inf)
    high = np.max(slopes, axis=0, where=known, initial=-np.inf)
    largest = np.maximum(np.abs(low), np.abs(high))
    return low, high, 16 * noise / steps + 4 * FARTHER * relative * largest


def points_nearby(
    problem: Problem,
    place: Place,
    leaf: Leaf,
    vectors: Array,
    away: Array,
    rng: np.random.Generator,
) -> Iterator[Array]:
    """The sides to which the parameters move: those of extreme slopes, and random ones.

    If elements have their kinks independently of each other, the slope along a direction is
    extreme where each element moves to the side of its larger, or of its smaller, slope.
    """
    n, start = len(place.point), leaf.start
    for _ in range(ANYWHERE):
        yield rng.uniform(0.5, 1.5, n) * rng.choice([-1.0, 1.0], n)
    if leaf.size > SIDES:
        return
    one, at = np.ones(1), [(i, t * away[start + i]) for i in range(leaf.size) for t in (1, -1)]
    values, _ = problem.values(place.point, [(start + i, start + i + 1, one, t) for i, t in at])
    bends = (values[0::2] + values[1::2] - 2 * place.settings.value) / away[leaf.slice]
    for vector in vectors:
        sides = rng.uniform(0.5, 1.5, n) * rng.choice([-1.0, 1.0], n)
        sides[leaf.slice] = np.sign(bends) * vector / np.abs(vector).max()
        yield sides
        sides[leaf.slice] *= -1
        yield sides
