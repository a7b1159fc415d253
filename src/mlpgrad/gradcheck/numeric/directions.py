"""Directions in every tensor at one point, and the findings along them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.advice import nearest
from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.numeric.derivative import STEP
from mlpgrad.gradcheck.numeric.judgement import COARSE, HALF, Finding, Method, Outcome, Settings
from mlpgrad.gradcheck.numeric.methods import METHODS
from mlpgrad.gradcheck.numeric.norms import norm, rms
from mlpgrad.gradcheck.numeric.problem import (
    Direction,
    Leaf,
    Problem,
    is_wide,
    search,
    spread,
)

LARGE = 100_000
"""From this number of parameters on, one direction in each array is checked."""
FEW = 64
"""Arrays of at most this size are checked by elements if f is coarse."""
SCALE = 30.0
"""The largest ratio of parameters that move together in an array of several scales."""
LEAST_STEP = 1e-280
"""The least first step; smaller steps of subnormal parameters would be 0."""
AT_ONCE = 1 << 20
"""The largest total size of the direction vectors held at a time."""


MOST_DIRECTIONS = 1000  # per array; method="coordinates" checks every element


class Plan(NamedTuple):
    """The options of a check."""

    directions: int = 3
    method: str = "auto"
    rtol: float | None = None
    explain: bool = True

    def chosen(self) -> Method:
        """Return the method; raise ValueError if an option is out of range."""
        if not isinstance(self.method, str) or self.method not in METHODS:
            shown = arguments.shown(self.method)
            raise ValueError(f"no method {shown}{nearest(str(self.method), METHODS)}")
        arguments.count(self.directions, "directions", 1, MOST_DIRECTIONS)
        if self.rtol is not None:
            arguments.number(self.rtol, "rtol", 0, 1)
        return METHODS[self.method]

    def call(self, function: str, arguments: str, seed: int) -> str:
        """The line that repeats the check, with all options that are not defaults."""
        self.chosen()  # an error before anything is computed
        usual = Plan()._asdict()
        options = {"seed": seed} | {n: v for n, v in self._asdict().items() if v != usual[n]}
        given = "".join(f", {name}={value!r}" for name, value in options.items())
        return f"mg.{function}({arguments}{given})"

    def settings(
        self, problem: Problem, point: Array, value: float, rng: np.random.Generator
    ) -> Settings:
        """Noise, precision and tolerances of a function at a point."""
        noise, precision = problem.uncertainty(point, value, rng)
        exact = precision < 1e-10 and problem.gradient_dtype.itemsize >= 8
        worst = max(precision, float(np.finfo(problem.gradient_dtype).eps))
        rtol = self.rtol if self.rtol is not None else (1e-10 if exact else rounding_of(worst))
        sharp = max(1e-6 if exact else (5e-5 if precision < 1e-10 else COARSE), 10 * rtol)
        kinks = problem.shows_kinks, problem.knows_all_kinks
        may_be_single = problem.is_constant and value == float(np.float32(value))
        hidden = float(np.finfo(np.float32).eps) * abs(value) if may_be_single else 0.0
        return Settings(value, noise, precision, rtol, sharp, *kinks, self.chosen(), hidden)


def rounding_of(eps: float) -> float:
    """The relative error that rounding may cause in a gradient computed with this eps."""
    return min(100 * eps, 4e-3)


class Place(NamedTuple):
    """A point, the gradient there, and the findings in each tensor."""

    point: Array
    gradient: Array
    settings: Settings
    found: Sequence[list[Finding]] = ()

    def outcomes(self) -> set[Outcome]:
        """The outcomes in all tensors."""
        return {finding.outcome for findings in self.found for finding in findings}

    def settings_of(self, problem: Problem, leaf: Leaf) -> Settings:
        """The settings for one array, whose gradient may have fewer digits than that of others."""
        settings, dtype = self.settings, leaf.gradient_dtype
        if dtype.itemsize >= problem.gradient_dtype.itemsize:
            return settings
        rtol = max(settings.rtol, rounding_of(float(np.finfo(dtype).eps)))
        return settings._replace(rtol=rtol, sharp=max(settings.sharp, 10 * rtol))

    def wrong(self, leaves: Sequence[Leaf]) -> list[tuple[Leaf, list[Finding]]]:
        """The tensors whose gradient is wrong, each with its findings."""
        pairs = zip(leaves, self.found, strict=True)
        return [(t, found) for t, found in pairs if Outcome.DIFFERS in {f.outcome for f in found}]


def check_point(
    problem: Problem, place: Place, rng: np.random.Generator, count: int, *, along: bool
) -> Place:
    """Compare along directions in each tensor, as many at a time as memory allows.

    Parameters
    ----------
    problem : Problem
    place : Place
        The point; its findings are ignored.
    rng : Generator
    count : int
        Number of random directions in each tensor.
    along : bool
        Whether to include the direction of the gradient.

    Returns
    -------
    Place
        The same point with the findings.
    """
    found: list[list[Finding]] = [[] for _ in problem.leaves]
    runs: list[tuple[Direction, Any]] = []

    def compare() -> None:
        for finding in search(problem, place.point, runs):
            found[finding.direction.tensor].append(finding)
        runs.clear()

    held = 0
    for direction in directions(problem.leaves, place, rng, count, along):
        settings = place.settings_of(problem, problem.leaves[direction.tensor])
        runs.append((direction, settings.method.compare(direction, settings)))
        held += direction.vector.size
        if held >= AT_ONCE:
            compare()
            held = 0
    compare()
    return place._replace(found=found)


def directions(
    leaves: Sequence[Leaf], place: Place, rng: np.random.Generator, count: int, along: bool
) -> Iterator[Direction]:
    """Unit vectors in each tensor, with the slope along them by the gradient."""
    sizes, settings = spread(place.point, leaves), place.settings
    named = settings.method.every_element
    for number, leaf in enumerate(leaves):
        part, gradient = sizes[leaf.slice], place.gradient[leaf.slice]
        moves = np.isfinite(gradient)
        known = np.where(moves, gradient, 0.0)
        coarse = settings.precision > HALF and leaf.size <= FEW
        for weights in elements(moves) if named else scales(part, moves):
            group = weights > 0
            fewer = 1 if not named and is_wide(part) else count
            typical = rms(known) if named else norm(known * weights) / norm(weights)
            vectors = [weights] if named else units(known, weights, fewer, rng, along)
            single = elements(moves & group) if coarse and not named else ()
            for vector in chain(vectors, single):
                moved = group if np.count_nonzero(vector) > 1 else vector != 0
                length = first_step(norm(part[moved]), settings)
                rounding = norm(place.point[leaf.slice][moved])
                start, stop, slope = leaf.start, leaf.stop, float(vector @ known)
                of = number, start, stop, vector, slope, typical, length, rounding, along
                yield Direction(*of)


def first_step(size: float, settings: Settings) -> float:
    """The first step to try along a unit vector, for parameters of this norm."""
    step = STEP if settings.sharp < COARSE else 8 * STEP
    return max(step * min(max(1.0, size / 8), size / 2), LEAST_STEP)


def elements(moves: Array) -> Iterator[Array]:
    """The unit vector of every element that may move."""
    for index in np.flatnonzero(moves):
        vector = np.zeros(len(moves))
        vector[index] = 1.0
        yield vector


def scales(sizes: Array, moves: Array) -> Iterator[Array]:
    """For each scale in an array, the distance that each element moves: 0 for other scales.

    If sizes differ by many powers of ten, one step cannot suit all. Most arrays have one scale.
    """
    if not is_wide(sizes):
        if moves.any():
            yield moves * 1.0
        return
    left = moves.copy()
    while left.any():
        group = left & (sizes <= SCALE * sizes[left].min())
        yield np.where(group, sizes / sizes[group].max(), 0.0)
        left &= ~group


def units(
    gradient: Array, weights: Array, count: int, rng: np.random.Generator, along: bool
) -> Iterator[Array]:
    """The direction of the gradient, if `along`, then Gaussian ones, scaled by the weights.

    The slope is largest along the gradient, so a wrong factor shows there; an error perpendicular
    to it shows along random directions.
    """
    steepest, single = gradient * weights * weights, np.count_nonzero(weights) == 1
    if along and 0 < rms(steepest) < np.inf:
        unit = steepest / np.abs(steepest).max()
        yield unit / np.linalg.norm(unit)
        if single:
            return
    for _ in range(1 if single else count):
        vector = rng.standard_normal(gradient.size) * weights
        yield vector / np.linalg.norm(vector)


def second_point(
    point: Array, leaves: Sequence[Leaf], rng: np.random.Generator, times: float = 1.0
) -> Array:
    """A nearby point in which all elements differ, so that kinks and caches do not matter."""
    moved, sizes = point.copy(), spread(point, leaves)
    for leaf in leaves:
        part, size = moved[leaf.slice], sizes[leaf.slice]
        if not is_wide(np.abs(part)):
            size = np.maximum(np.abs(part), 0.2 * (rms(part) or 0.5))
        part += 0.05 * times * size * rng.standard_normal(leaf.size)
    return moved


def rounded(point: Array, leaves: Sequence[Leaf]) -> Array:
    """The nearest point whose arrays have the dtypes of the parameters."""
    return np.concatenate([point[leaf.slice].astype(leaf.dtype).astype(float) for leaf in leaves])
