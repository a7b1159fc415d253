"""Gradients at kinks, by elements: between the one-sided slopes, or outside."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlpgrad.gradcheck.numeric.derivative import Run, Slopes, second_order
from mlpgrad.gradcheck.numeric.directions import Place, first_step
from mlpgrad.gradcheck.numeric.judgement import Settings
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf, Problem, search, spread

MOST = 256
"""The number of elements to check: those with the largest gradients."""
STEPS = (1.0, 1 / 16, 1 / 256, 1 / 4096)
"""The steps of the one-sided slopes, in units of the first step."""


def outside_kinks(problem: Problem, place: Place, leaf: Leaf) -> Iterator[tuple[Direction, Slopes]]:
    """The elements at a kink whose gradient is not between the one-sided slopes.

    Zeros are left out: they are the usual convention if several units are at their kinks, and one
    element may move these units to different sides.
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
    if not runs:
        return
    for (direction, _), slopes in zip(runs, search(problem, place.point, runs), strict=True):
        if slopes is not None and is_outside(direction.analytic, *slopes):
            yield direction, slopes[1]


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
