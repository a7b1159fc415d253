"""The noise in values of f along a line: rounding, and the jumps that a coarser format leaves."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.norms import rms

CLOSE = 7
"""The number of close values that show the noise of f."""
PARTS = 8
"""The parts into which the search for a jump divides each interval."""
WIDEST, NARROWEST = (1.0, 0.1, 1e-5), 1e-10
"""The first intervals of that search and the last, in units of the parameters."""
GRAINS = 1e-6
"""A width of several float32 numbers, over which their rounding errors are independent."""

ROUNDING = 100 * float(np.finfo(np.float64).eps)
"""The rounding error of a function in float64, relative to its change."""

Along = Callable[[Array], Array]
"""f at some distances along a line, in units of the parameters."""


def noise_of(values: Array, orders: tuple[int, ...] = (4, 5)) -> float:
    """Standard deviation of the noise in values at equal distances, by differences of high order.

    Differences remove the smooth part. Differences of order k of independent noise have
    (2k)! / k!^2 times its variance (More and Wild, "Estimating computational noise", SIAM J. Sci.
    Comput. 33, 2011).
    """
    seen = [np.diff(values, k) / math.sqrt(math.comb(2 * k, k)) for k in orders]
    return max(rms(part) for part in seen)


def stairs(value: float, along: Along) -> float:
    """The height of the steps of a rounded f, which is constant near the point; 0 if not constant.

    A rounded f is constant between two changes, at the smallest distances at which it changes.
    """
    for spacing in 1e-9 * 4.0 ** np.arange(1, 16):
        jumps = np.diff([value, *along(spacing * np.arange(1, 2 * CLOSE))])
        if jumps.any():
            after = jumps[np.argmax(jumps != 0) :]
            if (after == 0).any():
                return float(np.abs(jumps[jumps != 0]).min())
            if len(after) > CLOSE:
                return 0.0
    return 0.0


def jumps(along: Along, noise: float) -> tuple[float, float]:
    """The noise of an f of which a part is rounded and another is not, and the size of f there.

    Between two jumps of the rounded part, which are far apart, f is smooth and shows no noise. A
    rounded part jumps on both sides of the point; a single jump on one side is a part of f itself.
    Far away the jumps must be equal, since f may have singularities there. Without jumps, both
    numbers are 0.
    """

    def backwards(offsets: Array) -> Array:
        return along(-offsets)

    highest = 0.0, 0.0
    for width in WIDEST:
        found = jump_within(width, along, noise)
        if found[0]:
            other = jump_within(width, backwards, noise)
            if width < WIDEST[0] or math.isclose(found[0], other[0], rel_tol=1e-3):
                highest = max(highest, min(found, other))
    return highest


def jump_within(width: float, along: Along, noise: float) -> tuple[float, float]:
    """The noise that a jump within this distance shows, and the largest |f|; 0 if there is none.

    The search goes from an interval to its roughest part, again and again. A smooth f, or one with
    a kink, becomes smooth there, but a jump keeps its height. A pole grows, or has two sides.
    Rounding errors of float64 do not count, though f may be far smaller at the point itself.
    """
    start, height, level, size, before, change = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    while width > NARROWEST:
        values = along(start + width / PARTS * np.arange(PARTS + 1))
        seen = noise_of(values, (6, 7))
        if not 4 * max(noise, ROUNDING * float(np.ptp(values))) < seen < math.inf:
            return 0.0, 0.0
        bends = np.abs(np.diff(values, 2))
        roughest = int(bends.argmax())
        before, height = height, float(bends[roughest])
        size, change = max(size, float(np.abs(values).max())), abs(float(values[-1] - values[0]))
        if width > GRAINS:
            level = seen
        start, width = start + roughest * width / PARTS, 2 * width / PARTS
    is_jump = 0.5 * before < height < 2 * min(before, change)
    return (max(height, level), size) if is_jump else (0.0, 0.0)
