"""What is checked: a value, its gradient and its parameters as one flat vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.gradcheck.derivative import Answers
from mlpgrad.gradcheck.probes import Direction, Finding, Search
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.gradcheck.verdicts import Verdict

CLOSE = 7
"""Values compared to see the noise of f."""
Request = tuple[int, int, Array, complex]
"""start, stop, u, t: the point with p[start:stop] + t u; t is real but for complex steps."""


class BadGradientError(Exception):
    """The gradient is not even an array like the parameters: its own verdict."""

    def __init__(self, verdict: Verdict, text: str) -> None:
        super().__init__(text)
        self.verdict = verdict


class Problem:
    """A function of a flat vector with a gradient; `passes` counts evaluations of the value."""

    leaves: list[Leaf]
    point: Array
    own_dtype: np.dtype[Any] = np.dtype(np.float64)
    """In which the user computes the gradient."""
    gradient_dtype: np.dtype[Any] = np.dtype(np.float64)
    """In which `gradient` computes it."""
    shows_kinks: bool = False
    """Whether `values` can tell that a kink lies on the way."""
    knows_all_kinks: bool = False
    """Whether it tells of every kink there is."""
    label: str = "f"
    passes: int = 0

    def values(self, point: Array, requests: Sequence[Request]) -> Answers:
        """f at each displaced point, and whether a kink lies in between."""
        raise NotImplementedError

    def gradient(self, point: Array) -> Array:
        """The gradient under test at a point, computed in float64 where possible."""
        raise NotImplementedError

    def own_gradient(self, point: Array) -> Array:
        """The gradient under test in the user's own dtype (as float64 numbers)."""
        raise NotImplementedError

    def value(self, point: Array) -> float:
        """f at a point."""
        return float(self.values(point, [(0, 0, np.empty(0), 0.0)])[0][0])


def complex_steps(requests: Sequence[Request]) -> bool:
    """Whether the requests are for complex steps (all are, or none)."""
    return bool(requests) and isinstance(requests[0][3], complex)


def displaced(point: Array, request: Request, out: Array) -> Array:
    """Write the point that a request asks for into `out`."""
    start, stop, vector, t = request
    out[...] = point
    out[start:stop] += t * vector
    return out


def search(
    problem: Problem, point: Array, searches: Sequence[tuple[Direction, Search]]
) -> list[Finding]:
    """Run searches along many directions, their evaluations batched together."""
    findings: dict[int, Finding] = {}
    waiting = [
        (number, direction, run, next(run)) for number, (direction, run) in enumerate(searches)
    ]
    while waiting:
        requests = [(d.start, d.stop, d.vector, t) for _, d, _, offsets in waiting for t in offsets]
        values, moved = problem.values(point, requests)
        following, position = [], 0
        for number, direction, run, offsets in waiting:
            part = slice(position, position := position + len(offsets))
            try:
                following.append((number, direction, run, run.send((values[part], moved[part]))))
            except StopIteration as stop:
                findings[number] = stop.value
        waiting = following
    return [findings[number] for number in range(len(searches))]


def norm(vector: Array) -> float:
    """The Euclidean norm, also of numbers whose squares are beyond the range of float64."""
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0 < largest < np.inf else largest


def rms(vector: Array) -> float:
    """The root mean square."""
    return norm(vector) / float(np.sqrt(len(vector) or 1))


def spread(point: Array) -> Array:
    """The size of each parameter, for displacements relative to it; never zero."""
    return np.abs(point) + (rms(point) or 1.0)


def uncertainty(
    problem: Problem, point: Array, value: float, rng: np.random.Generator
) -> tuple[float, float]:
    """How uncertain one value of f is, and the precision eps that f computes in.

    The larger of `eps |f|` and the noise seen in values at close, equal distances. Values that
    are all float32 numbers come from a function that computes in float32.
    """
    vector = rng.standard_normal(len(point)) * spread(point)

    def along(offsets: Sequence[float] | Array) -> Array:
        requests: list[Request] = [(0, len(point), vector, t) for t in offsets]
        return np.array(problem.values(point, requests)[0], np.float64)

    spacing = 1e-13 if problem.shows_kinks else 1e-9  # a kink in between would look like noise
    elsewhere, *close = along([1e-3, *(spacing * np.arange(1, CLOSE))])
    while value == max(close) == min(close) and value != elsewhere and spacing < 1e-5:
        spacing *= 100  # f moves in steps larger than that
        close = list(along(spacing * np.arange(1, CLOSE)))
    precision = float(np.finfo(np.float64).eps)
    for dtype in (np.float32, np.float16):
        coarse = value == float(dtype(value)) and elsewhere == float(dtype(elsewhere))
        if coarse and value != elsewhere:
            precision = float(np.finfo(dtype).eps)
    return max(precision * abs(value), noise_of(np.array([value, *close]))), precision


def noise_of(values: Array) -> float:
    """Standard deviation of the noise in values at equal distances, by differences of high order.

    Differences take away what is smooth and add up what is not: those of order k of independent
    noise have (2k)! / k!^2 times its variance (More and Wild, "Estimating computational noise",
    SIAM J. Sci. Comput. 33, 2011).
    """
    seen = [np.diff(values, order) / math.sqrt(math.comb(2 * order, order)) for order in (4, 5)]
    return max(rms(part) for part in seen)
