"""What is checked: a value, its gradient and its parameters as one flat vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.gradcheck.derivative import Answers
from mlpgrad.gradcheck.probes import Direction, Finding, Search
from mlpgrad.gradcheck.trees import Leaf
from mlpgrad.gradcheck.verdicts import Verdict

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


def spread(point: Array) -> Array:
    """The size of each parameter, for displacements relative to it; never zero."""
    typical = float(np.sqrt(np.mean(point * point))) if len(point) else 0.0
    return np.abs(point) + (typical or 1.0)


def uncertainty(
    problem: Problem, point: Array, value: float, rng: np.random.Generator
) -> tuple[float, float]:
    """How uncertain one value of f is by rounding, and the precision eps that f computes in.

    The larger of `eps |f|` and the spread of f when each parameter moves by a rounding error.
    Values that are all float32 numbers come from a function that computes in float32.
    """

    def nearby(size: float) -> float:
        vector = rng.standard_normal(len(point)) * spread(point)
        return float(problem.values(point, [(0, len(point), vector, size)])[0][0])

    elsewhere = nearby(1e-3)
    precision = float(np.finfo(np.float64).eps)
    for dtype in (np.float32, np.float16):
        with np.errstate(over="ignore"):
            coarse = value == float(dtype(value)) and elsewhere == float(dtype(elsewhere))
        if coarse and value != elsewhere:
            precision = float(np.finfo(dtype).eps)
    changes = [abs(nearby(precision) - value) for _ in range(4)]
    return max(precision * abs(value), *changes), precision
