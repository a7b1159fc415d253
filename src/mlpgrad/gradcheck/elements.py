"""Numeric slopes of single elements of a wrong gradient, by which hints are confirmed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array, Shape
from mlpgrad.gradcheck.numeric.derivative import Estimate, central
from mlpgrad.gradcheck.numeric.directions import Place, first_step
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf, Problem, search, spread, stream

ALL, SOME = 256, 48
"""Arrays of up to `ALL` elements are measured completely, larger ones at `SOME` elements."""
EQUAL = 1e-4
"""Largest relative difference between elements that count as equal."""
CLEAR = 0.05
"""The largest uncertainty of an element's slope, relative to its size, that supports a reason."""
EXPLAINED = 0.05
"""Fraction of an element's error that a reason may leave unexplained."""


class Observed(NamedTuple):
    """Elements of one array: the gradient under test, and the numeric slopes."""

    name: str
    shape: Shape
    point: Array  # (n,)
    gradient: Array  # (n,)
    positions: Array  # (m,), all n of them in short arrays, if noise hides none
    numeric: Array  # (m,)
    bound: Array  # (m,)

    @property
    def complete(self) -> bool:
        """Whether all elements were measured."""
        return len(self.positions) == self.gradient.size

    @property
    def size(self) -> float:
        """The largest slope."""
        return float(np.abs(self.numeric).max(initial=0.0))

    @property
    def spare(self) -> Array:
        """The tolerance for equal slopes, for each measured element, far below its error."""
        unexplained = EXPLAINED * np.abs(self.numeric - self.tested) + 1e-8 * self.size
        equal = EQUAL * np.abs(self.numeric) + 1e-6 * self.size
        spare: Array = self.bound + np.minimum(equal, unexplained)
        return spare

    @property
    def tested(self) -> Array:
        """The gradient under test at the measured elements."""
        tested: Array = self.gradient[self.positions]
        return tested

    @property
    def wrong(self) -> Array:
        """Which of the measured elements are wrong."""
        exact = self.bound + 1e-6 * np.abs(self.numeric) + 1e-8 * self.size
        wrong: Array = np.abs(self.numeric - self.tested) > exact
        return wrong

    @property
    def zero(self) -> Array:
        """Which of the measured slopes are zero."""
        zero: Array = np.abs(self.numeric) <= self.bound + 1e-9 * self.size
        return zero

    def equals(self, gradient: Array) -> bool:
        """Return whether a gradient has the measured slopes at all of these elements."""
        off = np.abs(gradient.ravel()[self.positions] - self.numeric)
        return bool((off <= self.spare).all())

    def without(self, part: Array) -> Observed:
        """Subtract a part that is known to be correct from the gradient and from the slopes."""
        return self._replace(
            gradient=self.gradient - part, numeric=self.numeric - part[self.positions]
        )

    def element(self, number: int) -> str:
        """Return the name of a measured element."""
        where = Leaf(self.name, 0, self.gradient.size, self.shape)
        return where.element(int(self.positions[number]))


def observe(
    problem: Problem, place: Place, leaf: Leaf, most: int = ALL, some: int = SOME
) -> Observed:
    """Measure the elements of one array, or some elements of a large one, including zeros.

    Elements whose slopes are uncertain are left out, since they agree with every reason.
    """
    gradient, point = place.gradient[leaf.slice], place.point[leaf.slice]
    positions = np.arange(leaf.size)
    if leaf.size > most:
        rng = stream(0, 4)
        zeros = np.flatnonzero(gradient == 0)
        chosen = rng.choice(leaf.size, some, replace=False)
        positions = np.union1d(chosen, rng.permutation(zeros)[: some // 2])
    sizes = spread(place.point, problem.leaves)[leaf.slice]
    typical = float(np.abs(gradient).max(initial=0.0))

    def enough(found: Estimate) -> bool:
        return found.smooth and found.bound <= 1e-8 * max(typical, abs(found.value))

    runs = []
    for position in positions:
        where, slope = leaf.start + int(position), float(gradient[position])
        step, own = first_step(float(sizes[position]), place.settings), abs(float(point[position]))
        one = Direction(0, where, where + 1, np.ones(1), slope, abs(slope), step, own)
        runs.append((one, central(place.settings.along(one), enough, step)))
    found = search(problem, place.point, runs)
    numeric, bound = np.array([[e.value, e.bound] for e in found]).T
    largest = float(np.abs(numeric[bound < np.inf]).max(initial=0.0))
    sizes = np.maximum(np.abs(numeric), np.abs(gradient[positions]))
    sharp = bound <= np.maximum(CLEAR * sizes, CLEAR**2 * largest)
    of_sharp = positions[sharp], numeric[sharp], bound[sharp]
    return Observed(leaf.name, leaf.shape, point, gradient, *of_sharp)
